"""How exactly seconds are known: against simulated passes, and where there is nothing to go by."""

from dataclasses import replace

import numpy as np
import pytest

from llmtl.costs import StatedCost, cost_noise, cost_of_load, noise_between, timing_noise
from llmtl.costs.timing import UNTIMED
from tests.support.decision_worlds import evaluation, exactly


def test_the_interval_of_seconds_per_request_holds_in_95_of_100_passes():
    rng = np.random.default_rng(5)
    held = []
    for _ in range(2000):
        requests = rng.integers(8, 33, size=10)
        seconds = requests * rng.normal(0.2, 0.03, size=10)
        noise = timing_noise(list(zip(requests.tolist(), seconds.tolist(), strict=True)))
        held.append(abs(seconds.sum() / requests.sum() - 0.2) <= noise * seconds.sum() / requests.sum())
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("timings", [(), ((50, 1.0),), ((50, 1.0), (50, 1.1)), ((5, 0.0), (5, 0.0), (5, 0.0))])
def test_too_few_parts_say_nothing_about_their_own_noise(timings):
    assert timing_noise(timings) == UNTIMED


def test_parts_that_take_alike_have_no_noise():
    assert timing_noise([(10, 1.0), (20, 2.0), (10, 1.0)]) == pytest.approx(0)


def used(*timings, waited=None, **changes):
    seconds = sum(seconds for _, seconds in timings)
    made = evaluation("qlora", exactly(0.9, 50), split="dev", stated=None, timings=timings, seconds=seconds)
    return replace(made, waited_seconds=waited, **changes)


def test_what_two_strategies_took_for_the_same_parts_is_compared_part_by_part():
    """The parts come in order of length, so that each differs from the next, and both strategies' alike."""
    one = used((8, 0.6777), (11, 0.6844), (15, 0.7428), (14, 0.4121))
    other = used((8, 0.8338), (11, 0.7828), (15, 0.8324), (14, 0.4688))
    assert noise_between(other, one) < 0.1
    assert cost_noise(one) > 0.5
    shuffled = used((8, 0.8338), (11, 0.7828), (14, 0.4688), (15, 0.8324))
    assert noise_between(shuffled, one) == pytest.approx(np.hypot(cost_noise(shuffled), cost_noise(one)))


@pytest.mark.slow
def test_the_interval_of_a_ratio_by_parts_holds_in_95_of_100_passes():
    rng = np.random.default_rng(6)
    held = []
    for _ in range(2000):
        longer = rng.uniform(0.5, 2, size=10)
        parts = [[(10, float(s)) for s in longer * rng.normal(each, 0.1, size=10)] for each in (1.0, 2.0)]
        a, b = (used(*part) for part in parts)
        ratio = b.seconds / a.seconds
        held.append(abs(ratio - 2) <= noise_between(b, a) * ratio)
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


def test_the_share_that_other_programs_took_is_of_measured_seconds_only():
    assert cost_of_load(used((50, 2.0), waited=0.5)) == pytest.approx(0.25)
    assert cost_of_load(used((50, 2.0), waited=9.0)) == 1
    assert cost_of_load(used((50, 2.0))) == 0
    assert cost_of_load(used((50, 2.0), waited=0.5, device="hosted")) == 0
    assert cost_of_load(used((50, 2.0), waited=0.5, stated=StatedCost(0.001))) == 0
