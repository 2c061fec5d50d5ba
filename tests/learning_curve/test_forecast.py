import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import halfnorm, norm

from llmtl.learning_curve import CurvePoint, MeasuredCurve, forecast
from llmtl.learning_curve.power_law import fit
from tests.support.curve_worlds import SIZES, exactly, measured, power_law


def scores(a: float, b: float) -> list[float]:
    return [1 - error for error in power_law(a, b)]


@pytest.mark.slow
@pytest.mark.parametrize("irreducible", [0.0, 0.1])
def test_the_band_holds_the_truth_four_times_in_five_on_simulated_curves(irreducible: float) -> None:
    rng = np.random.default_rng(11)
    held, made = 0, 0
    worlds = 20
    for seed in range(worlds):
        exponent, start = rng.uniform(0.1, 0.5), rng.uniform(0.4, 0.8) - irreducible
        a = start * SIZES[0] ** exponent
        true = irreducible + np.array(power_law(a, exponent))
        found = forecast(measured(np.clip(true + 0.015 * rng.standard_normal(len(SIZES)), 0.01, 0.99), seed=seed))
        if found.refusal is None:
            made += 1
            held += found.band[-1].low <= 1 - irreducible - a * 1600**-exponent <= found.band[-1].high
    # 80% of 20 is 16; a binomial count falls below 12 once in 100 times
    assert made >= 15
    assert held >= 12 * made / worlds


def test_a_forecast_ends_at_four_times_the_data_and_widens_on_the_way() -> None:
    found = forecast(exactly(scores(1.5, 0.35)), target=0.9)
    assert found.furthest == found.band[-1].size == 1600
    width = {band.size: band.high - band.low for band in found.band}
    assert width[1600] > width[min(size for size in width if size >= 400)]
    assert found.back_test is not None
    assert found.back_test.passed
    assert found.exponent is not None
    assert found.exponent.low < 0.35 < found.exponent.high


def test_what_a_target_needs_holds_the_true_size() -> None:
    found = forecast(exactly(scores(3.0, 0.5)), target=0.86)
    true = (3.0 / 0.14) ** (1 / 0.5)
    assert found.needed is not None
    assert found.needed.low is not None
    assert found.needed.high is not None
    assert found.needed.low < true < found.needed.high
    assert forecast(exactly(scores(1.5, 0.35)), target=0.5).needed is None  # reached already


def test_a_target_beyond_the_horizon_has_no_ends() -> None:
    found = forecast(exactly(scores(1.0, 0.1)), target=0.95)
    assert found.needed is not None
    assert (found.needed.low, found.needed.high) == (None, None)
    assert found.needed.beyond > 0.95


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([0.5, 0.6, 0.7], "only 3 sizes were measured"),
        ([0.5, 0.6, 0.7, 0.9, 1.0], "no error is left"),
        ([0.5, 0.65, 0.45, 0.7, 0.75], "falls from 0.650"),
        ([0.60, 0.61, 0.60, 0.61, 0.61], "flat"),
        ([0.30, 0.31, 0.32, 0.33, 0.60], "back-test fails"),
        ([0.30, 0.30, 0.75, 0.76, 0.80], "follow no power law"),
    ],
)
def test_curves_that_carry_no_forecast_are_refused_with_the_reason(values: list[float], reason: str) -> None:
    found = forecast(exactly(values, sizes=SIZES[: len(values)]), target=0.9)
    assert found.refusal is not None
    assert reason in found.refusal
    assert (found.band, found.doubling, found.needed) == ((), None, None)
    assert found.flat == (reason == "flat")


@pytest.mark.parametrize("gain", [0.03, 0.045, 0.055, 0.08])
def test_a_rise_that_another_draw_of_train_explains_is_flat(gain: float) -> None:
    # the one-sided p-value over the half-normal prior of the noise of the draw, by quadrature
    def tail(sd: float) -> float:
        return float(halfnorm(scale=0.02).pdf(sd) * norm.sf(gain / np.hypot(np.sqrt(2) * 0.01, np.sqrt(2) * sd)))

    expected = quad(tail, 0, 0.2)[0]
    assert forecast(exactly(np.linspace(0.6, 0.6 + gain, 5))).flat == (expected > 0.05)


def test_the_point_is_the_middle_of_all_laws_and_the_band_is_wider_than_theirs() -> None:
    curve = exactly([0.41, 0.44, 0.49, 0.55, 0.61])  # steeper at every size: more like an exponential
    found = forecast(curve)
    assert found.refusal is None
    laws = fit(curve.sizes, curve.errors, curve.noise)
    for band in found.band:
        high, middle, low = 1 - laws.quantiles(band.size, (0.1, 0.5, 0.9))
        assert band.median == pytest.approx(middle, abs=0.03)
        assert band.low < low
        assert band.high > high
    assert found.band[-1].median > 1 - laws.power_laws().quantiles(1600, (0.5,))[0]


def test_a_plateau_puts_more_out_of_reach() -> None:
    plateau = forecast(exactly([0.40, 0.60, 0.70, 0.74, 0.75]), target=0.82)
    rising = forecast(exactly([0.40, 0.52, 0.61, 0.69, 0.75]), target=0.82)
    assert plateau.refusal is None
    assert plateau.needed is not None
    assert rising.needed is not None
    assert plateau.needed.beyond > rising.needed.beyond + 0.05


def test_the_back_test_foretells_the_largest_size() -> None:
    found = forecast(exactly([0.30, 0.31, 0.32, 0.33, 0.60]))
    assert found.back_test is not None
    assert not found.back_test.passed
    assert found.back_test.high < 0.60
    assert found.back_test.measured == pytest.approx(0.60)


def test_a_score_is_known_no_better_than_to_half_an_example() -> None:
    points = tuple(CurvePoint(size, 0.5, (0.4, 0.6)) for size in SIZES)
    noise = MeasuredCurve("tfidf", points, np.zeros((5, 5)), examples=50).noise
    np.testing.assert_allclose(np.sqrt(np.diag(noise)), 0.01)
