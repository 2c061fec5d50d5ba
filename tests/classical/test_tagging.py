"""The best valid tags against every sequence written out."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.special import log_softmax

from llmtl.classical.tagging import bio_tags, decode

TAGS = bio_tags(("a", "b"))


def valid(path):
    """Say whether each `I-` continues a span of its type."""
    before = "O"
    for tag in path:
        if tag.startswith("I-") and before[2:] != tag[2:]:
            return False
        before = tag
    return True


def test_all_tags_of_a_task_are_listed():
    assert TAGS == ("O", "B-a", "I-a", "B-b", "I-b")
    assert bio_tags(()) == ("O",)


def test_the_best_valid_sequence_and_its_probability_are_those_of_every_sequence_written_out():
    draw = np.random.default_rng(5)
    texts = [log_softmax(3 * draw.normal(size=(length, len(TAGS))), axis=1) for length in (4, 1, 0, 3, 4, 4, 2)]
    for scores, (path, logprob) in zip(texts, decode(texts, TAGS), strict=True):
        every = {
            each: math.exp(sum(row[TAGS.index(tag)] for row, tag in zip(scores, each, strict=True)))
            for each in product(TAGS, repeat=len(scores))
            if valid(each)
        }
        assert tuple(path) == max(every, key=every.get)
        assert math.exp(logprob) == pytest.approx(every[tuple(path)] / sum(every.values()))


def test_a_tag_that_cannot_be_is_never_chosen():
    never = np.full((3, len(TAGS)), -np.inf)
    never[:, TAGS.index("B-a")], never[:, TAGS.index("I-b")] = math.log(0.1), math.log(0.9)
    assert decode([never], TAGS) == [(["B-a", "B-a", "B-a"], pytest.approx(0))]


def test_no_texts_and_texts_without_words_have_no_tags():
    assert decode([], TAGS) == []
    assert decode([np.zeros((0, len(TAGS)))], TAGS) == [([], 0.0)]
