"""`decision.json`: required fields, the schema, the way back, and no number that JSON cannot hold."""

import json
from dataclasses import replace

import jsonschema
import pytest

from llmtl.decision.outcome import Verdict
from llmtl.decision.outlook import MoreRequests
from llmtl.errors import RunError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.report.decision_file import choice_from_json, choice_to_json, from_json, kept_summary, schema, to_json
from llmtl.report.sentences import summarize
from llmtl.task import Metric
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


def written(decision):
    return to_json(decision, summarize(decision))


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


@pytest.mark.parametrize("metric", CLASSIFICATION.metrics)
@pytest.mark.parametrize("names", [("tfidf", "zero-shot", "qlora"), ("qlora",), ("majority",), ("zero-shot", "qlora")])
def test_every_decision_validates_and_comes_back_the_same(validator, names, metric):
    outcomes = {name: OUTCOMES[name] for name in names}
    decision = run(outcomes, outcomes, task=replace(TASK, metric=metric, target=0.8))
    text = json.dumps(written(decision), allow_nan=False)
    validator.validate(json.loads(text))
    assert from_json(json.loads(text)) == decision
    assert kept_summary(json.loads(text), decision) == summarize(decision)


def test_the_demanded_fields_are_there_and_required():
    document = written(run(OUTCOMES, OUTCOMES))
    assert set(document) >= DEMANDED
    assert set(document["strategies"][0]) >= DEMANDED_OF_A_STRATEGY
    assert set(document["strategies"][0]["dev"]) == {"value", "ci95", "n"}
    assert set(document["strategies"][0]["test"]) == {
        "value",
        "ci95",
        "n",
        "failed",
        "seeds",
        "draw",
        "draw_sd",
    }
    assert set(document["comparisons"][0]) >= {"a", "b", "difference", "ci95", "p", "p_holm", "method"}
    assert document["verdict"] in {"adopt", "tie", "baseline", "inconclusive"}
    assert set(schema()["required"]) >= DEMANDED
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_schema_refuses_another_verdict(validator):
    document = written(run(OUTCOMES, OUTCOMES)) | {"verdict": "maybe"}
    with pytest.raises(jsonschema.ValidationError, match="maybe"):
        validator.validate(document)


def test_the_choice_comes_back_the_same():
    choice = run(OUTCOMES, OUTCOMES).choice
    assert choice_from_json(json.loads(json.dumps(choice_to_json(choice)))) == choice


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_refused_with_its_place(value):
    decision = run(OUTCOMES, OUTCOMES)
    with pytest.raises(RunError, match=r"decision\.minimum_detectable_difference is not finite"):
        to_json(replace(decision, minimum_detectable_difference=value), summarize(decision))
    broken = replace(decision.strategies[1], p50_ms=value)
    with pytest.raises(RunError, match=r"decision\.strategies\.0\.p50_ms"):
        to_json(replace(decision, strategies=(broken,)), summarize(decision))


def test_a_foreign_document_is_refused_in_one_line():
    with pytest.raises(RunError, match="not what llmtl writes"):
        from_json({"verdict": "adopt"})


def test_a_newer_document_is_refused_in_one_line():
    with pytest.raises(RunError, match="schema version 3, which this llmtl does not know; update llmtl"):
        from_json(written(run(OUTCOMES, OUTCOMES)) | {"schema_version": 3})


def test_a_metric_that_is_none_is_refused_in_one_line():
    with pytest.raises(RunError, match="the metric 'luck', which this llmtl does not know"):
        from_json(written(run(OUTCOMES, OUTCOMES)) | {"metric": "luck"})


ADDED = {"schema_version", "rule", "hangs_on", "cheapest_tied", "alpha", "requests", "grouped", "changes", "cautions"}
ADDED_WITHIN = {"purpose", "barred", "broken", "at_least"}


def version_1(document, added=ADDED):
    """Return a document as versions before 2 wrote it: sentences in place of codes."""
    if isinstance(document, dict):
        return {key: version_1(value, ADDED_WITHIN) for key, value in document.items() if key not in added}
    return [version_1(value, ADDED_WITHIN) for value in document] if isinstance(document, list) else document


def test_a_document_of_version_1_keeps_to_the_schema_and_shows_the_sentences_it_kept(validator):
    slow = {"tfidf": exactly(0.5, 150), "few-shot": exactly(0.9, 150), "qlora": exactly(0.9, 150)}
    decision = run(slow, slow)
    document = version_1(written(decision))
    validator.validate(document)
    read = from_json(document)
    assert (read.verdict, read.winner, read.rule) == (Verdict.ADOPT, "few-shot", None)
    assert [item.purpose for item in read.comparisons] == [item.purpose for item in decision.comparisons]
    assert read.changes == tuple(item for item in decision.changes if isinstance(item, MoreRequests))
    assert kept_summary(document, read) == summarize(decision)
    with pytest.raises(RunError, match="earlier version"):
        summarize(read)


def test_deciding_twice_gives_the_same_decision():
    import numpy as np

    outcomes = drawn({"tfidf": 0.7, "qlora": 0.8}, 60, np.random.default_rng(1))
    task = replace(TASK, metric=Metric.MACRO_F1)
    assert run(outcomes, outcomes, task=task) == run(outcomes, outcomes, task=task)
