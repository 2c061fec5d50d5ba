"""Bounds against statsmodels and scipy, the ladder against its definition, the level by simulation."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import betabinom, binom
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from llmtl.metrics.selective import (
    LEAST_CHANCE,
    Count,
    Marked,
    Rung,
    answered,
    build_ladder,
    climb,
    errors_among,
    expected_share,
    fewest_to_show,
    separation,
)


def drawn(n, *, seed=0, ease=2.0, groups=()):
    rng = np.random.default_rng(seed)
    s = rng.normal(ease, 2, n)
    return Marked.of(expit(s), rng.random(n) < expit(s), groups)


@pytest.mark.parametrize(("hits", "n"), [(0, 59), (3, 200), (12, 150), (150, 150)])
def test_bounds_are_clopper_and_pearsons_and_the_p_value_is_binomial(hits, n):
    count = Count(hits, n, float(n))
    assert count.chance_of_fewer(0.05) == pytest.approx(binom.cdf(hits, n, 0.05), abs=1e-12)
    assert count.at_most(0.05) == pytest.approx(proportion_confint(hits, n, 0.10, method="beta")[1])
    found = count.interval()
    assert (found.low, found.high) == pytest.approx(proportion_confint(hits, n, 0.05, method="beta"))


def test_the_bound_is_below_the_limit_exactly_where_the_test_rejects():
    for n in (58, 59, 100, 300):
        for hits in range(20):
            count = Count(hits, n, float(n))
            assert (count.at_most(0.05) <= 0.05) == (count.chance_of_fewer(0.05) <= 0.05)


def test_59_answers_without_an_error_show_5_percent():
    assert fewest_to_show(0.05, 0.05) == 59
    assert Count(0, 59, 59.0).chance_of_fewer(0.05) <= 0.05 < Count(0, 58, 58.0).chance_of_fewer(0.05)


def test_failed_predictions_are_never_let_through_and_count_among_all():
    marked = Marked.of([0.9, -np.inf, 0.2, -np.inf], [True, False, True, False])
    assert (answered(marked, 0.0).hits, answered(marked, 0.0).n) == (2, 4)
    assert errors_among(marked, 0.0).hits == 0


def test_the_first_rung_is_the_likeliest_to_pass_and_later_ones_let_more_through():
    dev, n_test = drawn(800), 1000
    ladder = build_ladder(dev, n_test, limit=0.05, level=0.05)
    thresholds, shares = [rung.threshold for rung in ladder], [rung.share for rung in ladder]
    assert thresholds == sorted(thresholds, reverse=True)
    assert shares == sorted(shares)
    assert len(ladder) == 20
    for rung in ladder:
        through = errors_among(dev, rung.threshold)
        assert through.n / dev.n == rung.share
        m = round(n_test * rung.share)
        most = max(k for k in range(m) if binom.cdf(k, m, 0.05) <= 0.05)
        predicted = betabinom.cdf(most, m, through.hits + 0.5, through.n - through.hits + 0.5)
        assert rung.chance == pytest.approx(predicted)
        assert rung.chance >= LEAST_CHANCE
    assert ladder[0].chance == max(rung.chance for rung in ladder)


def test_a_threshold_lies_between_the_confidences_on_dev():
    dev = drawn(300, ease=4)
    for rung in build_ladder(dev, 300, limit=0.05, level=0.05)[:-1]:
        assert rung.threshold not in dev.confidence


def test_a_strategy_that_is_hardly_ever_wrong_may_answer_everything():
    dev = Marked.of(np.full(400, 0.7), np.arange(400) > 2)
    (rung,) = build_ladder(dev, 400, limit=0.05, level=0.05, all_or_none=True)
    assert (rung.threshold, rung.share) == (0.0, 1.0)
    assert build_ladder(drawn(400), 400, limit=0.05, level=0.05, all_or_none=True) == ()


@pytest.mark.parametrize("n_test", [10, 58])
def test_no_threshold_is_tried_where_test_is_too_small(n_test):
    assert build_ladder(Marked.of(np.full(500, 0.9), np.ones(500)), n_test, limit=0.05, level=0.05) == ()


def test_no_confidence_gives_no_ladder():
    assert build_ladder(Marked.of([-np.inf] * 4, [False] * 4), 100, limit=0.05, level=0.05) == ()


def test_the_climb_ends_at_the_first_threshold_that_is_not_shown():
    # 100 sure answers are right, the next 100 are not, the rest again
    confidence = np.repeat([0.9, 0.5, 0.1], [100, 100, 4000])
    test = Marked.of(confidence, confidence != 0.5)
    assert errors_among(test, 0.0).chance_of_fewer(0.05) <= 0.05
    assert climb((0.8, 0.4, 0.0), test, limit=0.05, level=0.05) == 0.8
    assert climb((0.4, 0.0), test, limit=0.05, level=0.05) is None
    assert climb((), test, limit=0.05, level=0.05) is None


def test_the_expected_share_takes_the_smallest_chance_up_to_a_rung():
    assert expected_share((Rung(0.9, 0.4, 0.9), Rung(0.5, 0.6, 0.5), Rung(0.2, 0.8, 0.6))) == pytest.approx(
        0.4 * 0.9 + 0.2 * 0.5 + 0.2 * 0.5
    )
    assert expected_share(()) == 0


def test_separation_is_the_area_under_the_roc_curve():
    rng = np.random.default_rng(3)
    more, less = rng.normal(1, 1, 80).round(1), rng.normal(0, 1, 50).round(1)
    found = separation(more, less)
    expected = roc_auc_score(np.repeat([1, 0], [80, 50]), np.concatenate([more, less]))
    assert found.auroc == pytest.approx(expected)
    assert found.p < 0.001
    assert separation(more, more[:0]) is None


def test_groups_are_worth_fewer_examples():
    codes = np.repeat(np.arange(40), 5)
    alike = np.repeat(np.arange(40) < 4, 5)
    apart = (np.arange(200) % 5 == 0) & (codes < 20)
    groups = [str(code) for code in codes]
    one = errors_among(Marked.of(np.ones(200), ~alike, groups), 0.0)
    other = errors_among(Marked.of(np.ones(200), ~apart, groups), 0.0)
    alone = errors_among(Marked.of(np.ones(200), ~alike), 0.0)
    assert (one.hits, other.hits, alone.effective_n) == (20, 20, 200.0)
    assert one.effective_n < 42
    assert 150 < other.effective_n <= 200
    assert one.at_most(0.05) > other.at_most(0.05) > alone.at_most(0.05) - 1e-2
    # without any error the groups could be all alike: each is worth one example
    assert errors_among(Marked.of(np.ones(200), np.ones(200), groups), 0.0).effective_n == pytest.approx(40, rel=0.05)
    assert errors_among(Marked.of(np.ones(5), np.ones(5), ["a"] * 5), 0.0).chance_of_fewer(0.05) == 1.0


def test_a_false_promise_is_rarer_than_the_level_though_the_last_of_many_thresholds_is_taken():
    """At every threshold the true error is just above the limit: whatever stands in the end is a false promise."""
    rng = np.random.default_rng(11)
    thresholds = tuple(np.linspace(0.5, 0.0, 20))
    worlds = [Marked.of(rng.random(400), rng.random(400) > 0.0501) for _ in range(1500)]
    false = sum(climb(thresholds, test, limit=0.05, level=0.05) is not None for test in worlds)
    assert false <= binom.ppf(0.999, 1500, 0.05)
