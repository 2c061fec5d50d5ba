"""Simultaneous intervals: they say what the corrected test says, whatever was counted, else they are Bonferroni's."""

from dataclasses import replace

import numpy as np
import pytest

from llmtl.decision.evidence import gather
from llmtl.decision.outcome import Choice, Planned, Purpose
from llmtl.decision.simultaneous import simultaneous
from llmtl.metrics.intervals import tango
from llmtl.metrics.paired import compare_counts, holm
from llmtl.task import Metric
from tests.support.decision_worlds import CONFIG, TASK, drawn, evaluations

ALPHAS = (0.05, 0.05, 0.05, 0.01, 0.1, 0.0625)
"""At 0.0625 an exact p-value can be equal to alpha."""


def counted(rng):
    """Return a random alpha and the comparisons of one random decision, discordant counts of every size."""
    alpha, n = ALPHAS[rng.integers(len(ALPHAS))], int(rng.integers(1, 800))
    pairs = rng.binomial(n, rng.random() ** 2, size=int(rng.integers(1, 7)))
    wins = rng.binomial(pairs, np.clip(0.5 + rng.normal(0, 0.2, size=len(pairs)), 0, 1))
    number = len(pairs)
    return alpha, [
        compare_counts(int(w), int(k - w), n, alpha=alpha / number) for w, k in zip(wins, pairs, strict=True)
    ]


def excluded(interval):
    """Return whether 0 is not in an interval, whose end at 0 is open where it excludes it."""
    beyond = interval.low > 0 or interval.high < 0
    return beyond or (0.0 in (interval.low, interval.high) and interval.excludes_zero)


@pytest.mark.slow
def test_an_interval_excludes_zero_just_where_the_corrected_test_shows_a_difference():
    rng = np.random.default_rng(12)
    shown = cut = extended = 0
    for _ in range(4_000):
        alpha, measured = counted(rng)
        corrected = holm([item.p for item in measured])
        for item, p, found in zip(measured, corrected, simultaneous(measured, corrected, alpha=alpha), strict=True):
            assert excluded(found) == (p <= alpha) == found.excludes_zero
            assert found.low <= item.difference <= found.high
            shown += found.excludes_zero
            cut += found.excludes_zero and 0.0 in (found.low, found.high)
            extended += not found.excludes_zero and (item.joint[0] > 0 or item.joint[1] < 0)
    # both kinds of disagreement occur, so both are tested
    assert shown > 1000
    assert min(cut, extended) > 20


def test_where_test_and_interval_agree_it_is_that_of_bonferroni():
    measured = [compare_counts(60, 10, 200, alpha=0.025), compare_counts(11, 10, 200, alpha=0.025)]
    first, second = simultaneous(measured, holm([item.p for item in measured]), alpha=0.05)
    z = 2.2414027276  # the normal quantile of 1 - 0.05 / 4
    for found, counts in ((first, (60, 10)), (second, (11, 10))):
        expected = tango(*counts, 200, z=z)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
        assert (found.confidence, found.each) == pytest.approx((0.95, 0.975))


@pytest.mark.parametrize("metric", [Metric.ACCURACY, Metric.MACRO_F1])
def test_every_metric_gets_intervals_that_agree_with_its_test(metric):
    rng = np.random.default_rng(5)
    names = ("tfidf", "zero-shot", "few-shot")
    planned = tuple(Planned("few-shot", name, Purpose.RUNNER_UP) for name in names[:2])
    choice = Choice("few-shot", "few-shot", "tfidf", "few-shot", None, names, names, planned, 0.02, "then")
    for _ in range(12):
        outcomes = drawn({"tfidf": 0.7, "zero-shot": 0.75, "few-shot": 0.8}, 120, rng)
        test = {item.strategy: item for item in evaluations(outcomes, "test", intervals=False)}
        task = replace(TASK, metric=metric)
        for found in gather(choice, test, metric=task.metric, config=CONFIG).comparisons:
            assert excluded(found.ci_simultaneous) == (found.p_holm <= CONFIG.alpha)
            alone, together = found.ci95, found.ci_simultaneous
            assert together.low <= alone[0] + 1e-12 or found.p_holm <= CONFIG.alpha
            assert together.high >= alone[1] - 1e-12 or found.p_holm <= CONFIG.alpha
