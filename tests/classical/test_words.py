"""Words, places and tags, against seqeval's reading of the same tags."""

import random

import pytest
from seqeval.metrics.sequence_labeling import get_entities

from llmtl.answers import Span, read_spans
from llmtl.classical.word_features import features_of, shape
from llmtl.classical.words import OUTSIDE, covered, to_spans, to_tags, words_of
from tests.support.extraction_examples import TRAIN, examples


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at 7:30pm.", ["at", "7", ":", "30", "pm", "."]),
        ("O'Neil_2", ["O", "'", "Neil", "_", "2"]),
        ("Zoë ist ü", ["Zoë", "ist", "ü"]),
        (" \n", []),
    ],
)
def test_letters_digits_and_signs_are_words_with_their_places(text, expected):
    words = words_of(text)
    assert [word.text for word in words] == expected
    assert [text[word.start : word.end] for word in words] == expected


def test_spans_come_back_from_their_tags():
    for each in examples(TRAIN):
        words = words_of(each.text)
        assert to_spans(each.text, words, to_tags(words, read_spans(each.reference))) == list(
            read_spans(each.reference)
        )


def test_neighbours_of_one_type_stay_apart():
    words = words_of("two three")
    spans = [Span(0, 3, "n", "two"), Span(4, 9, "n", "three")]
    assert to_tags(words, spans) == ["B-n", "B-n"]
    assert to_spans("two three", words, ["B-n", "B-n"]) == spans


def test_borders_within_a_word_move_to_its_edges_and_overlaps_keep_the_first():
    words = words_of("tomorrow night")
    assert covered(words, Span(2, 10, "d", "morrow n")) == (0, 2)
    assert covered(words, Span(8, 9, "d", " ")) is None
    overlapping = [Span(0, 8, "a", "tomorrow"), Span(0, 14, "b", "tomorrow night"), Span(8, 9, "c", " ")]
    assert to_tags(words, overlapping) == ["B-a", OUTSIDE]


def test_any_tags_are_read_as_seqeval_reads_them():
    draw = random.Random(3)
    text = " ".join("abcdefghij")
    words = words_of(text)
    for _ in range(300):
        tags = [draw.choice(["O", "B-x", "I-x", "B-y", "I-y"]) for _ in words]
        expected = [(kind, words[first].start, words[last].end) for kind, first, last in get_entities(tags)]
        assert [(span.type, span.start, span.end) for span in to_spans(text, words, tags)] == expected


def test_features_name_the_word_its_shape_and_its_neighbours():
    at, seven, pm = features_of(words_of("At 7pm"))
    assert {"word=at", "shape=Xx", "word[+1]=7", "word[+2]=pm", "word[-1]=", "after=at 7"} <= set(at)
    assert {"word=7", "shape=9", "word[-1]=at"} <= set(seven)
    assert "touches" in pm
    assert "touches" not in seven
    assert shape("Ann-3b") == "Xxx-9x"
    assert features_of(()) == []
