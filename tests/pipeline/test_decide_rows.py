"""`llmtl.decide`: frames in every form give the decision of the files."""

import json

import numpy as np
import pandas as pd
import pytest

import llmtl
from llmtl.errors import InputError
from llmtl.pipeline.decide_files import decide_predictions

LABELS = ("card", "refund", "other")


@pytest.fixture(scope="module")
def frame():
    drawn = np.random.default_rng(0)
    truth = drawn.choice(LABELS, size=120)
    rows = []
    for name, right in (("rules", 0.6), ("prompt", 0.7), ("tuned", 0.9)):
        said = np.where(drawn.random(120) < right, truth, drawn.choice(LABELS, size=120))
        rows += [
            {"strategy": name, "id": number, "reference": label, "prediction": answer, "note": "left out"}
            for number, (label, answer) in enumerate(zip(truth, said, strict=True))
        ]
    return pd.DataFrame(rows)


def _but_the_time(decision):
    return {key: value for key, value in vars(decision).items() if key != "choice"}


def test_a_long_frame_a_mapping_and_files_give_the_same_decision(frame, tmp_path):
    parts = {name: part.drop(columns=["strategy", "note"]) for name, part in frame.groupby("strategy", sort=False)}
    paths = []
    for name, part in parts.items():
        paths.append(tmp_path / f"{name}.jsonl")
        paths[-1].write_text("".join(json.dumps(row) + "\n" for row in part.to_dict("records")))
    wanted = _but_the_time(decide_predictions(paths, baselines=["rules"]))
    forms = (frame, parts, {name: part.to_dict("records") for name, part in parts.items()}, paths)
    for given in forms:
        assert _but_the_time(llmtl.decide(given, baselines=["rules"])) == wanted
    assert wanted["verdict"] is llmtl.Verdict.ADOPT


def test_a_missing_prediction_is_a_failure(frame):
    lost = frame.assign(prediction=frame["prediction"].where((frame["strategy"] != "tuned") | (frame["id"] % 4 > 0)))
    decision = llmtl.decide(lost, baselines=["rules"])
    assert decision.result("tuned").test.failed > 0


def test_options_are_those_of_the_recipe_and_the_decision_is_written(frame, tmp_path):
    decision = llmtl.decide(frame, target=0.95, metric="macro_f1", decision={"margin": 0.05}, out=tmp_path)
    assert (decision.metric, decision.target, decision.margin) == ("macro_f1", 0.95, 0.05)
    assert json.loads((tmp_path / "decision.json").read_text())["margin"] == 0.05


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        (3, {}, "llmtl.decide cannot read 3; give"),
        ([], {}, "There are no predictions to decide on; give"),
        ({"a": 3, "b": 4}, {}, "The predictions of 'a' are of type int"),
        (pd.DataFrame({"id": [1]}), {}, "'DataFrame' has no column 'strategy'"),
        ({"a": [{"id": 1, "reference": "x"}]}, {}, "'list' has no column 'prediction'"),
        ({"a": [{"id": 1, "reference": "x", "prediction": "x", "cost": -1}]}, {}, "'a', row 1: 'cost' is wrong"),
        ({"a": [{"id": 1, "reference": "x", "prediction": "x"}]}, {"baselines": "a"}, r"write \['a'\]"),
        ({"a": [{"id": 1, "reference": "x", "prediction": "x"}]}, {"decision": {"margn": 1}}, "did you mean 'margin'"),
    ],
)
def test_what_cannot_be_decided_on_is_told_in_one_line(given, options, said):
    with pytest.raises(InputError, match=said) as caught:
        llmtl.decide(given, **options)
    assert "\n" not in str(caught.value)
