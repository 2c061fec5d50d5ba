from dataclasses import replace

import pytest

from llmtl.learning_curve import Forecast, advise, forecast
from llmtl.learning_curve.forecast import Needed
from tests.support.curve_worlds import exactly, power_law


def found(a: float, b: float, target: float | None = None) -> Forecast:
    return forecast(exactly([1 - error for error in power_law(a, b)]), target=target)


def test_a_target_within_reach_gets_a_step_a_range_and_a_price() -> None:
    curve = replace(found(1.5, 0.35, 0.85), needed=Needed(0.85, low=600, high=1300, beyond=0.05))
    advice = advise(curve, target=0.85, margin=0.02, usd_per_label=0.5)
    assert advice.label_more is not None
    assert 100 <= advice.label_more <= 400
    assert advice.text.startswith(f"Label about {advice.label_more} more (about {advice.label_more / 2:.0f} USD), then")
    assert "0.85 needs 600 to 1,300 training examples with" in advice.text
    assert "80% confidence, and may be out of reach: with probability 5%" in advice.text


@pytest.mark.parametrize(
    ("target", "likely", "said"),
    [
        (0.87, (0.1, 0.5), "may be out of reach"),
        (0.89, (0.5, 0.9), "is probably out of reach"),
    ],
)
def test_a_far_target_is_said_to_be_perhaps_out_of_reach(target: float, likely: tuple[float, float], said: str) -> None:
    curve = found(1.5, 0.35, target)
    advice = advise(curve, target=target, margin=0.02)
    assert curve.needed is not None
    assert likely[0] < curve.needed.beyond < likely[1]
    assert "needs at least" in advice.text
    assert f"and {said}: with probability {curve.needed.beyond:.0%}, even 1,600 are not enough" in advice.text


def test_a_target_out_of_reach_advises_against_more_labels() -> None:
    advice = advise(found(1.0, 0.1, 0.95), target=0.95, margin=0.02)
    assert advice.label_more is None
    assert advice.text.startswith("0.95 is out of reach for tfidf with up to 1,600 training examples")


def test_a_target_that_is_reached_says_with_how_many_examples() -> None:
    advice = advise(found(1.5, 0.35, 0.7), target=0.7, margin=0.02)
    assert advice.text == "tfidf reaches 0.70 on dev, first with 100 training examples."


def test_without_a_target_the_gain_is_weighed_against_the_margin() -> None:
    steep, shallow = found(2.0, 0.4), found(0.5, 0.08)
    assert advise(steep, target=None, margin=0.02).label_more == 400
    weak = advise(shallow, target=None, margin=0.05)
    assert weak.label_more is None
    assert "would hardly pay" in weak.text


def test_a_refusal_is_passed_on() -> None:
    flat = forecast(exactly([0.6, 0.61, 0.6, 0.61, 0.61]), target=0.9)
    assert "No forecast for tfidf: the curve is flat" in advise(flat, target=0.9, margin=0.02).text
