"""How exactly seconds are known: against simulated passes, and where there is nothing to go by."""

import numpy as np
import pytest

from llmtl.costs import timing_noise
from llmtl.costs.timing import UNTIMED


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
