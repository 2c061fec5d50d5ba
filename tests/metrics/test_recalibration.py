"""Calibration of label probabilities against scikit-learn and scipy."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from llmtl.errors import DataError
from llmtl.metrics.recalibration import (
    FLOOR,
    LabelCalibration,
    Method,
    SequenceCalibration,
    affine_calibration,
    batch_calibration,
    sequence_calibration,
    train_prior,
)


def leaning(count, *, labels=3, seed=0):
    """Return probabilities of a model that leans to the first label, and the truth."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(labels, size=count)
    logits = draw.normal(size=(count, labels)) + 1.5 * np.eye(labels)[truth]
    logits[:, 0] += 2.0
    return softmax(logits, axis=1), truth


def test_batch_calibration_divides_the_mean_out_and_multiplies_the_prior_back():
    probabilities, _ = leaning(200)
    prior = np.array([0.5, 0.3, 0.2])
    found = batch_calibration(probabilities, prior).apply(probabilities)
    expected = probabilities / probabilities.mean(axis=0) * prior
    assert found == pytest.approx(expected / expected.sum(axis=1, keepdims=True))


def test_batch_calibration_takes_a_leaning_away():
    probabilities, truth = leaning(500)
    found = batch_calibration(probabilities, np.full(3, 1 / 3)).apply(probabilities)
    before, after = (rows.argmax(axis=1) == truth for rows in (probabilities, found))
    assert after.mean() > before.mean() + 0.1


def test_without_a_penalty_two_labels_are_scikit_learns_logistic_regression():
    probabilities, truth = leaning(300, labels=2)
    fitted = affine_calibration(probabilities, truth, penalty=1e-9)
    features = np.log(probabilities) * [-1.0, 1.0]
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(features, truth)
    assert fitted.apply(probabilities) == pytest.approx(reference.predict_proba(features), abs=1e-4)


def test_vector_scaling_is_the_least_penalised_likelihood():
    probabilities, truth = leaning(150)
    logs, rows = np.log(probabilities), np.arange(150)

    def loss(values):
        found = log_softmax(values[:3] * logs + values[3:], axis=1)
        return -found[rows, truth].sum() + 0.5 * ((values[:3] - 1) ** 2).sum() + 0.5 * (values[3:] ** 2).sum()

    reference = minimize(loss, np.zeros(6), method="BFGS").x
    fitted = affine_calibration(probabilities, truth)
    assert [*fitted.scale, *fitted.bias] == pytest.approx(reference, abs=1e-3)


def test_a_label_that_is_never_seen_keeps_a_finite_map():
    probabilities, truth = leaning(60)
    found = affine_calibration(probabilities, np.minimum(truth, 1)).apply(probabilities)
    assert np.isfinite(found).all()
    assert found.sum(axis=1) == pytest.approx(np.ones(60))


def test_what_is_below_the_floor_counts_as_the_floor():
    calibration = batch_calibration([[0.9, 0.1, 0.0]] * 4, [0.2, 0.2, 0.6])
    tiny = [0.9, 0.1 - FLOOR / 9, FLOOR / 9]
    assert calibration.apply(tiny) == pytest.approx(calibration.apply([0.9, 0.1 - FLOOR / 9, 0.0]), abs=1e-12)


def test_the_label_is_the_likeliest_after_it_and_the_first_of_equal_ones():
    flip = LabelCalibration(Method.BATCH, (1.0, 1.0), (0.0, 2.0))
    label, probabilities = flip.label({"a": 0.7, "b": 0.3})
    assert (label, sum(probabilities.values())) == ("b", pytest.approx(1.0))
    assert LabelCalibration(Method.BATCH, (0.0, 0.0), (0.0, 0.0)).label({"a": 0.1, "b": 0.9})[0] == "a"


def test_the_prior_is_laplaces():
    assert train_prior(["a", "a", "b"], ["a", "b", "c"]) == pytest.approx([3 / 6, 2 / 6, 1 / 6])


def test_another_number_of_labels_is_an_error():
    with pytest.raises(DataError, match="for 2 labels got 3"):
        LabelCalibration(Method.BATCH, (1.0, 1.0), (0.0, 0.0)).apply([0.2, 0.3, 0.5])


def written(count, *, scale, bias, seed=0):
    """Return log-probabilities of written answers, and whether each is right: by these odds."""
    draw = np.random.default_rng(seed)
    odds = draw.normal(-1, 3, size=count)
    return -np.logaddexp(0, -odds), draw.random(count) < expit(scale * odds + bias)


def test_platt_scaling_of_written_answers_is_logistic_regression_on_the_log_odds():
    logprobs, right = written(500, scale=0.5, bias=1)
    found = sequence_calibration(logprobs, right, penalty=0)
    odds = logprobs - np.log(-np.expm1(logprobs))
    expected = LogisticRegression(C=np.inf).fit(odds[:, None], right)
    assert found.scale == pytest.approx(expected.coef_[0, 0], rel=1e-3)
    assert found.bias == pytest.approx(expected.intercept_[0], rel=1e-3)
    assert found.chances(logprobs) == pytest.approx(expected.predict_proba(odds[:, None])[:, 1], abs=1e-3)
    assert found.chance(float(logprobs[0])) == found.chances(logprobs)[0]


def test_without_examples_to_the_contrary_a_probability_is_its_own_chance_and_order_is_kept():
    same = SequenceCalibration(1.0, 0.0)
    assert same.chances(np.log([0.2, 0.7])) == pytest.approx([0.2, 0.7])
    logprobs = np.array([-800.0, -30.0, -2.0, -1e-9, 0.0])
    for right in ([True] * 5, [False] * 5, [True, True, False, False, False]):
        found = sequence_calibration(logprobs, right)
        assert np.isfinite([found.scale, found.bias]).all()
        assert (np.diff(found.chances(logprobs)) >= 0).all()
