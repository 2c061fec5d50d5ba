"""Dividing the time for fitting: closed forms."""

import pytest

from llmtl.pipeline.shares import LEAST, Claim, FitTimes, share_out


def test_without_forecasts_weights_decide():
    assert share_out(100, {"a": Claim(3), "b": Claim(1)}) == pytest.approx({"a": 75, "b": 25})


def test_further_draws_are_paid_from_the_same_time():
    """Once a and a second draw of half its length: 1.5 fits of a and one of b are 100 seconds."""
    given = share_out(100, {"a": Claim(3, fits=1.5), "b": Claim(0.5)})
    assert given == pytest.approx({"a": 60, "b": 10})


def test_draws_are_held_back_for_the_two_longest_since_no_more_are_finalists():
    """a, b and c have 3, 2 and 1 parts, a and b two more draws of 3 and 2: 11 parts are 110 seconds."""
    claims = {"a": Claim(3, fits=2), "b": Claim(2, fits=2), "c": Claim(1, fits=2)}
    assert share_out(110, claims) == pytest.approx({"a": 30, "b": 20, "c": 10})
    # 80 seconds: a further draw of 30 that is held is longer than the one of b; 3 + 3 + 2 + 1 parts are 50
    claims = {"a": Claim(3, fits=2), "b": Claim(2, fits=2), "c": Claim(1)}
    assert share_out(80, claims, held=[30]) == pytest.approx({"a": 150 / 9, "b": 100 / 9, "c": 50 / 9})


def test_who_needs_little_is_filled_however_small_its_weight():
    claims = {"a": Claim(0.001, needs=10), "b": Claim(1), "c": Claim(2, needs=1000)}
    assert share_out(100, claims) == pytest.approx({"a": 10, "b": 30, "c": 60})


def test_one_that_is_filled_may_fill_the_next():
    """c needs 30 and could have 25 in the beginning, but 37 once a and b took 10 and 15."""
    claims = {"a": Claim(1, needs=10), "b": Claim(1, needs=15), "c": Claim(1, needs=30), "d": Claim(1)}
    assert share_out(100, claims) == pytest.approx({"a": 10, "b": 15, "c": 30, "d": 45})


def test_a_strategy_takes_no_more_than_it_needs():
    """a is not filled at first: 60 for everybody would be 120. By weight it had 90, so b has what a does not need."""
    claims = {"a": Claim(9, needs=60), "b": Claim(1, needs=200)}
    assert share_out(100, claims) == pytest.approx({"a": 60, "b": 40})


def test_what_nobody_needs_is_shared_since_forecasts_may_be_wrong():
    given = share_out(100, {"a": Claim(3, needs=20), "b": Claim(1, needs=20)})
    assert given == pytest.approx({"a": 65, "b": 35})


@pytest.mark.parametrize("seconds", [1.0, 40.0, 500.0, 5000.0])
def test_all_the_time_is_given_and_no_more(seconds):
    claims = {
        "a": Claim(35, 2, 100),
        "b": Claim(4),
        "c": Claim(12, 1.25, 3),
        "d": Claim(1.5, 1, 7),
        "e": Claim(8, 2, 9),
    }
    given = share_out(seconds, claims)
    again = sorted((claim.fits - 1) * given[name] for name, claim in claims.items())
    assert sum(given.values()) + sum(again[-2:]) == pytest.approx(seconds)
    if seconds > 40:
        assert [given[name] for name in "cde"] == pytest.approx([3, 7, 9])


def test_no_time_and_nobody_at_all():
    assert share_out(0, {"a": Claim(1), "b": Claim(1, needs=5)}) == {"a": 0, "b": 0}
    assert share_out(100, {}) == {}
    assert FitTimes(100, {}).limit("a") is None


def test_small_needs_are_fitted_first_and_unknown_ones_last():
    times = FitTimes(100, {"a": Claim(35, needs=70), "b": Claim(1), "c": Claim(1, needs=3)})
    assert times.order(["a", "b", "c", "free", "other"]) == ["free", "other", "c", "a", "b"]


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


def test_the_last_strategy_has_all_that_is_really_left():
    """By plan a and b take 20 and 30, with a second draw of b, and c has 70; they take 8 and 10, and 122 are left."""
    times = FitTimes(150, {"a": Claim(1, needs=20), "b": Claim(1, fits=2, needs=30), "c": Claim(1, needs=900)})
    assert times.planned["c"] == pytest.approx(70)
    times.fitted("a", used=8, limit=20)
    times.fitted("b", used=10, limit=30)
    assert times.limit("c") == pytest.approx(122)


def test_what_has_no_limit_is_taken_off_what_is_left():
    times = FitTimes(100, {"a": Claim(1)})
    times.fitted("crf", used=40, limit=None)
    assert times.limit("a") == pytest.approx(60)
    assert times.limit("crf") is None


def test_others_that_took_too_long_leave_half_of_what_weight_gives():
    times = FitTimes(100, {"a": Claim(1), "b": Claim(1)})
    times.fitted("a", used=90, limit=50)
    assert times.limit("b") == pytest.approx(LEAST * 50)


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


def test_what_is_left_when_all_have_fitted_pays_for_a_longer_fit_and_its_draws():
    """Of 100 seconds 50 are used: 10 by a, 20 by b, 20 by c, whose further draw takes 20."""
    times = FitTimes(100, {"a": Claim(1, fits=2), "b": Claim(1), "c": Claim(1, fits=2)})
    for name, used in {"a": 10, "b": 20, "c": 20}.items():
        times.fitted(name, used=used, limit=None)
    assert times.spare("b", 50, "abc") == pytest.approx(50 - 20 - 10)
    assert times.spare("a", 50, "abc") == pytest.approx((50 - 20) / 2)  # and as much for its own draw
    assert times.spare("b", 50, "ab") == pytest.approx(50 - 10)  # c is too far behind to be drawn again
    assert times.spare("b", 25, "abc") == 0
    times.again("b")
    times.fitted("b", used=15, limit=20)
    assert times.spare("b", 35, "abc") == pytest.approx(35 - 20 - 10)
