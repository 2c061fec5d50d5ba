"""Calibrating label sets: an overconfident model is brought back to the chances it was made from."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from llmtl.answers import write_labels
from llmtl.classical.label_sets import answers_of
from llmtl.classical.linear import LinearModel
from llmtl.classical.set_calibration import calibrate_sets
from llmtl.engines.protocol import ModelSource
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.strategy import FitContext
from llmtl.task import Example, Task

LABELS = ("card", "login", "refund")


def world(count, *, factor, shift, seed=0):
    """Return a model, its rows and a context: label k applies with the chance that row k's log-odds say.

    The model's log-odds are `factor` times those, plus `shift`.
    """
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 2, (count, 3))
    truth = rng.random((count, 3)) < expit(rows)
    dev = tuple(
        Example(
            str(at), f"text {at}", write_labels([label for label, has in zip(LABELS, row, strict=True) if has], LABELS)
        )
        for at, row in enumerate(truth)
    )
    task = Task("t", LABELS, "Sort it.", MULTI_LABEL.metrics[0], kind=MULTI_LABEL)
    context = FitContext(
        task, train=(), dev=dev, model=ModelSource("none"), load_engine=lambda adapter: None, folder=Path()
    )
    model = LinearModel(LABELS, (factor * np.eye(3)).astype(np.float32), np.full(3, shift, np.float32))
    return model, rows, context


def test_an_overconfident_model_gets_back_the_chances_it_was_made_from():
    model, rows, context = world(4000, factor=3.0, shift=1.0)
    calibrated, thresholds, trace = calibrate_sets(model, model.logits(rows), threshold=0.4, context=context)
    np.testing.assert_allclose(np.diag(calibrated.weights), np.ones(3), atol=0.1)
    np.testing.assert_allclose(calibrated.intercepts, np.zeros(3), atol=0.15)
    assert (trace.chosen, trace.examples) == ("affine", 4000)
    assert trace.tried[0].nll < trace.uncalibrated.nll
    before = answers_of(context.task, expit(model.logits(rows)), 0.4)
    assert answers_of(context.task, expit(calibrated.logits(rows)), thresholds) == before
    chances = expit(rows)
    entropy = -(chances * np.log(chances) + (1 - chances) * np.log(1 - chances)).sum(axis=1).mean()
    assert trace.tried[0].nll == pytest.approx(entropy, abs=0.1)  # the likelihood of the true chances, in the mean


def test_a_calibrated_model_stays_as_it_is():
    model, rows, context = world(200, factor=1.0, shift=0.0)
    calibrated, thresholds, trace = calibrate_sets(model, model.logits(rows), threshold=0.4, context=context)
    np.testing.assert_array_equal(calibrated.weights, model.weights)
    assert thresholds == pytest.approx([0.4] * 3)
    assert trace.chosen is None


def test_a_label_that_train_never_has_stays_impossible():
    model, rows, context = world(400, factor=3.0, shift=1.0)
    model.weights[1], model.intercepts[1] = 0, -np.inf
    calibrated, thresholds, trace = calibrate_sets(model, model.logits(rows), threshold=0.4, context=context)
    assert trace.chosen == "affine"
    assert thresholds[1] == pytest.approx(0.4)
    assert calibrated.intercepts[1] == -np.inf
    assert np.isfinite(calibrated.weights).all()
    assert np.isfinite(trace.tried[0].nll)
