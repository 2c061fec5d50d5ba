"""Calibration against scikit-learn and a plain re-count of the bins."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from llmtl.errors import DataError
from llmtl.metrics.calibration import (
    brier_score,
    calibration,
    expected_calibration_error,
    negative_log_likelihood,
)

LABELS = ["a", "b", "c"]


def random_rows(seed, n=200):
    rng = np.random.default_rng(seed)
    table = rng.dirichlet([0.7, 1.0, 1.3], size=n)
    references = [LABELS[rng.choice(3, p=row)] for row in table]
    return references, table, [dict(zip(LABELS, row.tolist(), strict=True)) for row in table]


@pytest.mark.parametrize("seed", range(5))
def test_brier_and_nll_are_those_of_scikit_learn(seed):
    references, table, rows = random_rows(seed)
    assert negative_log_likelihood(references, rows) == pytest.approx(log_loss(references, table, labels=LABELS))
    expected = brier_score_loss(references, table, labels=LABELS, scale_by_half=False)
    assert brier_score(references, rows) == pytest.approx(expected)


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
    right, wrong = [{"a": 1.0, "b": 0.0}], [{"a": 0.0, "b": 1.0}]
    assert calibration(["a"], right).ece == calibration(["a"], right).brier == calibration(["a"], right).nll == 0
    assert (calibration(["a"], wrong).ece, calibration(["a"], wrong).brier) == (1, 2)
    assert calibration(["a"], wrong).nll == pytest.approx(-np.log(1e-12))


def test_a_failure_has_no_confidence_and_no_credit():
    failed = calibration(["a", "b"], [{}, {"a": 0.5, "b": 0.5}])
    assert np.isfinite(failed.nll)
    assert failed.brier == pytest.approx((1 + 0.5) / 2)


def test_unequal_lengths_are_refused():
    with pytest.raises(DataError, match="one row of probabilities"):
        calibration(["a"], [])
