"""The majority label against scikit-learn's DummyClassifier and by hand; the one answer of the other kinds."""

import pytest
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from llmtl.answers import Span, write_spans
from llmtl.errors import DataError
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.strategies.majority import Majority
from llmtl.strategy import Role
from llmtl.task import Example, Metric, Task
from tests.support.fitted import again


def labelled(*labels):
    return tuple(Example(str(position), f"text {position}", label) for position, label in enumerate(labels))


def test_agrees_with_the_dummy_classifier(make_plain_context):
    train = labelled("login", "refund", "login", "delivery", "login", "refund")
    predictor = Majority().fit(make_plain_context(train)).predictor
    reference = DummyClassifier(strategy="prior").fit([[0]] * 6, [example.reference for example in train])
    (predicted,) = predictor.predict(["anything"])
    assert predicted.answer == reference.predict([[0]])[0] == "login"
    expected = dict(zip(reference.classes_, reference.predict_proba([[0]])[0], strict=True))
    assert dict(predicted.probabilities) == pytest.approx(expected)
    assert list(predicted.probabilities) == ["refund", "delivery", "login"]


def test_ties_go_by_the_order_of_the_task(make_plain_context):
    train = labelled("delivery", "login", "delivery", "login", "refund")
    for labels, first in ((("refund", "delivery", "login"), "delivery"), (("login", "delivery", "refund"), "login")):
        assert Majority().fit(make_plain_context(train, labels=labels)).predictor.predict(["x"])[0].answer == first


def test_a_label_that_train_lacks_has_probability_zero(make_plain_context):
    (predicted,) = Majority().fit(make_plain_context(labelled("login", "login"))).predictor.predict(["x"])
    assert dict(predicted.probabilities) == {"refund": 0.0, "delivery": 0.0, "login": 1.0}


def test_predictions_are_numbered_in_order_and_counted(make_plain_context):
    done = []
    predicted = Majority().fit(make_plain_context()).predictor.predict(["a", "b", "c"], advance=done.append)
    assert [each.id for each in predicted] == ["0", "1", "2"]
    assert sum(done) == 3
    assert all(each.prompt_tokens == 0 and each.failure is None and each.seconds >= 0 for each in predicted)


def test_restoring_gives_the_same_probabilities(make_plain_context):
    strategy, context = Majority(), make_plain_context()
    fitted = strategy.fit(context).predictor
    restored = again(strategy, context, fitted)
    assert restored.predict(["x"])[0].probabilities == fitted.predict(["x"])[0].probabilities
    assert fitted.frequencies == pytest.approx({"refund": 1 / 3, "delivery": 1 / 3, "login": 1 / 3})
    assert (strategy.name, strategy.role) == ("majority", Role.BASELINE)


def test_no_training_examples_is_an_error_with_the_cure(make_plain_context):
    with pytest.raises(DataError, match=r"no training examples; label some"):
        Majority().fit(make_plain_context(train=()))


def test_several_labels_the_most_frequent_set(make_plain_context):
    train = labelled('["refund"]', '["refund", "login"]', "[]", '["refund", "login"]')
    task = Task("topics", ("refund", "login"), metric=Metric.MICRO_F1, kind=MULTI_LABEL)
    fitted = Majority().fit(make_plain_context(train, task=task)).predictor
    assert [each.answer for each in fitted.predict(["a", "b"])] == ['["refund", "login"]'] * 2
    assert (fitted.answer, fitted.share) == ('["refund", "login"]', 0.5)


def test_extraction_has_no_spans(make_plain_context):
    some = write_spans([Span(0, 4, "time", "text")])
    task = Task("booking", ("time",), metric=Metric.MICRO_F1, kind=EXTRACTION)
    fitted = Majority().fit(make_plain_context(labelled(some, some, "[]", some), task=task)).predictor
    assert fitted.predict(["a"])[0].answer == write_spans([]) == "[]"
    assert fitted.share == 0.25


def test_generation_copies_the_reference_that_is_nearest_to_all(make_plain_context):
    texts = ["a cheap pub", "a cheap cafe by the river", "a cheap pub by the river", "an expensive hotel", "one pub"]
    task = Task("describe", (), metric=Metric.CHRF, kind=GENERATION)
    (predicted,) = Majority().fit(make_plain_context(labelled(*texts), task=task)).predictor.predict(["x"])
    vectoriser = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    similarity = cosine_similarity(vectoriser.fit_transform(texts)).sum(axis=1)
    assert predicted.answer == texts[similarity.argmax()]
    assert similarity.argmax() != 0
    assert predicted.probabilities == {}


def test_references_without_a_word_leave_the_first(make_plain_context):
    task = Task("describe", (), metric=Metric.CHRF, kind=GENERATION)
    assert Majority().fit(make_plain_context(labelled("!", "?"), task=task)).predictor.predict(["x"])[0].answer == "!"
