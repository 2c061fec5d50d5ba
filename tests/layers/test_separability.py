"""LogME and the H-score against dense formulas written another way, and what they must not depend on."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import ortho_group
from sklearn.covariance import LedoitWolf

from llmtl.layers.separability import h_score, logme, separability


def labelled(n, width, labels, *, apart, seed=0):
    """Return states whose means differ by label, and the labels as rows of 0 and 1."""
    rng = np.random.default_rng(seed)
    which = rng.integers(labels, size=n)
    states = rng.standard_normal((n, width)) + apart * rng.standard_normal((labels, width))[which]
    return states, np.eye(labels)[which]


def highest_evidence(states, target):
    """Find the evidence per text by a general optimiser over the dense Gaussian that states and precisions imply."""
    n = len(states)

    def loss(logs):
        covariance = np.exp(-logs[0]) * states @ states.T + np.exp(-logs[1]) * np.eye(n)
        size = np.linalg.slogdet(2 * np.pi * covariance)[1]
        return (size + target @ np.linalg.solve(covariance, target)) / (2 * n)

    return -minimize(loss, (2.0, 2.0), method="Nelder-Mead", options={"fatol": 1e-8}).fun


@pytest.mark.parametrize(("n", "width"), [(30, 5), (15, 25)], ids=["more texts", "more dimensions"])
def test_logme_is_the_highest_evidence_of_the_dense_gaussian(n, width):
    states, targets = labelled(n, width, 3, apart=0.7)
    expected = np.mean([highest_evidence(states, column) for column in targets.T])
    assert logme(states, targets) == pytest.approx(expected, abs=2e-4)


def dense_h_score(states, targets):
    """Compute the regularised H-score as its paper writes it, with an inverse and one row per text."""
    centred = states - states.mean(axis=0)
    fitted = LedoitWolf().fit(states)
    which = targets.argmax(axis=1)
    means = np.stack([centred[which == label].mean(axis=0) for label in which])
    between = means.T @ means / len(means)
    return np.trace(np.linalg.inv(fitted.covariance_) @ between) * (1 - fitted.shrinkage_)


@pytest.mark.parametrize(("n", "width"), [(200, 6), (40, 60)], ids=["more texts", "more dimensions"])
def test_the_h_score_is_that_of_the_dense_formula(n, width):
    states, targets = labelled(n, width, 4, apart=0.8)
    assert h_score(states, targets) == pytest.approx(dense_h_score(states, targets), rel=1e-9)


def test_the_h_score_of_one_dimension_is_the_share_of_variance_that_labels_explain():
    states, targets = labelled(5000, 1, 2, apart=1.0)
    explained = np.corrcoef(states[:, 0], targets[:, 1])[0, 1] ** 2
    assert h_score(states, targets) == pytest.approx(explained, abs=1e-3)


def test_neither_depends_on_rotation_and_scale_and_both_rank_clearer_states_higher():
    states, targets = labelled(120, 8, 3, apart=0.5)
    turned = 7.0 * states @ ortho_group.rvs(8, random_state=1)
    before, after = separability(states, targets), separability(turned, targets)
    assert (after.logme, after.h_score) == pytest.approx((before.logme, before.h_score), rel=1e-6)
    clearer = separability(*labelled(120, 8, 3, apart=2.0))
    assert clearer.logme > before.logme
    assert clearer.h_score > before.h_score


def test_of_several_labels_per_text_each_is_a_question_of_its_own():
    states, which = labelled(150, 6, 2, apart=2.0)
    rng = np.random.default_rng(2)
    targets = np.stack([which[:, 0], rng.random(150) > 0.5], axis=1).astype(float)
    alone = [h_score(states, np.stack([1 - column, column], axis=1)) for column in targets.T]
    assert h_score(states, targets, several=True) == pytest.approx(np.mean(alone))
    assert alone[0] > 5 * alone[1]


def test_states_that_do_not_vary_separate_nothing():
    assert h_score(np.ones((10, 3)), np.eye(2)[np.arange(10) % 2]) == 0.0
    assert np.isfinite(logme(np.zeros((10, 3)), np.eye(2)[np.arange(10) % 2]))
