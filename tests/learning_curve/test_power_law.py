import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import chi2, multivariate_normal, norm

from llmtl.learning_curve.power_law import Posterior, fit, misfit, predict_next, weighted_quantiles

SIZES = (20, 40, 80, 160, 320, 640)


def exact(a: float, b: float) -> list[float]:
    return [a * size**-b for size in SIZES]


def single(level: float, exponent: float, draw_sd: float) -> Posterior:
    return Posterior(50.0, *(np.array([value]) for value in (level, exponent, draw_sd, 1.0)))


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.2), (2.5, 0.5), (0.6, 0.1)])
def test_the_posterior_median_is_the_weighted_least_squares_fit(a: float, b: float) -> None:
    rng = np.random.default_rng(3)
    sigma = np.array([0.012, 0.011, 0.010, 0.009, 0.008, 0.007])
    errors = np.array(exact(a, b)) + sigma * rng.standard_normal(len(SIZES))
    posterior = fit(SIZES, errors, np.diag(sigma**2))
    # scipy's optimum and standard error, with the expected noise of the draw (its prior's mean) added
    noise = np.sqrt(sigma**2 + 0.01**2)
    (_, found), covariance = curve_fit(
        lambda n, a, b: a * n**-b, SIZES, errors, p0=(1, 0.3), sigma=noise, absolute_sigma=True
    )
    median = weighted_quantiles(posterior.exponent, posterior.weight, [0.5])[0]
    assert median == pytest.approx(found, abs=0.5 * np.sqrt(covariance[1, 1]) + 0.01)


def test_noise_that_all_sizes_share_leaves_their_differences_sharp() -> None:
    errors = exact(1.0, 0.3)
    alone, shared = 0.1**2 * np.eye(len(SIZES)), 0.1**2 * (0.9 * np.ones((6, 6)) + 0.1 * np.eye(6))
    spreads = []
    for covariance in (alone, shared):
        posterior = fit(SIZES, errors, covariance)
        gain = posterior.errors(SIZES[0]) - posterior.errors(SIZES[-1])
        low, high = weighted_quantiles(gain, posterior.weight, [0.1, 0.9])
        spreads.append(high - low)
    assert spreads[1] < 0.7 * spreads[0]


def test_the_misfit_is_the_chi_squared_p_value_of_the_weighted_least_squares_fit() -> None:
    rng = np.random.default_rng(5)
    errors = np.array(exact(1.5, 0.3)) + 0.04 * rng.standard_normal(len(SIZES))
    sigma = np.full(len(SIZES), np.hypot(0.02, 0.05))  # 0.05 is the largest noise of the draw
    (a, b), _ = curve_fit(lambda n, a, b: a * n**-b, SIZES, errors, p0=(1, 0.3), sigma=sigma, absolute_sigma=True)
    least = (((errors - a * np.array(SIZES) ** -b) / sigma) ** 2).sum()
    assert misfit(SIZES, errors, 0.02**2 * np.eye(len(SIZES))) == pytest.approx(chi2.sf(least, 4), abs=0.002)


def test_weights_sum_to_one_and_errors_never_exceed_one() -> None:
    posterior = fit(SIZES, exact(5.0, 0.4), 0.01**2 * np.eye(len(SIZES)))
    assert posterior.weight.sum() == pytest.approx(1)
    assert posterior.errors(1.0).max() == 1.0


def test_the_size_for_an_error_is_where_the_curve_reaches_it() -> None:
    posterior = fit(SIZES, exact(1.0, 0.3), 0.02**2 * np.eye(len(SIZES)))
    sizes = posterior.sizes_for(0.1)
    learning = posterior.exponent > 0.05
    reached = posterior.level[learning] * (sizes[learning] / posterior.middle) ** -posterior.exponent[learning]
    np.testing.assert_allclose(reached, 0.1)
    assert np.isinf(single(0.2, 0.0, 0.0).sizes_for(0.1)[0])
    assert single(0.05, 0.0, 0.0).sizes_for(0.1)[0] == 0
    assert np.isinf(single(0.2, 0.5, 0.0).sizes_for(0.0)[0])


def test_the_prediction_of_the_next_size_is_the_conditional_normal_distribution() -> None:
    rng = np.random.default_rng(0)
    root = rng.standard_normal((4, 4)) * 0.02
    covariance = root @ root.T + 1e-5 * np.eye(4)
    sizes, seen = SIZES[:4], [0.5, 0.42, 0.31]
    posterior = single(0.4, 0.3, 0.02)
    [mean], [sd] = predict_next(posterior, sizes, seen, covariance)
    # the conditional density is the joint over the marginal, whatever the algebra
    curve = 0.4 * (np.array(sizes) / 50) ** -0.3
    noise = covariance + 0.02**2 * np.eye(4)
    marginal = multivariate_normal(curve[:3], noise[:3, :3]).logpdf(seen)
    for error in (0.2, 0.28, 0.35):
        joint = multivariate_normal(curve, noise).logpdf([*seen, error])
        assert norm(mean, sd).logpdf(error) == pytest.approx(joint - marginal, abs=1e-6)


def test_weighted_quantiles_agree_with_numpy() -> None:
    rng = np.random.default_rng(1)
    values, weights = rng.standard_normal(200), rng.random(200)
    shares = [0.025, 0.1, 0.5, 0.9]
    expected = np.quantile(values, shares, weights=weights, method="inverted_cdf")
    np.testing.assert_allclose(weighted_quantiles(values, weights, shares), expected)
