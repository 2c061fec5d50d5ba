"""Whole runs of the other kinds of task with an embedded model; on real data where it is there."""

import json
from pathlib import Path

import jsonschema
import pytest

import llmtl
from llmtl.answers import read_labels, read_spans
from llmtl.decision.promise import Promise
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.report.decision_file import schema
from llmtl.store import read_json_lines
from tests.support.front_desk import run_quickly
from tests.support.kind_runs import BASELINES, PROMPTED, TUNED

SHARED = Path(__file__).parents[3] / "shared" / "data"


def writers(kind):
    return (*PROMPTED, *TUNED[kind.name])


@pytest.fixture(scope="module", params=[EXTRACTION, GENERATION, MULTI_LABEL], ids=lambda kind: kind.name)
def measured(request, kind_run):
    """Return the kind and a finished run of every strategy that writes and of every baseline."""
    return request.param, kind_run(request.param.name)


def test_every_strategy_is_measured_with_every_metric_of_the_kind(measured):
    kind, run = measured
    names = (*BASELINES[kind.name], *writers(kind))
    assert {(item.strategy, item.split) for item in run.evaluations} == {(n, s) for n in names for s in ("dev", "test")}
    for evaluation in run.evaluations:
        assert evaluation.kind is kind
        assert set(evaluation.scores) == {metric.value for metric in kind.metrics}
        assert all(0 <= interval.value <= 1 for interval in evaluation.scores.values())
    jsonschema.validate(json.loads((run.folder / "decision.json").read_text()), schema())
    assert (run.folder / "report.md").is_file()


def test_predictions_are_canonical_answers_or_failures(measured):
    kind, run = measured
    read = {EXTRACTION: read_spans, MULTI_LABEL: read_labels, GENERATION: str}[kind]
    files = list((run.folder / "predictions").glob("*.jsonl"))
    assert len(files) == 2 * len((*BASELINES[kind.name], *writers(kind)))
    for file in files:
        for row in read_json_lines(file):
            assert (row["prediction"] is None) == (row["failure"] is not None)
            if row["prediction"] is not None:
                read(row["prediction"])
            written = file.name.split(".")[0] in (*writers(kind), "crf")
            assert (row["logprob"] is not None and row["logprob"] <= 0) == written


def test_what_writes_answers_that_are_right_or_wrong_gets_a_confidence(measured):
    kind, run = measured
    for row in run.decision.automation:
        if kind is GENERATION:
            assert row.promise is Promise.BY_DEGREES
        elif row.strategy in (*writers(kind), "crf"):
            assert row.calibration.scale > 0
            assert 0 <= row.calibrated.p <= 1
        else:
            assert (row.promise, row.calibration, row.calibrated) == (Promise.NO_CONFIDENCE, None, None)


def test_a_finished_run_predicts_as_it_was_measured(measured):
    kind, run = measured
    texts = [row["text"] for row in read_json_lines(run.folder / "data" / "test.jsonl")]
    for name in (*BASELINES[kind.name], "few-shot", *TUNED[kind.name]):
        [evaluation] = [item for item in run.evaluations if (item.strategy, item.split) == (name, "test")]
        again = llmtl.load_run(run.folder).predictor(name).predict(texts)
        assert [each.answer for each in again] == [each.answer for each in evaluation.predictions]


def test_what_can_be_learned_from_generated_data_is_learned(measured):
    """The generated rows are plain enough for a trained baseline to beat the constant answer clearly."""
    kind, run = measured
    metric = kind.metrics[0].value
    scores = {item.strategy: item.scores[metric].value for item in run.evaluations if item.split == "test"}
    assert scores[BASELINES[kind.name][-1]] > scores["majority"] + 0.1


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (EXTRACTION, {"path": str(SHARED / "restaurant8k" / "train.jsonl"), "label": "entities"}),
        (GENERATION, {"path": str(SHARED / "e2e_nlg" / "dev.csv"), "text": "mr", "label": "ref"}),
    ],
    ids=["restaurant8k", "e2e_nlg"],
)
def test_real_data_from_end_to_end(tmp_path, kind, data):
    strategies = [*BASELINES[kind.name], "zero-shot", "few-shot"]
    document = {
        "name": "kinds",
        "data": data | {"max_dev": 20, "max_test": 50},
        "task": {"kind": kind.name},
        "model": {"name": "pocket-llama"},
        "encoder": None,
        "budget": {"minutes": 5},
        "strategies": {
            "run": strategies,
            "few_shot": {"shots": [2], "seeds": 1, "built_in_instructions": False},
            "zero_shot": {"built_in_instructions": False},
        },
        "decision": {"training_seeds": 1, "resamples": 1000},
        "learning_curve": {"enabled": False},
        "label_noise": {"refit_minutes": 0},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(document))  # JSON is YAML
    run = run_quickly(tmp_path / "recipe.yaml", tmp_path / "out")
    scores = {item.strategy: item.scores[kind.metrics[0].value].value for item in run.evaluations}
    assert set(scores) == set(strategies)
    # E2E sentences are so alike that one of them for every input was seen to score as well by chrF as the nearest one
    if kind is EXTRACTION:
        assert scores["crf"] > scores["dictionary"] > scores["majority"]
