"""The dictionary: what counts as an entry, which entry is found first, and what dev chooses."""

import pytest
from pydantic import ValidationError

from llmtl.answers import read_spans
from llmtl.classical.patterns import learn
from llmtl.errors import DataError
from llmtl.kinds.extraction import EXTRACTION
from llmtl.strategies.dictionary import Dictionary, DictionaryConfig
from llmtl.strategy import Role
from llmtl.task import Metric
from tests.support.extraction_examples import DEV, TASK, TRAIN, example, examples
from tests.support.fitted import again, grid_of


def found(marked, text, precision=0.5):
    pairs = [(each.text, read_spans(each.reference)) for each in examples(marked)]
    return [(span.type, span.text) for span in learn(pairs, precision=precision).find(text)]


def test_the_words_of_a_span_are_found_whatever_their_case_with_their_places():
    entries = learn(
        [(example("in [city:New York]").text, read_spans(example("in [city:New York]").reference))], precision=0.5
    )
    (span,) = entries.find("to NEW  YORK, please")
    assert (span.type, span.text, span.start, span.end) == ("city", "NEW  YORK", 3, 12)


def test_the_longest_comes_first_and_nothing_overlaps():
    marked = ("[city:York]", "[city:New York]", "[team:New York City]", "[thing:City Hall]")
    assert found(marked, "New York City Hall, York") == [("team", "New York City"), ("city", "York")]


def test_digits_of_two_spans_make_a_pattern_and_of_one_do_not():
    two = ("in [days:3 days]", "in [days:14 days]")
    assert found(two, "in 99 days") == [("days", "99 days")]
    assert found(two[:1] * 3, "in 99 days") == []


def test_capitalised_words_make_a_pattern():
    assert found(("call [name:Ann Lee]", "ask [name:Bob Ray]"), "now Cy Fox") == [("name", "Cy Fox")]


def test_the_exact_goes_before_the_pattern():
    marked = ("[time:7 pm]", "[time:8 pm]", "[club:9 pm]", "[time:6 pm]")
    assert found(marked, "9 pm") == [("club", "9 pm")]
    assert found(marked, "5 pm") == [("time", "5 pm")]


@pytest.mark.parametrize(("precision", "expected"), [(0.6, []), (0.5, [("n", "two")]), (0.3, [("n", "two")])])
def test_an_entry_is_kept_by_its_share_of_spans_in_train(precision, expected):
    assert found(("[n:two]", "two", "[n:two] or two"), "two", precision) == expected


def test_words_inside_a_longer_entry_do_not_count_against_it():
    marked = ("[people:2 friends]", "just [people:2]", "[people:3 friends]")
    assert found(marked, "2", precision=1.0) == [("people", "2")]


def test_dev_chooses_the_precision(make_plain_context):
    context = make_plain_context(examples(TRAIN), examples(DEV), task=TASK)
    fitted = Dictionary(DictionaryConfig(precision=(0.2, 0.6, 1.0))).fit(context)
    scores = {point.choice["precision"]: point.scores["micro_f1"] for point in grid_of(fitted).points}
    assert list(scores) == [1.0, 0.6, 0.2]
    assert fitted.predictor.precision == max(scores, key=scores.get)
    guesses = [each.answer for each in fitted.predictor.predict([each.text for each in context.dev])]
    measure = EXTRACTION.measure(Metric.MICRO_F1, [each.reference for each in context.dev])
    assert max(scores.values()) == pytest.approx(float(measure.value(measure.counts(guesses).sum(axis=0))))
    assert max(scores.values()) > 0.5


def test_restoring_gives_exactly_the_same(make_plain_context):
    strategy, context = Dictionary(), make_plain_context(examples(TRAIN), examples(DEV), task=TASK)
    fitted = strategy.fit(context).predictor
    restored = again(strategy, context, fitted)
    assert restored.entries == fitted.entries
    assert (strategy.name, strategy.role) == ("dictionary", Role.BASELINE)


def test_predictions_are_numbered_counted_and_without_probabilities(make_plain_context):
    done = []
    fitted = Dictionary().fit(make_plain_context(examples(TRAIN), examples(DEV), task=TASK)).predictor
    predicted = fitted.predict(["", "at 5pm"], advance=done.append)
    assert [(each.id, each.probabilities, each.failure) for each in predicted] == [("0", {}, None), ("1", {}, None)]
    assert predicted[0].answer == "[]"
    assert sum(done) == 2


def test_train_without_spans_finds_nothing(make_plain_context):
    fitted = Dictionary().fit(make_plain_context(examples(("a", "b")), examples(DEV), task=TASK)).predictor
    assert fitted.predict(["a table at 7pm"])[0].answer == "[]"


def test_no_training_examples_is_an_error_with_the_cure(make_plain_context):
    with pytest.raises(DataError, match=r"no training examples; label some"):
        Dictionary().fit(make_plain_context(train=(), task=TASK))


@pytest.mark.parametrize("precision", [(), (1.5,), (-0.1,)])
def test_the_configuration_refuses_what_makes_no_sense(precision):
    with pytest.raises(ValidationError):
        DictionaryConfig(precision=precision)
