"""The calibration error against a plain re-count of the bins."""

import numpy as np
import pytest

from llmtl.errors import DataError
from llmtl.metrics.calibration import expected_calibration_error

LABELS = ["a", "b", "c"]


def random_rows(seed, n=200):
    rng = np.random.default_rng(seed)
    table = rng.dirichlet([0.7, 1.0, 1.3], size=n)
    references = [LABELS[rng.choice(3, p=row)] for row in table]
    return references, table, [dict(zip(LABELS, row.tolist(), strict=True)) for row in table]


@pytest.mark.parametrize("seed", range(5))
def test_ece_is_the_gap_counted_bin_by_bin(seed):
    references, table, rows = random_rows(seed)
    confidence = table.max(axis=1)
    right = np.array([LABELS[i] for i in table.argmax(axis=1)]) == np.array(references)
    expected = 0.0
    for i in range(15):
        inside = (confidence > i / 15) & (confidence <= (i + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert expected_calibration_error(references, rows) == pytest.approx(expected)


def test_certain_and_right_is_perfect_and_certain_and_wrong_is_worst():
    assert expected_calibration_error(["a"], [{"a": 1.0, "b": 0.0}]) == 0
    assert expected_calibration_error(["a"], [{"a": 0.0, "b": 1.0}]) == 1


def test_a_failure_is_confident_in_nothing():
    assert expected_calibration_error(["a", "b"], [{}, {"a": 0.5, "b": 0.5}]) == pytest.approx((0.0 + 0.5) / 2)


def test_unequal_lengths_are_refused():
    with pytest.raises(DataError, match="one row of probabilities"):
        expected_calibration_error(["a"], [])
