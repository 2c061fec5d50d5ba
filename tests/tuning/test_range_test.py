"""The range test: its rule on losses whose shape is known, and a training that diverges and is saved by it."""

from dataclasses import replace
from itertools import pairwise
from time import monotonic

import pytest

from llmtl.tuning import range_test
from llmtl.tuning.range_test import rate_from, rates_around, smoothed, steps_in
from llmtl.tuning.rate_search import train_at_found_rate
from llmtl.tuning.watcher import DIVERGED


def test_the_rates_rise_evenly_by_their_logarithm_from_a_hundredth_to_a_hundred_times_the_usual():
    rates = rates_around(1e-3)
    assert (len(rates), rates[0], rates[-1]) == (40, pytest.approx(1e-5), pytest.approx(1e-1))
    assert [after / before for before, after in pairwise(rates)] == pytest.approx([1e4 ** (1 / 39)] * 39)


def test_smoothing_corrects_its_start():
    assert smoothed([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    assert smoothed([1.0, 2.0]) == pytest.approx([1.0, (0.7 * 0.3 * 1.0 + 0.3 * 2.0) / (1 - 0.7**2)])


def test_the_rate_is_a_tenth_of_the_one_at_the_lowest_loss():
    rates = rates_around(1e-3)
    falling = [3.0 - 0.1 * step for step in range(25)]
    losses = falling + [falling[-1] + 2.0 * step for step in range(1, 16)]
    assert rate_from(tuple(zip(rates, losses, strict=True))) == pytest.approx(rates[24] / 10)


def test_few_points_and_losses_that_never_fall_give_no_rate():
    assert rate_from(((1e-3, 2.0), (1e-2, 1.0))) is None
    assert rate_from(tuple((rate, 1.0 + step) for step, rate in enumerate(rates_around(1e-3)))) is None


def test_under_a_time_limit_all_steps_fit_or_half_of_them_over_the_same_rates_or_none():
    assert [steps_in(seconds, 1.0) for seconds in (40.0, 39.9, 20.0, 19.9, -1.0)] == [40, 20, 20, 0, 0]
    rates = rates_around(1e-3, 20)
    assert (len(rates), rates[0], rates[-1]) == (20, pytest.approx(1e-5), pytest.approx(1e-1))


@pytest.mark.parametrize(("seconds", "points"), [(10_000.0, 12), (0.0, 0)])
def test_the_first_steps_say_how_many_there_will_be(make_job, monkeypatch, seconds, points):
    monkeypatch.setattr(range_test, "STEPS", 12)
    job = make_job(max_epochs=1, find_learning_rate="always")
    outcome = train_at_found_rate(replace(job, usual_rate=1e-6, deadline=monotonic() + seconds))
    assert [rate for rate, _ in outcome.range_test] == pytest.approx(rates_around(1e-6)[:points])
    said = "no time for its steps" if seconds == 0 else f"{outcome.learning_rate:.1e}"
    assert said in job.progress.lines[1]


def test_a_training_that_diverges_goes_on_at_a_rate_that_is_searched(make_job, tokenized, monkeypatch):
    monkeypatch.setattr(range_test, "STEPS", 12)
    job = make_job(learning_rate=1e30, dev=tokenized[:2], max_epochs=2, find_learning_rate="when-diverging")
    outcome = train_at_found_rate(replace(job, usual_rate=5e-3, resumable=True))
    assert 5e-5 / 10 <= outcome.learning_rate <= 5e-1 / 10
    assert outcome.stopped_by == "max epochs"
    assert outcome.curve[-1].dev_loss < outcome.curve[0].dev_loss
    assert len(outcome.range_test) >= range_test.FEWEST_POINTS
    said = [line.split(" at ")[0].split(":")[0] for line in job.progress.lines]
    assert said[:2] == ["Fine-tuning diverges", "Searching a learning rate"]
    assert job.progress.lines[2] == f"The search found {outcome.learning_rate:.1e}."
    again = train_at_found_rate(replace(job, usual_rate=5e-3, resumable=True, config=job.config))
    assert again.range_test == outcome.range_test  # it was kept, as the step was not finished
    assert job.progress.lines[3:] == []


def test_where_it_is_never_to_search_divergence_is_left_as_it_is(make_job, tokenized):
    job = make_job(learning_rate=1e30, dev=tokenized[:2], max_epochs=2, find_learning_rate="never")
    outcome = train_at_found_rate(job)
    assert (outcome.learning_rate, outcome.range_test) == (1e30, ())
    assert outcome.stopped_by != DIVERGED
