"""Shrunk differences against closed forms, numeric integration, and the truth they were drawn from."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import halfcauchy, norm

from llmtl.metrics.shrinkage import SPREADS, density, shrunk, spreads_given


@pytest.mark.parametrize("difference", [0.01, 0.03, 0.1, 0.4, 3.0])
def test_the_prior_of_a_difference_is_normal_with_a_half_cauchy_spread(difference):
    ratio = difference / 0.04
    # the spread is tan(v), with v uniform between 0 and pi / 2
    expected = quad(lambda v: norm.pdf(ratio, scale=np.tan(v)), 0, np.pi / 2)[0] / (np.pi / 2) / 0.04
    assert density(np.array([difference]), 0.04) == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize("ratio", [0.0, 1.0, 2.5, 6.0])
def test_of_a_difference_as_much_is_kept_as_integration_says(ratio):
    def weighted(spread, kept):
        return norm.pdf(ratio, scale=np.hypot(1, spread)) * halfcauchy.pdf(spread) * kept

    kept = quad(lambda u: weighted(u, u**2 / (1 + u**2)), 0, np.inf)[0] / quad(lambda u: weighted(u, 1), 0, np.inf)[0]
    found = spreads_given(ratio * 0.03, 0.03) @ (SPREADS**2 / (1 + SPREADS**2))
    assert found == pytest.approx(kept, abs=0.004)

    rng = np.random.default_rng(1)
    draws = 0.7 + 0.03 * rng.standard_normal((40_000, 2)) / np.sqrt(2) + np.array([0, 0.03 * ratio])
    difference = np.diff(shrunk(draws, rng), axis=1)
    assert difference.mean() == pytest.approx(kept * np.diff(draws, axis=1).mean(), abs=0.0006)


def test_beliefs_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(4)
    error, inside, believed, true = 0.02, [], [], []
    for _ in range(1000):
        scores = 0.7 + error * halfcauchy.rvs(random_state=rng) * rng.standard_normal(4)
        seen = scores + error * rng.standard_normal(4)
        draws = shrunk(seen + error * rng.standard_normal((400, 4)), rng)
        lead = draws[:, 0] - draws[:, 1]
        inside.append(np.quantile(lead, 0.1) <= scores[0] - scores[1] <= np.quantile(lead, 0.9))
        believed.append((draws.argmax(axis=1) == seen.argmax()).mean())
        true.append(scores.argmax() == seen.argmax())
    assert np.mean(inside) == pytest.approx(0.8, abs=0.03)
    # the one that leads is the best as often as is believed, although it leads in part by luck
    assert np.mean(true) == pytest.approx(np.mean(believed), abs=0.03)


def test_what_is_alike_stays_so_and_what_is_far_apart_stays_where_it_is():
    rng = np.random.default_rng(2)
    one = 0.8 + 0.02 * rng.standard_normal((2000, 1))
    assert (shrunk(np.concatenate([one, one], axis=1), rng) == one).all()
    far = np.concatenate([one, one, 0.3 + 0.02 * rng.standard_normal((2000, 1))], axis=1)
    found = shrunk(far, rng)
    assert found[:, 0] == pytest.approx(found[:, 1], abs=1e-9)
    assert found.mean(axis=0) == pytest.approx(far.mean(axis=0), abs=0.003)
    assert (shrunk(one, rng) == one).all()


def test_the_unit_of_what_is_shrunk_does_not_matter():
    draws = 0.8 + 0.02 * np.random.default_rng(3).standard_normal((500, 3))
    usd = shrunk(1e-6 * draws, np.random.default_rng(7))
    assert usd == pytest.approx(1e-6 * shrunk(draws, np.random.default_rng(7)), rel=1e-6)
