"""TF-IDF and logistic regression against the same pipeline put together from scikit-learn's own parts."""

import random

import pytest
from pydantic import ValidationError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import FeatureUnion, Pipeline

from llmtl.errors import DataError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.strategies.tfidf import Tfidf, TfidfConfig
from llmtl.strategy import Role
from llmtl.task import Example, Metric, Task
from tests.support.fitted import again, grid_of

TEXTS = ("my refund please", "the parcel is late", "passwort", "is it?", "")


def scikit_learn(features, c, train):
    """Return the pipeline a reader of scikit-learn's documentation would write, fitted on train."""
    parts = [("word", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b"))]
    if features == "word+char":
        parts.append(("char", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)))
    pipeline = Pipeline([("rows", FeatureUnion(parts)), ("model", LogisticRegression(C=c, tol=1e-8, max_iter=10_000))])
    return pipeline.fit([example.text for example in train], [example.reference for example in train])


def probabilities(predictions):
    return [dict(each.probabilities) for each in predictions]


@pytest.mark.parametrize("features", ["word", "word+char"])
@pytest.mark.parametrize("c", [1.0, 10.0])
def test_probabilities_agree_with_a_plain_pipeline(make_plain_context, features, c):
    context = make_plain_context()
    predicted = Tfidf(TfidfConfig(features=(features,), c=(c,))).fit(context).predictor.predict(TEXTS)
    reference = scikit_learn(features, c, context.train)
    expected = [dict(zip(reference.classes_, row, strict=True)) for row in reference.predict_proba(TEXTS)]
    for mine, theirs in zip(predicted, expected, strict=True):
        assert dict(mine.probabilities) == pytest.approx(theirs, abs=2e-3)
        assert sum(mine.probabilities.values()) == pytest.approx(1)
        assert mine.answer == max(mine.probabilities, key=mine.probabilities.get)


def noisy(count, seed, words=("refund", "delivery", "login")):
    """Return examples whose text mixes the label's own words with those of other labels."""
    draw = random.Random(seed)
    rows = []
    for position in range(count):
        label = words[position % 3]
        text = " ".join(f"{draw.choice([label, *words])}{draw.randrange(9)}" for _ in range(5))
        rows.append(Example(f"{seed}-{position}", text, label))
    return tuple(rows)


@pytest.mark.parametrize("metric", CLASSIFICATION.metrics)
def test_the_grid_is_scored_on_dev_and_its_best_point_is_kept(make_plain_context, metric):
    train, dev = noisy(60, 1), noisy(50, 2)
    task = Task("routing", ("refund", "delivery", "login"), metric=metric)
    fitted = Tfidf(TfidfConfig(c=(0.1, 1.0, 10.0))).fit(make_plain_context(train, dev, task=task))
    grid = grid_of(fitted)
    priors = (None, "even") if metric is Metric.MACRO_F1 else (None,)
    assert [(point.choice["features"], point.choice["c"], point.choice.get("prior")) for point in grid.points] == [
        (features, c, prior) for features in ("word", "word+char") for c in (0.1, 1.0, 10.0) for prior in priors
    ]
    truth, texts = [each.reference for each in dev], [each.text for each in dev]
    for point in grid.points:
        guesses = scikit_learn(point.choice["features"], point.choice["c"], train).predict(texts)
        assert point.scores["accuracy"] == pytest.approx(accuracy_score(truth, guesses))
        assert point.scores["macro_f1"] == pytest.approx(f1_score(truth, guesses, average="macro"))
    scores = [point.scores[metric] for point in grid.points]
    best = grid.points[scores.index(max(scores))]
    assert fitted.predictor.choice == grid.choice == best.choice
    assert len(set(scores)) > 1, "a grid without differences would show nothing"


def test_macro_f1_tries_labels_as_if_all_were_as_frequent(make_plain_context):
    rare = [each for each in noisy(90, 5) if each.reference == "refund" or each.id.endswith("0")]
    dev = noisy(60, 6)
    task = Task("routing", ("refund", "delivery", "login"), metric=Metric.MACRO_F1)
    fitted = Tfidf(TfidfConfig(features=("word",), c=(1.0,))).fit(make_plain_context(tuple(rare), dev, task=task))
    plain, even = grid_of(fitted).points
    reference = scikit_learn("word", 1.0, rare)
    shares = [sum(each.reference == label for each in rare) / len(rare) for label in reference.classes_]
    texts, truth = [each.text for each in dev], [each.reference for each in dev]
    guesses = reference.classes_[(reference.predict_proba(texts) / shares).argmax(axis=1)]
    assert even.scores["macro_f1"] == pytest.approx(f1_score(truth, guesses, average="macro"))
    assert even.scores["macro_f1"] > plain.scores["macro_f1"] + 0.1
    assert fitted.predictor.choice["prior"] == "even"
    assert [each.answer for each in fitted.predictor.predict(texts)] == list(guesses)


def test_dev_chooses_and_never_fits(make_plain_context):
    dev = (Example("d", "the word zebra is only in dev", "login"),)
    context = make_plain_context(dev=dev)
    fitted = Tfidf().fit(context).predictor
    assert "zebra" not in fitted.vectoriser.parts[0].vocabulary_


@pytest.mark.parametrize("features", ["word", "word+char"])
def test_restoring_gives_exactly_the_same_predictions(make_plain_context, features):
    strategy, context = Tfidf(TfidfConfig(features=(features,))), make_plain_context()
    fitted = strategy.fit(context).predictor
    restored = again(strategy, context, fitted)
    assert probabilities(restored.predict(TEXTS)) == probabilities(fitted.predict(TEXTS))
    assert restored.choice == fitted.choice


def test_fitting_twice_gives_exactly_the_same(make_plain_context):
    first, second = Tfidf().fit(make_plain_context()), Tfidf().fit(make_plain_context())
    assert probabilities(first.predictor.predict(TEXTS)) == probabilities(second.predictor.predict(TEXTS))
    assert first.findings == second.findings


def test_one_label_in_train_is_always_predicted(make_plain_context):
    train = (Example("0", "a parcel", "delivery"), Example("1", "two parcels", "delivery"))
    predicted = Tfidf().fit(make_plain_context(train)).predictor.predict(TEXTS)
    assert all(dict(each.probabilities) == {"refund": 0, "delivery": 1, "login": 0} for each in predicted)


def test_labels_missing_in_train_have_probability_zero(make_plain_context):
    given = make_plain_context()
    train = tuple(example for example in given.train if example.reference != "delivery")
    labels = ("zoo", "refund", "delivery", "login")
    predicted = Tfidf().fit(make_plain_context(train, labels=labels)).predictor.predict(TEXTS)
    assert {each.probabilities["delivery"] for each in predicted} == {0.0}
    assert {each.probabilities["zoo"] for each in predicted} == {0.0}
    assert [each.answer for each in predicted[:1]] == ["refund"]
    assert all(sum(each.probabilities.values()) == pytest.approx(1) for each in predicted)


def test_texts_without_a_word_leave_the_frequencies(make_plain_context):
    train = tuple(Example(str(each), "   ", "login" if each else "refund") for each in range(4))
    (predicted,) = Tfidf().fit(make_plain_context(train)).predictor.predict(["hello"])
    assert dict(predicted.probabilities) == pytest.approx({"refund": 0.25, "delivery": 0, "login": 0.75})


def test_symbols_alone_still_count_as_characters(make_plain_context):
    train = tuple(
        Example(str(each), text, label) for each, (text, label) in enumerate([("!!!", "login"), (":)", "refund")])
    )
    fitted = Tfidf(TfidfConfig(c=(100.0,))).fit(make_plain_context(train, dev=train)).predictor
    assert [each.answer for each in fitted.predict(["!!!", ":)"])] == ["login", "refund"]


def test_nothing_to_predict_is_an_empty_list(make_plain_context):
    assert Tfidf().fit(make_plain_context()).predictor.predict([]) == []


def test_seconds_add_up_to_less_than_the_wall_time(make_plain_context):
    from time import perf_counter

    fitted = Tfidf().fit(make_plain_context()).predictor
    start = perf_counter()
    predicted = fitted.predict(TEXTS)
    wall = perf_counter() - start
    assert 0 < sum(each.seconds for each in predicted) <= wall


def test_no_training_examples_is_an_error_with_the_cure(make_plain_context):
    with pytest.raises(DataError, match=r"no training examples; label some"):
        Tfidf().fit(make_plain_context(train=()))


@pytest.mark.parametrize("changes", [{"c": (0.0,)}, {"c": ()}, {"features": ("bert",)}, {"shots": 3}])
def test_the_configuration_refuses_what_makes_no_sense(changes):
    with pytest.raises(ValidationError):
        TfidfConfig(**changes)


def test_name_and_role():
    assert (Tfidf().name, Tfidf().role) == ("tfidf", Role.BASELINE)
