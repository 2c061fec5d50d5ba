import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import chi2, multivariate_normal, norm

from llmtl.learning_curve.power_law import DRAW_SDS, Posterior, fit, misfit, predict_next, weighted_quantiles

SIZES = (20, 40, 80, 160, 320, 640)


def exact(a: float, b: float) -> list[float]:
    return [a * size**-b for size in SIZES]


def single(level: float, exponent: float, irreducible: float = 0.0, timescale: float = np.inf) -> Posterior:
    even = np.full((1, len(DRAW_SDS)), 1 / len(DRAW_SDS))
    return Posterior(50.0, *(np.array([value]) for value in (level, exponent, timescale, irreducible)), even)


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.2), (2.5, 0.5), (0.6, 0.1)])
def test_the_posterior_median_is_the_weighted_least_squares_fit(a: float, b: float) -> None:
    rng = np.random.default_rng(3)
    sigma = np.array([0.012, 0.011, 0.010, 0.009, 0.008, 0.007])
    errors = np.array(exact(a, b)) + sigma * rng.standard_normal(len(SIZES))
    posterior = fit(SIZES, errors, np.diag(sigma**2)).without_irreducible()
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


def test_an_irreducible_error_is_found_where_the_data_show_one_and_never_excluded_where_not() -> None:
    noise = 0.002**2 * np.eye(len(SIZES))
    with_one = fit(SIZES, [0.2 + 2.0 * size**-0.6 for size in SIZES], noise)
    without = fit(SIZES, exact(1.0, 0.3), noise)
    prior = 0.5
    assert with_one.weight[with_one.irreducible == 0].sum() < prior < without.weight[without.irreducible == 0].sum()
    # what the points cannot tell widens the forecast, on the side of a curve that levels off
    blurred = fit(SIZES, exact(1.0, 0.3), 0.01**2 * np.eye(len(SIZES)))
    low, high = blurred.quantiles(2560, (0.1, 0.9))
    law = blurred.without_irreducible().quantiles(2560, (0.1, 0.9))
    assert high > law[1]
    assert high - low > law[1] - law[0]
    [floor] = weighted_quantiles(with_one.irreducible * with_one.level, with_one.weight, [0.5])
    assert floor == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize(("floor", "timescale"), [(0.1, 900.0), (0.1, 400.0), (0.05, 1500.0)])
def test_a_curve_that_saturates_exponentially_is_in_the_band_and_not_in_that_of_the_power_laws(
    floor: float, timescale: float
) -> None:
    errors = [floor + 0.5 * np.exp(-size / timescale) for size in SIZES]
    posterior = fit(SIZES, errors, 0.01**2 * np.eye(len(SIZES)))
    low, high = posterior.quantiles(2560, (0.1, 0.9))
    assert low < floor + 0.5 * np.exp(-2560 / timescale) < high < posterior.power_laws().quantiles(2560, (0.1,))[0]
    # scipy's optimum lies within the interval of each parameter
    (_, _, best), _ = curve_fit(lambda n, c, a, t: c + a * np.exp(-n / t), SIZES, errors, p0=(0.2, 0.4, 600))
    bent = np.isfinite(posterior.timescale)
    low, high = weighted_quantiles(posterior.timescale[bent], posterior.weight[bent], (0.1, 0.9))
    assert low < best < high


def test_power_laws_are_left_however_little_they_weigh() -> None:
    posterior = fit(SIZES[:5], [0.8, 0.79, 0.78, 0.02, 0.01], 1e-6 * np.eye(5))
    assert posterior.weight[np.isinf(posterior.timescale)].sum() < 1e-6
    for left in (posterior.power_laws(), posterior.without_irreducible()):
        assert left.weight.sum() == pytest.approx(1)
        assert np.isinf(left.timescale).all()


def test_an_exact_power_law_is_told_from_an_exponential() -> None:
    posterior = fit(SIZES, exact(1.0, 0.3), 0.005**2 * np.eye(len(SIZES)))
    assert posterior.weight[np.isinf(posterior.timescale)].sum() > 0.95


def test_the_misfit_is_the_chi_squared_p_value_of_the_weighted_least_squares_fit() -> None:
    rng = np.random.default_rng(5)
    errors = 0.1 + np.array(exact(1.5, 0.45)) + 0.04 * rng.standard_normal(len(SIZES))
    sigma = np.full(len(SIZES), np.hypot(0.02, 0.05))  # 0.05 is the largest noise of the draw
    (a, b, c), _ = curve_fit(
        lambda n, a, b, c: a * n**-b + c,
        SIZES,
        errors,
        p0=(1, 0.3, 0.05),
        sigma=sigma,
        absolute_sigma=True,
        bounds=([0, 0, 0], [10, 1, 1]),
    )
    least = (((errors - a * np.array(SIZES) ** -b - c) / sigma) ** 2).sum()
    assert misfit(SIZES, errors, 0.02**2 * np.eye(len(SIZES))) == pytest.approx(chi2.sf(least, 3), abs=0.005)


def test_weights_sum_to_one_and_errors_never_exceed_one() -> None:
    posterior = fit(SIZES, exact(5.0, 0.4), 0.01**2 * np.eye(len(SIZES)))
    assert posterior.weight.sum() == pytest.approx(1)
    assert posterior.errors(1.0).max() == 1.0


def test_the_size_for_an_error_is_where_the_curve_reaches_it() -> None:
    posterior = fit(SIZES, exact(1.0, 0.3), 0.02**2 * np.eye(len(SIZES)))
    sizes = posterior.sizes_for(0.1)
    reached = [float(posterior.errors(size)[cell]) for cell, size in enumerate(sizes) if size < 1e9]
    assert len(reached) > 100
    np.testing.assert_allclose(reached, 0.1)
    assert np.isinf(single(0.2, 0.0).sizes_for(0.1)[0])
    assert single(0.05, 0.0).sizes_for(0.1)[0] == 0
    assert np.isinf(single(0.2, 0.5).sizes_for(0.0)[0])
    assert np.isinf(single(0.2, 0.5, irreducible=0.5).sizes_for(0.1)[0])  # where it levels off
    assert single(0.2, 0.5, irreducible=0.5).sizes_for(0.15)[0] == pytest.approx(200)
    exponential = single(0.2, 0.0, irreducible=0.5, timescale=30.0)
    assert exponential.sizes_for(0.15)[0] == pytest.approx(50 + 30 * np.log(2))
    assert np.isinf(exponential.sizes_for(0.1)[0])
    assert exponential.sizes_for(0.9)[0] == 0  # reached before there was an example


def test_the_prediction_of_the_next_size_is_the_conditional_normal_distribution() -> None:
    rng = np.random.default_rng(0)
    root = rng.standard_normal((4, 4)) * 0.02
    covariance = root @ root.T + 1e-5 * np.eye(4)
    sizes, seen = SIZES[:4], [0.5, 0.42, 0.31]
    posterior, column = single(0.4, 0.3), int(np.flatnonzero(DRAW_SDS == 0.02)[0])
    means, sds = predict_next(posterior, sizes, seen, covariance)
    mean, sd = means[0, column], sds[column]
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
