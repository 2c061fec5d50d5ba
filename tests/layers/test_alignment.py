"""Linear CKA: against the U-statistic summed over all texts, and what it must not depend on."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import ortho_group

from llmtl.layers.alignment import linear_cka


def drawn(n, width, seed):
    return np.random.default_rng(seed).standard_normal((n, width))


def summed_hsic(one, other):
    """Sum the kernel of the U-statistic over all ordered sets of four texts (Song et al. 2012, theorem 3)."""
    k, ll = one @ one.T, other @ other.T
    terms = [k[i, j] * (ll[i, j] + ll[q, r] - 2 * ll[i, q]) for i, j, q, r in permutations(range(len(one)), 4)]
    return np.mean(terms)


def test_it_is_the_ratio_of_unbiased_estimates():
    one = drawn(9, 4, 0) + 3.0  # states have means
    other = one[:, :3] + 0.5 * drawn(9, 3, 1)
    expected = summed_hsic(one, other) / np.sqrt(summed_hsic(one, one) * summed_hsic(other, other))
    assert linear_cka(one, other) == pytest.approx(expected, rel=1e-9)


def test_rotation_scale_and_shift_change_nothing():
    one, other = drawn(40, 6, 0), drawn(40, 6, 0) + 0.7 * drawn(40, 6, 1)
    turned = 5.0 * other @ ortho_group.rvs(6, random_state=0) + 2.0
    assert linear_cka(one, one) == pytest.approx(1.0)
    assert linear_cka(one, turned) == pytest.approx(linear_cka(one, other))


def test_unrelated_states_of_few_texts_are_about_0_where_the_biased_form_is_not():
    found = [linear_cka(drawn(30, 100, seed), drawn(30, 100, seed + 500)) for seed in range(40)]
    assert abs(np.mean(found)) < 0.05
    assert min(found) < 0 < max(found)


def test_mini_batches_estimate_what_all_texts_together_say():
    one, other = drawn(600, 10, 0), drawn(600, 10, 0) + drawn(600, 10, 1)
    assert linear_cka(one, other, batch=50) == pytest.approx(linear_cka(one, other, batch=600), abs=0.02)


def test_what_cannot_be_compared_is_said():
    assert linear_cka(np.ones((8, 3)), drawn(8, 3, 0)) == 0.0
    with pytest.raises(ValueError, match="at least 4"):
        linear_cka(drawn(3, 2, 0), drawn(3, 2, 1))
