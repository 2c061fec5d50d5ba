import numpy as np
import pytest
from curve_worlds import SIZES, exactly, measured, power_law

from llmtl.learning_curve import CurvePoint, Measured, forecast


def scores(a: float, b: float) -> list[float]:
    return [1 - error for error in power_law(a, b)]


def test_the_band_holds_the_truth_four_times_in_five_on_simulated_curves() -> None:
    rng = np.random.default_rng(11)
    held, made = 0, 0
    worlds = 40
    for seed in range(worlds):
        exponent, start = rng.uniform(0.1, 0.5), rng.uniform(0.4, 0.8)
        a = start * SIZES[0] ** exponent
        errors = np.clip(np.array(power_law(a, exponent)) + 0.015 * rng.standard_normal(len(SIZES)), 0.01, 0.99)
        found = forecast(measured(errors, seed=seed))
        if found.refusal is None:
            made += 1
            held += found.band[-1].low <= 1 - a * 1600**-exponent <= found.band[-1].high
    # 80% of 40 is 32; a binomial count falls below 25 once in 150 times
    assert made >= 34
    assert 25 <= held * worlds / made <= 40


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
    found = forecast(exactly(scores(1.5, 0.35)), target=0.85)
    true = (1.5 / 0.15) ** (1 / 0.35)
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


def test_a_plateau_fails_the_back_test() -> None:
    found = forecast(exactly([0.30, 0.55, 0.75, 0.76, 0.76]))
    assert found.back_test is not None
    assert not found.back_test.passed
    assert found.back_test.high < 1
    assert found.back_test.measured == pytest.approx(0.76)


def test_a_score_is_known_no_better_than_to_half_an_example() -> None:
    points = tuple(CurvePoint(size, 0.5, (0.4, 0.6)) for size in SIZES)
    noise = Measured("tfidf", points, np.zeros((5, 5)), examples=50).noise
    np.testing.assert_allclose(np.sqrt(np.diag(noise)), 0.01)
