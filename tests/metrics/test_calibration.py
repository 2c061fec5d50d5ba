"""The calibration error against a plain re-count of the bins."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from llmtl.errors import DataError
from llmtl.metrics.calibration import calibration_test, expected_calibration_error

LABELS = ["a", "b", "c"]


def random_rows(seed, n=200):
    rng = np.random.default_rng(seed)
    table = rng.dirichlet([0.7, 1.0, 1.3], size=n)
    references = [LABELS[rng.choice(3, p=row)] for row in table]
    return references, table, [dict(zip(LABELS, row.tolist(), strict=True)) for row in table]


@pytest.mark.parametrize("seed", range(5))
def test_ece_is_the_gap_counted_bin_by_bin(seed):
    references, table, rows = random_rows(seed)
    confidence = table.max(axis=1)
    right = np.array([LABELS[i] for i in table.argmax(axis=1)]) == np.array(references)
    expected = 0.0
    for i in range(15):
        inside = (confidence > i / 15) & (confidence <= (i + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert expected_calibration_error(references, rows) == pytest.approx(expected)


def test_certain_and_right_is_perfect_and_certain_and_wrong_is_worst():
    assert expected_calibration_error(["a"], [{"a": 1.0, "b": 0.0}]) == 0
    assert expected_calibration_error(["a"], [{"a": 0.0, "b": 1.0}]) == 1


def test_a_failure_is_confident_in_nothing():
    assert expected_calibration_error(["a", "b"], [{}, {"a": 0.5, "b": 0.5}]) == pytest.approx((0.0 + 0.5) / 2)


def test_unequal_lengths_are_refused():
    with pytest.raises(DataError, match="one row of probabilities"):
        expected_calibration_error(["a"], [])


def test_spiegelhalters_z_is_that_of_a_published_example():
    # Rufibach (2010), table 1: two forecasts and the outcomes (1, 0)
    for chances, z in (((0.2, 0.2), 1.06), ((0.4, 0.5), 1.22)):
        found = calibration_test(np.array(chances), np.array([True, False]), np.arange(2))
        assert found.z == pytest.approx(z, abs=0.005)
        assert found.p == pytest.approx(2 * norm.sf(z), abs=0.005)


def drawn(seed, n=400, stretch=1.0, groups=1):
    """Return confidences and outcomes whose log-odds are `stretch` times as large; `groups` examples share one."""
    rng = np.random.default_rng(seed)
    odds, draws = rng.normal(1, 1.5, n // groups), rng.random(n // groups)
    rows = [odds, draws < 1 / (1 + np.exp(-odds)), np.arange(n // groups)]
    odds, right, codes = (np.repeat(row, groups) for row in rows)
    return 1 / (1 + np.exp(-stretch * odds)), right, codes


def test_it_rejects_what_is_calibrated_in_5_of_100_and_sees_overconfidence():
    rejected = np.mean([calibration_test(*drawn(seed)).p <= 0.05 for seed in range(1000)])
    assert 0.03 < rejected < 0.07
    assert np.mean([calibration_test(*drawn(seed, stretch=2)).p <= 0.05 for seed in range(100)]) > 0.9


def test_examples_that_are_right_or_wrong_together_count_as_one():
    grouped = np.mean([calibration_test(*drawn(seed, groups=4)).p <= 0.05 for seed in range(1000)])
    alone = np.mean([calibration_test(*drawn(seed, groups=4)[:2], np.arange(400)).p <= 0.05 for seed in range(1000)])
    assert grouped < 0.08
    assert alone > 0.2


def test_the_test_tells_means_and_the_expected_calibration_error():
    references, table, rows = random_rows(1)
    right = np.array([LABELS[i] for i in table.argmax(axis=1)]) == np.array(references)
    found = calibration_test(table.max(axis=1), right, np.arange(len(right)))
    assert (found.n, found.confidence, found.right) == (200, table.max(axis=1).mean(), right.mean())
    assert found.ece == pytest.approx(expected_calibration_error(references, rows))
    certain = calibration_test(np.ones(3), np.array([True, True, False]), np.arange(3))
    assert certain.p < 0.001


def test_the_mean_shows_what_spiegelhalter_cannot_see():
    found = calibration_test(np.full(4, 0.5), np.array([True] * 4), np.arange(4))
    assert found.p == 1
    assert found.p_mean == pytest.approx(2 * norm.sf(2))  # 4 hits where 2 are expected, with a variance of 1
    assert found.p_both == pytest.approx(4 * norm.sf(2))
    assert replace(found, p_mean=None).p_both == 1  # a run of before


def test_both_tests_together_reject_what_is_calibrated_in_at_most_5_of_100():
    assert np.mean([calibration_test(*drawn(seed)).p_both <= 0.05 for seed in range(1000)]) < 0.065
    assert np.mean([calibration_test(*drawn(seed, groups=4)).p_both <= 0.05 for seed in range(1000)]) < 0.08
