"""Dividing the time for fitting: closed forms."""

import pytest

from llmtl.pipeline.shares import Claim, FitTimes, share_out


def test_without_forecasts_weights_decide():
    assert share_out(100, {"a": Claim(3), "b": Claim(1)}) == pytest.approx({"a": 75, "b": 25})


def test_further_draws_are_paid_from_the_same_time():
    """Once a and a second draw of half its length: 1.5 fits of a and one of b are 100 seconds."""
    given = share_out(100, {"a": Claim(3, fits=1.5), "b": Claim(0.5)})
    assert given == pytest.approx({"a": 60, "b": 10})
    assert 1.5 * given["a"] + given["b"] == pytest.approx(100)


def test_who_needs_less_than_its_share_leaves_the_rest_to_the_others_by_weight():
    claims = {"a": Claim(2, needs=10), "b": Claim(1), "c": Claim(1, needs=1000)}
    assert share_out(100, claims) == pytest.approx({"a": 10, "b": 45, "c": 45})


def test_one_that_is_filled_may_fill_the_next():
    """By weight c has 25 and needs 30, but 37 once a and b took 10 and 15 of their 25 and 25."""
    claims = {"a": Claim(1, needs=10), "b": Claim(1, needs=15), "c": Claim(1, needs=30), "d": Claim(1)}
    assert share_out(100, claims) == pytest.approx({"a": 10, "b": 15, "c": 30, "d": 45})


def test_what_nobody_needs_is_shared_since_forecasts_may_be_wrong():
    given = share_out(100, {"a": Claim(3, needs=20), "b": Claim(1, needs=20)})
    assert given == pytest.approx({"a": 65, "b": 35})


@pytest.mark.parametrize("seconds", [0.0, 1.0, 40.0, 500.0])
def test_all_the_time_is_given_and_no_more(seconds):
    claims = {"a": Claim(35, 2, 100), "b": Claim(4), "c": Claim(12, 1.25, 3), "d": Claim(1.5, 1, 7)}
    given = share_out(seconds, claims)
    assert sum(given[name] * claim.fits for name, claim in claims.items()) == pytest.approx(seconds)
    limited = {name: claim for name, claim in claims.items() if claim.needs is not None}
    hungry = [given[name] / claim.weight for name, claim in limited.items() if given[name] < claim.needs - 1e-9]
    assert len({round(level, 9) for level in [*hungry, given["b"] / 4]}) <= 1 or not hungry


def test_nobody_at_all_is_given_nothing():
    assert share_out(100, {}) == {}
    assert FitTimes(100, {}).limit("a") is None


def test_what_one_leaves_over_goes_to_those_after_it():
    times = FitTimes(100, {"a": Claim(1), "b": Claim(1, fits=2), "c": Claim(1)})
    assert times.planned == pytest.approx({"a": 25, "b": 25, "c": 25})
    assert times.limit("a") == pytest.approx(25)
    times.fitted("a", used=10, limit=25)
    assert times.limit("b") == pytest.approx(30)
    times.fitted("b", used=20, limit=30)
    assert times.limit("c") == pytest.approx(50)  # a second fit of b may take 20 as well
    times.fitted("c", used=1, limit=50)
    assert (times.limit("a"), times.limit("b")) == (25, 30)  # further draws have what the first had


def test_one_that_took_longer_takes_nothing_from_the_plan_of_the_others():
    times = FitTimes(100, {"a": Claim(1), "b": Claim(1)})
    times.fitted("a", used=90, limit=50)
    assert times.limit("b") == pytest.approx(50)


def test_a_forecast_that_was_too_short_cuts_nobody_within_its_weight():
    times = FitTimes(100, {"a": Claim(1, needs=10), "b": Claim(1)})
    assert times.planned == pytest.approx({"a": 50, "b": 90})
    assert times.limit("a") == pytest.approx(50)
    times.fitted("a", used=30, limit=50)
    assert times.limit("b") == pytest.approx(70)


def test_a_fit_counts_once_however_often_it_is_read_back():
    times = FitTimes(100, {"a": Claim(1), "b": Claim(1)})
    times.fitted("a", used=10, limit=None)
    times.fitted("a", used=10, limit=None)
    assert times.limit("b") == pytest.approx(90)
    assert times.limit("a") == pytest.approx(50)
