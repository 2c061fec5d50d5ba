"""Heads that answer as if all labels were as frequent, and keep their probabilities."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from llmtl.classical.files import write_parts
from llmtl.heads.linear_head import LinearHead, heads_on_dev, heads_per_strength
from llmtl.task import Example, Metric, Task

TASK = Task("lopsided", ("often", "seldom", "never"), metric=Metric.MACRO_F1)


@pytest.fixture
def drawn(make_plain_context):
    """Return a context of 40 examples of one label and 6 of another, and their rows, which overlap."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (40, 2)), rng.normal(1.5, 1, (6, 2))])
    train = tuple(Example(str(at), str(at), "often" if at < 40 else "seldom") for at in range(46))
    return make_plain_context(train, train, task=TASK), rows


def test_rare_labels_count_as_much_as_others_where_the_metric_says_so(drawn):
    context, rows = drawn
    plain, even = (head for head, _ in heads_on_dev(context, context.train, (rows, rows), (1.0,), {}))
    assert heads_per_strength(TASK) == 2
    assert even.choice == {**plain.choice, "prior": "even"}
    np.testing.assert_array_equal(plain.probabilities(rows), even.probabilities(rows))
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    truth = [each.reference for each in context.train]
    expected = LogisticRegression(tol=1e-8).fit(scaled, truth).predict_proba(scaled)
    np.testing.assert_allclose(even.probabilities(rows)[:, :2], expected, atol=1e-3)
    right = np.array(["often", "seldom"])[(expected / (np.array([40, 6]) / 46)).argmax(axis=1)]
    answers = [answer for answer, _ in even.answers(rows)]
    assert answers == right.tolist()
    assert answers.count("seldom") > [answer for answer, _ in plain.answers(rows)].count("seldom")


def test_it_is_read_as_it_was_written_and_not_for_another_task(drawn, tmp_path):
    context, rows = drawn
    _, even = (head for head, _ in heads_on_dev(context, context.train, (rows, rows), (1.0,), {}))
    write_parts(tmp_path, *even.kept())
    assert LinearHead.read(TASK, tmp_path).answers(rows) == even.answers(rows)
    with pytest.raises(ValueError, match="frequencies of labels do not fit"):
        LinearHead.read(Task("more", (*TASK.labels, "new"), metric=Metric.MACRO_F1), tmp_path)


def test_accuracy_is_best_served_by_the_frequencies_of_train(drawn):
    context, rows = drawn
    context = replace(context, task=replace(TASK, metric=Metric.ACCURACY))
    [(head, _)] = heads_on_dev(context, context.train, (rows, rows), (1.0,), {})
    assert head.prior is None
