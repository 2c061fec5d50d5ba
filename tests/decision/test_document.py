"""`decision.json`: required fields, the schema, the way back, and no number that JSON cannot hold."""

import json
from dataclasses import replace

import jsonschema
import pytest

from llmtl.decision import choice_from_json, choice_to_json, from_json, schema, to_json
from llmtl.errors import RunError
from llmtl.task import METRICS, Metric, TaskKind
from tests.support.decision_worlds import TASK, drawn, exactly, run

OUTCOMES = {
    "majority": exactly(0.2, 40),
    "tfidf": exactly(0.6, 40),
    "zero-shot": exactly(0.7, 40),
    "qlora": exactly(0.9, 40),
}
DEMANDED = {
    "verdict",
    "winner",
    "reason",
    "metric",
    "target",
    "target_met",
    "chosen_before_test",
    "strategies",
    "comparisons",
    "minimum_detectable_difference",
}
DEMANDED_OF_A_STRATEGY = {
    "name",
    "role",
    "eligible",
    "why_not",
    "dev",
    "test",
    "usd_per_1k_requests",
    "p50_ms",
    "p95_ms",
    "train_seconds",
    "train_gpu_hours",
}


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


@pytest.mark.parametrize("metric", METRICS[TaskKind.CLASSIFICATION])
@pytest.mark.parametrize("names", [("tfidf", "zero-shot", "qlora"), ("qlora",), ("majority",), ("zero-shot", "qlora")])
def test_every_decision_validates_and_comes_back_the_same(validator, names, metric):
    outcomes = {name: OUTCOMES[name] for name in names}
    decision = run(outcomes, outcomes, task=replace(TASK, metric=metric, target=0.8))
    text = json.dumps(to_json(decision), allow_nan=False)
    validator.validate(json.loads(text))
    assert from_json(json.loads(text)) == decision


def test_the_demanded_fields_are_there_and_required():
    document = to_json(run(OUTCOMES, OUTCOMES))
    assert set(document) >= DEMANDED
    assert set(document["strategies"][0]) >= DEMANDED_OF_A_STRATEGY
    assert set(document["strategies"][0]["dev"]) == {"value", "ci95", "n"}
    assert set(document["strategies"][0]["test"]) == {"value", "ci95", "n", "failed", "seeds"}
    assert set(document["comparisons"][0]) >= {"a", "b", "difference", "ci95", "p", "p_holm", "method"}
    assert document["verdict"] in {"adopt", "tie", "baseline", "inconclusive"}
    assert set(schema()["required"]) >= DEMANDED
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_schema_refuses_another_verdict(validator):
    document = to_json(run(OUTCOMES, OUTCOMES)) | {"verdict": "maybe"}
    with pytest.raises(jsonschema.ValidationError, match="maybe"):
        validator.validate(document)


def test_the_choice_comes_back_the_same():
    choice = run(OUTCOMES, OUTCOMES).choice
    assert choice_from_json(json.loads(json.dumps(choice_to_json(choice)))) == choice


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_refused_with_its_place(value):
    decision = run(OUTCOMES, OUTCOMES)
    with pytest.raises(RunError, match=r"decision\.minimum_detectable_difference is not finite"):
        to_json(replace(decision, minimum_detectable_difference=value))
    broken = replace(decision.strategies[1], p50_ms=value)
    with pytest.raises(RunError, match=r"decision\.strategies\.0\.p50_ms"):
        to_json(replace(decision, strategies=(broken,)))


def test_a_foreign_document_is_refused_in_one_line():
    with pytest.raises(RunError, match="not what llmtl writes"):
        from_json({"verdict": "adopt"})


def test_deciding_twice_gives_the_same_decision():
    import numpy as np

    outcomes = drawn({"tfidf": 0.7, "qlora": 0.8}, 60, np.random.default_rng(1))
    task = replace(TASK, metric=Metric.MACRO_F1)
    assert run(outcomes, outcomes, task=task) == run(outcomes, outcomes, task=task)
