"""Evaluating tasks of every kind: scores, failures and tokens."""

import pytest

from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.pipeline.evaluate import FEWEST_REQUESTS, PASSES, Subject, evaluate, latency_seconds
from llmtl.strategy import Prediction, Role
from llmtl.task import Example, Task

REFERENCES = {
    CLASSIFICATION: ["a", "b", "b"],
    MULTI_LABEL: ['["a"]', "[]", '["a", "b"]'],
    EXTRACTION: ['[{"type": "a", "text": "t", "start": 0, "end": 1}]', "[]", "[]"],
    GENERATION: ["one two three four", "five six seven eight", "nine ten eleven twelve"],
}


class Counting:
    """Answers `a` and notes how many texts each call had."""

    def __init__(self):
        self.calls = []

    def predict(self, texts, *, advance=None):
        self.calls.append(len(texts))
        return [Prediction(str(n), "a") for n in range(len(texts))]


class Fixed:
    """Answers from a table; what is not in it fails."""

    def __init__(self, answers):
        self.answers = answers

    def predict(self, texts, *, advance=None):
        return [
            Prediction(str(n), self.answers.get(text), failure=None if text in self.answers else "unparsable",
                       prompt_tokens=10, completion_tokens=2)
            for n, text in enumerate(texts)
        ]  # fmt: skip


def test_every_kind_is_scored_in_all_its_metrics_and_a_failure_is_an_error():
    for kind, references in REFERENCES.items():
        labels = () if kind is GENERATION else ("a", "b")
        task = Task("t", labels, metric=kind.metrics[0], kind=kind)
        examples = [Example(f"x{n}", f"text {n}", reference, group="g") for n, reference in enumerate(references)]
        right = {each.text: each.reference for each in examples}
        whole, failing = (
            evaluate(
                Subject("s", Role.PROMPTING, Fixed(answers), "cpu", 0.0),
                task,
                examples,
                split="dev",
            )
            for answers in (right, {text: right[text] for text in list(right)[:2]})
        )
        assert list(whole.scores) == list(kind.metrics)
        assert (whole.kind, whole.labels, whole.groups, whole.alternatives) == (kind, labels, ("g",) * 3, ())
        assert (whole.failed, failing.failed) == (0, 1)
        assert [each.id for each in failing.predictions] == ["x0", "x1", "x2"]
        assert failing.answers == [*references[:2], None]
        assert failing.completion_tokens_per_request == 2
        for metric in kind.metrics:
            assert failing.scores[metric].value < whole.scores[metric].value == 1
            measure = failing.measure(metric)
            assert measure.value(measure.counts(failing.answers).sum(axis=0)) == failing.scores[metric].value


def test_a_quick_pass_over_dev_is_timed_several_times_unless_inputs_are_remembered():
    task = Task("t", ("a", "b"), metric=CLASSIFICATION.metrics[0], kind=CLASSIFICATION)
    examples = [Example(f"x{n}", f"text {n}", "a") for n in range(30)]
    passes, made = {}, {}
    for split, remembers in (("dev", False), ("dev", True), ("test", False)):
        predictor = Counting()
        subject = Subject("s", Role.PROMPTING, predictor, "cpu", 0.0, remembers=remembers)
        made[split, remembers] = evaluate(subject, task, examples, split=split)
        passes[split, remembers] = predictor.calls.count(30)
    assert passes == {("dev", False): 1 + PASSES, ("dev", True): 1, ("test", False): 1}
    timed = made["dev", False]
    assert [n for n, _ in timed.timings] == [30] * PASSES
    assert timed.seconds == pytest.approx(sum(seconds for _, seconds in timed.timings) / PASSES)


def test_slow_requests_are_fewer_and_further_draws_have_none(monkeypatch):
    monkeypatch.setattr("llmtl.pipeline.evaluate.LATENCY_SECONDS", 0.0)
    task = Task("t", ("a", "b"), metric=CLASSIFICATION.metrics[0], kind=CLASSIFICATION)
    examples = [Example(f"x{n}", f"text {n}", "a") for n in range(30)]
    subject = Subject("s", Role.PROMPTING, Counting(), "cpu", 0.0)
    assert len(evaluate(subject, task, examples, split="test").latencies_ms) == FEWEST_REQUESTS
    drawn = evaluate(subject, task, examples, split="test", latency=False)
    assert (drawn.latencies_ms, drawn.p50_ms, drawn.p95_ms) == ((), None, None)


def test_the_time_for_latency_is_forecast_as_it_is_measured():
    assert latency_seconds(50, 0.4) == pytest.approx(22 * 0.4)
    assert latency_seconds(50, 2.0) == pytest.approx((2 + 16) * 2.0)
    assert latency_seconds(50, 60.0) == pytest.approx((2 + FEWEST_REQUESTS) * 60.0)
    assert latency_seconds(5, 1.0) == pytest.approx(7.0)
    assert latency_seconds(50, 0.0) == 0.0
