"""The conditional random field against sklearn-crfsuite used directly, and its file."""

import json
import math
from itertools import product

import pycrfsuite
import pytest
import sklearn_crfsuite
from pydantic import ValidationError

from llmtl.answers import read_spans
from llmtl.classical.word_features import features_of
from llmtl.classical.words import to_spans, to_tags, words_of
from llmtl.errors import DataError, RunError
from llmtl.kinds.extraction import EXTRACTION
from llmtl.strategies.crf import MODEL_FILE, Crf, CrfConfig
from llmtl.strategy import Role
from llmtl.task import Metric
from tests.support.extraction_examples import DEV, TASK, TRAIN, examples
from tests.support.fitted import again, grid_of

SMALL = CrfConfig(c1=(0.1,), c2=(0.1, 5.0))


@pytest.fixture
def context(make_plain_context):
    return make_plain_context(examples(TRAIN), examples(DEV), task=TASK)


def answers(predictor, texts):
    return [each.answer for each in predictor.predict(texts)]


def test_agrees_with_sklearn_crfsuite_at_every_point_of_the_grid(context):
    fitted = Crf(SMALL).fit(context)
    rows = [words_of(each.text) for each in context.train]
    tags = [to_tags(words, read_spans(each.reference)) for words, each in zip(rows, context.train, strict=True)]
    measure = EXTRACTION.measure(Metric.MICRO_F1, [each.reference for each in context.dev])
    for point in grid_of(fitted).points:
        model = sklearn_crfsuite.CRF(
            algorithm="lbfgs",
            c1=point.choice["c1"],
            c2=point.choice["c2"],
            max_iterations=100,
            all_possible_transitions=True,
        ).fit(list(map(features_of, rows)), tags)
        guesses = []
        for each in context.dev:
            words = words_of(each.text)
            spans = to_spans(each.text, words, model.predict_single(features_of(words)))
            guesses.append(json.dumps([vars(span) for span in spans]))
        expected = float(measure.value(measure.counts(guesses).sum(axis=0)))
        assert point.scores["micro_f1"] == pytest.approx(expected)
        if point.choice == fitted.predictor.choice:
            mine = answers(fitted.predictor, [each.text for each in context.dev])
            assert [read_spans(each) for each in mine] == [read_spans(each) for each in guesses]
            assert expected > 0.5


def test_the_probability_of_an_answer_is_that_of_its_tags_among_all_sequences(context):
    fitted = Crf(SMALL).fit(context).predictor
    text = context.dev[0].text
    words = words_of(text)
    [made] = fitted.predict([text])
    tagger = pycrfsuite.Tagger()
    tagger.open(str(fitted.file))
    tagger.set(features_of(words))
    best = tagger.tag()
    assert math.exp(made.logprob) == pytest.approx(tagger.probability(best))
    tagger.set(features_of(words)[:3])
    every = product(tagger.labels(), repeat=3)
    assert sum(tagger.probability(list(tags)) for tags in every) == pytest.approx(1)
    assert fitted.predict([""])[0].logprob == 0


def test_the_best_of_dev_is_kept(context):
    fitted = Crf(CrfConfig(c1=(0.1, 50.0), c2=(0.1,))).fit(context)
    scores = {point.choice["c1"]: point.scores["micro_f1"] for point in grid_of(fitted).points}
    assert scores[0.1] > scores[50.0]
    assert fitted.predictor.choice["c1"] == 0.1
    assert [path.name for path in context.folder.iterdir()] == [MODEL_FILE]


def test_restoring_gives_exactly_the_same(context):
    strategy, texts = Crf(SMALL), [each.text for each in context.train]
    fitted = strategy.fit(context).predictor
    restored = again(strategy, context, fitted)
    assert answers(restored, texts) == answers(fitted, texts)
    assert restored.choice == fitted.choice
    assert (strategy.name, strategy.role) == ("crf", Role.BASELINE)


def test_a_missing_or_a_changed_model_is_an_error_with_the_cure(context):
    strategy = Crf(SMALL)
    strategy.fit(context).predictor.save(context.folder)
    file = context.folder / MODEL_FILE
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(RunError, match=r"not the one that was fitted; run the recipe again"):
        strategy.load(context, context.folder)
    file.unlink()
    with pytest.raises(RunError, match=r"lacks 'model.crfsuite'; run the recipe again"):
        strategy.load(context, context.folder)


def test_texts_without_words_have_no_spans(context):
    done = []
    predicted = Crf(SMALL).fit(context).predictor.predict(["", "  ", "hello"], advance=done.append)
    assert [each.answer for each in predicted[:2]] == ["[]", "[]"]
    assert [each.id for each in predicted] == ["0", "1", "2"]
    assert sum(done) == 3


@pytest.mark.parametrize("train", [("", " "), ("no spans", "at all")])
def test_train_without_words_or_spans_is_an_error_with_the_cure(make_plain_context, train):
    with pytest.raises(DataError, match=r"No training example has a span; label some"):
        Crf(SMALL).fit(make_plain_context(examples(train), examples(DEV), task=TASK))


def test_no_training_examples_is_an_error_with_the_cure(make_plain_context):
    with pytest.raises(DataError, match=r"no training examples; label some"):
        Crf().fit(make_plain_context(train=(), task=TASK))


@pytest.mark.parametrize("changes", [{"c1": ()}, {"c2": (-1.0,)}, {"max_iterations": 0}, {"c3": (1,)}])
def test_the_configuration_refuses_what_makes_no_sense(changes):
    with pytest.raises(ValidationError):
        CrfConfig(**changes)
