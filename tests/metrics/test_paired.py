"""Paired tests of shares and Holm's correction against statsmodels."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from llmtl.metrics.paired import MCNEMAR, compare_counts, holm, mcnemar_exact


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (5, 5), (0, 6), (12, 3), (30, 31), (400, 350)])
def test_mcnemar_is_that_of_statsmodels(only_a, only_b):
    expected = mcnemar([[7, only_a], [only_b, 2]], exact=True).pvalue
    assert mcnemar_exact(only_a, only_b) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(10))
def test_holm_is_that_of_statsmodels(seed):
    rng = np.random.default_rng(seed)
    p_values = rng.random(int(rng.integers(1, 8))) ** 3
    assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_holm_of_nothing_is_nothing():
    assert holm([]) == []


def test_a_comparison_of_shares_is_that_of_the_discordant_counts():
    result = compare_counts(3, 2, 5)
    assert (result.only_a, result.only_b, result.n, result.method) == (3, 2, 5, MCNEMAR)
    assert result.difference == pytest.approx(0.2)
    assert result.discordance == 1
    assert result.p == mcnemar_exact(3, 2)


def test_no_discordant_example_leaves_an_interval():
    result = compare_counts(0, 0, 20)
    assert (result.difference, result.p) == (0, 1)
    assert result.low < result.at_least < 0 < result.at_most < result.high


def test_the_standard_error_is_that_of_the_paired_differences():
    differences = np.array([1] * 12 + [-1] * 5 + [0] * 63)
    assert compare_counts(12, 5, 80).standard_error == pytest.approx(differences.std() / np.sqrt(80))
