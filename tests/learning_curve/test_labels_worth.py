"""How many times the labels pre-training is worth, against closed forms."""

import numpy as np
import pytest

from llmtl.learning_curve import LabelsWorth, labels_worth

SIZES = [60, 120, 240, 480, 960]
RISING = [0.5, 0.6, 0.7, 0.8, 0.9]


def worth(control: float, scores: list[float] = RISING, *, shared: float = 0.0, own: float = 0.0) -> LabelsWorth:
    """Measure a control; all scores share the noise `shared`, and each has `own` besides, as standard deviations."""
    covariance = shared**2 * np.ones((6, 6)) + own**2 * np.eye(6)
    return labels_worth("encoder", "from-scratch", SIZES, [*scores, control], covariance)


def test_it_is_the_part_of_the_labels_with_which_the_curve_passes_the_control():
    found = worth(0.65)  # half way, in logarithms, from 120 to 240 of 960
    assert found.times == pytest.approx(960 / (120 * 240) ** 0.5, rel=0.05)
    assert found.low < found.times < found.high
    assert found.most == 16


def test_noise_that_all_scores_share_changes_nothing_and_their_own_widens_the_band():
    bare, shared, own = worth(0.65), worth(0.65, shared=0.05), worth(0.65, own=0.03)
    assert (shared.low, shared.high) == pytest.approx((bare.low, bare.high), rel=0.05)
    assert own.low < bare.low < bare.high < (own.high or np.inf)


def test_beyond_the_smallest_size_no_number_is_given():
    found = worth(0.2)
    assert (found.times, found.low, found.high) == (None, None, None)
    near = worth(0.5)  # as much as with the fewest
    assert near.low is not None
    assert near.high is None


def test_a_control_that_is_ahead_with_all_labels_is_worth_nothing():
    found = worth(0.99)
    assert (found.times, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_curve_that_falls_below_the_control_again_counts_from_where_it_last_passes():
    # ahead at 60, behind at 120, ahead from half way to 240 on
    found = worth(0.65, [0.75, 0.55, 0.75, 0.85, 0.95])
    assert found.times == pytest.approx(960 / (120 * 240) ** 0.5, rel=0.06)
