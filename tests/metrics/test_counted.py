"""Intervals of the metrics of every kind of task: width, groups, coverage."""

import numpy as np
import pytest

from llmtl.answers import Span, write_spans
from llmtl.metrics import measure_of, score
from llmtl.metrics.counted import counted_interval
from llmtl.metrics.intervals import wilson
from llmtl.task import METRICS, Metric, TaskKind


def spans_of(rng, n, *, right):
    """Return references and answers with up to three spans each, found with probability `right`."""
    references, answers = [], []
    for _ in range(n):
        truth = [Span(5 * at, 5 * at + 3, str(rng.choice(["a", "b"])), "xyz") for at in range(int(rng.integers(0, 4)))]
        found = [span for span in truth if rng.random() < right]
        false = [Span(90, 93, "a", "xyz")] if rng.random() < 0.1 else []
        references.append(write_spans(truth))
        answers.append(write_spans([*found, *false]))
    return references, answers


def test_every_metric_of_a_kind_is_scored_the_default_first():
    references, answers = spans_of(np.random.default_rng(0), 60, right=0.8)
    answers[0] = None
    scores = score(references, answers, kind=TaskKind.EXTRACTION, labels=["a", "b"])
    assert list(scores) == [metric.value for metric in METRICS[TaskKind.EXTRACTION]]
    assert all(0 < each.low < each.value < each.high < 1 for each in scores.values())
    right = sum(one == two for one, two in zip(references, answers, strict=True))
    assert scores["exact_match"] == wilson(right, 60)


def test_alternatives_count_as_right_and_no_error_still_has_an_interval():
    texts = [f"the {word} sat there quietly" for word in ("cat", "dog", "cow", "hen")] * 5
    scores = score(["unlike"] * 20, texts, kind=TaskKind.GENERATION, alternatives=[(text,) for text in texts])
    assert list(scores) == ["chrf", "bleu", "rouge_l", "exact_match"]
    for interval in scores.values():
        assert interval.value == interval.high == pytest.approx(1)
        assert 0.7 < interval.low < 1


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_copies_in_groups_add_nothing(metric):
    rng = np.random.default_rng(2)
    references = rng.choice(["x", "y"], 50).tolist()
    answers = [truth if rng.random() < 0.7 else "x" for truth in references]
    alone = score(references, answers)[metric]
    groups = [f"g{n}" for n in range(50)] * 6
    apart, together = (score(references * 6, answers * 6, groups=given)[metric] for given in ((), groups))
    assert together.value == pytest.approx(alone.value) == pytest.approx(apart.value)
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.15)
    assert apart.high - apart.low < 0.6 * (together.high - together.low)


@pytest.mark.parametrize("metric", [Metric.MICRO_F1, Metric.MACRO_F1, Metric.PARTIAL_F1])
def test_span_intervals_cover_the_expected_score(metric):
    """Of 150 samples at most 1 in 9 intervals miss; 95% coverage misses 17 or more with probability 0.002."""
    rng = np.random.default_rng(4)
    references, answers = spans_of(rng, 10_000, right=0.7)
    measure = measure_of(metric, TaskKind.EXTRACTION, references)
    expected = float(measure.value(measure.counts(answers).sum(axis=0)))
    missed = 0
    for _ in range(150):
        references, answers = spans_of(rng, 60, right=0.7)
        measure = measure_of(metric, TaskKind.EXTRACTION, references, labels=["a", "b"])
        interval = counted_interval(measure, references, answers, resamples=300)
        missed += not interval.low <= expected <= interval.high
    assert missed <= 16
