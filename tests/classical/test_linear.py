"""Logistic regression kept as arrays, against scikit-learn's own probabilities."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from llmtl.classical.linear import LinearModel, path, prior


def problem(labels, *, count=60, features=8, seed=0):
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(len(labels), features))
    truth = [labels[index % len(labels)] for index in range(count)]
    rows = np.array([centres[labels.index(label)] for label in truth]) + draw.normal(size=(count, features))
    return csr_array(rows), truth


@pytest.mark.parametrize("labels", [["a", "b"], ["a", "b", "c", "d"]])
def test_every_point_of_the_path_is_the_optimum_scikit_learn_finds_from_scratch(labels):
    rows, truth = problem(labels)
    strengths = [0.1, 1.0, 10.0]
    for c, model in zip(strengths, path(rows, truth, strengths), strict=True):
        reference = LogisticRegression(C=c, tol=1e-8, max_iter=10_000).fit(rows, truth)
        assert model.labels == tuple(reference.classes_)
        np.testing.assert_allclose(model.probabilities(rows), reference.predict_proba(rows), atol=2e-3)


def test_probabilities_are_those_of_the_same_weights_in_scikit_learn():
    rows, truth = problem(["a", "b", "c"])
    (model,) = path(rows, truth, [1.0])
    twin = LogisticRegression().fit(rows, truth)
    twin.coef_, twin.intercept_ = model.weights, model.intercepts
    np.testing.assert_allclose(model.probabilities(rows), twin.predict_proba(rows), rtol=1e-5)


def test_one_label_or_no_features_leave_the_frequencies():
    rows, _ = problem(["a", "b"], count=4)
    assert [each.probabilities(rows).tolist() for each in path(rows, ["b"] * 4, [1.0, 2.0])] == [[[1.0]] * 4] * 2
    (model,) = path(csr_array((4, 0)), ["a", "a", "a", "b"], [1.0])
    assert model.labels == ("a", "b")
    np.testing.assert_allclose(model.probabilities(csr_array((1, 0))), [[0.75, 0.25]], rtol=1e-6)


def test_the_prior_ignores_its_rows():
    model = prior(["b", "a", "b", "b"], features=3)
    np.testing.assert_allclose(model.probabilities(csr_array(np.ones((2, 3)))), [[0.25, 0.75]] * 2, rtol=1e-6)


def test_a_stored_model_of_another_task_or_of_odd_parts_is_refused():
    arrays = {"weights": np.zeros((2, 3), np.float32), "intercepts": np.zeros(2, np.float32)}
    assert LinearModel.stored(["a", "b"], arrays, known=("b", "c", "a")).labels == ("a", "b")
    with pytest.raises(ValueError, match="labels of another task: 'b'"):
        LinearModel.stored(["a", "b"], arrays, known=("a", "c"))
    with pytest.raises(ValueError, match="3 labels do not fit"):
        LinearModel.stored(["a", "b", "c"], arrays, known=("a", "b", "c"))
