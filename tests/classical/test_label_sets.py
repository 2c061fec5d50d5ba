"""TF-IDF for several labels per input against scikit-learn's one-vs-rest, and its threshold by scikit-learn's F1."""

import random

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.multiclass import OneVsRestClassifier

from llmtl.answers import read_labels, write_labels
from llmtl.classical.label_sets import THRESHOLDS
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.strategies.tfidf import Tfidf, TfidfConfig
from llmtl.task import Example, Metric, Task
from tests.support.fitted import again, grid_of

LABELS = ("refund", "delivery", "login")
ONE_POINT = TfidfConfig(features=("word",), c=(10.0,))


def task(metric=Metric.MICRO_F1, labels=LABELS):
    return Task("topics", labels, metric=metric, kind=MULTI_LABEL)


def drawn(count, seed):
    """Return examples whose text names most of their labels, and now and then one that they lack."""
    draw = random.Random(seed)
    rows = []
    for position in range(count):
        chosen = {label for label in LABELS if draw.random() < 0.4}
        words = [f"{label}{draw.randrange(3)}" for label in LABELS if (label in chosen) != (draw.random() < 0.25)]
        text = " ".join([*words, draw.choice(["please", "hello", "now"])])
        rows.append(Example(f"{seed}-{position}", text, write_labels(chosen, LABELS)))
    return tuple(rows)


TRAIN, DEV = drawn(80, 1), drawn(60, 2)
TEXTS = [each.text for each in DEV]


def marked(answers, labels=LABELS):
    return np.array([[label in read_labels(answer) for label in labels] for answer in answers])


def one_vs_rest(train, texts, c=10.0):
    vectoriser = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    rows = vectoriser.fit_transform([each.text for each in train])
    model = OneVsRestClassifier(LogisticRegression(C=c, tol=1e-8, max_iter=10_000))
    return model.fit(rows, marked([each.reference for each in train])).predict_proba(vectoriser.transform(texts))


def test_probabilities_agree_with_one_vs_rest_and_do_not_sum_to_one(make_plain_context):
    predicted = Tfidf(ONE_POINT).fit(make_plain_context(TRAIN, DEV, task=task())).predictor.predict(TEXTS)
    mine = np.array([[each.probabilities[label] for label in LABELS] for each in predicted])
    np.testing.assert_allclose(mine, one_vs_rest(TRAIN, TEXTS), atol=2e-3)
    assert np.ptp(mine.sum(axis=1)) > 0.5


@pytest.mark.parametrize("metric", MULTI_LABEL.metrics)
def test_the_threshold_is_the_best_of_dev(make_plain_context, metric):
    fitted = Tfidf(ONE_POINT).fit(make_plain_context(TRAIN, DEV, task=task(metric)))
    truth, chances = marked([each.reference for each in DEV]), one_vs_rest(TRAIN, TEXTS)
    score = {
        Metric.MICRO_F1: lambda guess: f1_score(truth, guess, average="micro"),
        Metric.MACRO_F1: lambda guess: f1_score(truth, guess, average="macro"),
        Metric.ACCURACY: lambda guess: accuracy_score(truth, guess),
    }
    tried = [score[metric](chances >= threshold) for threshold in THRESHOLDS]
    (point,) = grid_of(fitted).points
    assert len(set(tried)) > 1
    assert point.scores[metric] == pytest.approx(max(tried))
    assert tried[THRESHOLDS.index(point.choice["threshold"])] == pytest.approx(max(tried))
    guess = marked([each.answer for each in fitted.predictor.predict(TEXTS)])
    for each in MULTI_LABEL.metrics:
        assert point.scores[each] == pytest.approx(score[each](guess))


def test_labels_that_none_or_all_of_train_have_are_certain(make_plain_context):
    labels = ("zoo", *LABELS)
    train = tuple(
        Example(str(at), f"{word} {at}", write_labels(["login", word], labels)) for at, word in enumerate(LABELS)
    )
    (predicted,) = (
        Tfidf(ONE_POINT).fit(make_plain_context(train, train, task=task(labels=labels))).predictor.predict(["refund"])
    )
    assert (predicted.probabilities["zoo"], predicted.probabilities["login"]) == (0.0, 1.0)
    assert list(predicted.probabilities) == list(labels)
    assert "login" in read_labels(predicted.answer)


def test_texts_without_a_word_leave_the_frequencies(make_plain_context):
    train = tuple(Example(str(at), " ", write_labels(LABELS[:1] if at else (), LABELS)) for at in range(4))
    (predicted,) = Tfidf().fit(make_plain_context(train, train, task=task())).predictor.predict(["hello"])
    assert dict(predicted.probabilities) == pytest.approx({"refund": 0.75, "delivery": 0, "login": 0})


@pytest.mark.parametrize("features", ["word", "word+char"])
def test_restoring_gives_exactly_the_same(make_plain_context, features):
    strategy, context = Tfidf(TfidfConfig(features=(features,))), make_plain_context(TRAIN, DEV, task=task())
    fitted = strategy.fit(context).predictor
    restored = again(strategy, context, fitted)
    before, after = fitted.predict(TEXTS), restored.predict(TEXTS)
    assert [(each.answer, each.probabilities) for each in after] == [
        (each.answer, each.probabilities) for each in before
    ]
    assert restored.choice == fitted.choice
    assert set(fitted.choice) == {"features", "c", "threshold"}


def test_nothing_to_predict_is_an_empty_list(make_plain_context):
    assert Tfidf(ONE_POINT).fit(make_plain_context(TRAIN, DEV, task=task())).predictor.predict([]) == []
