"""BM25 against its formula, written out in plain Python."""

import math
import re
from collections import Counter

import numpy as np
import pytest

from llmtl.classical.word_index import WordIndex, count_words, weigh

TEXTS = [
    "The card was blocked, and the card is new",
    "where is my parcel",
    "a",
    "refund for the parcel that never came: where is the refund",
    "...",
]
QUERIES = ["card parcel", "Refund, refund!", "the the the", "nothing known", ""]


def by_hand(query, text, *, k1, b):
    """Score as Lucene does: Kamphuis et al. (2020), table 1, row `Lucene (accurate)`, without the constant k1 + 1."""
    words = [re.findall(r"\w+", each.lower()) for each in TEXTS]
    mean = sum(map(len, words)) / len(words)
    own, total = Counter(words[TEXTS.index(text)]), 0.0
    for word in re.findall(r"\w+", query.lower()):
        holding = sum(word in each for each in words)
        idf = math.log(1 + (len(TEXTS) - holding + 0.5) / (holding + 0.5))
        norm = k1 * (1 - b + b * own.total() / mean)
        total += idf * own[word] / (own[word] + norm) if own[word] else 0
    return total


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.9, 0.4), (2.0, 0.0), (1.5, 1.0)])
def test_scores_are_those_of_the_formula(k1, b):
    words, counts = count_words(TEXTS)
    scores = WordIndex(words, weigh(counts, k1=k1, b=b)).scores(QUERIES)
    expected = [[by_hand(query, text, k1=k1, b=b) for text in TEXTS] for query in QUERIES]
    assert scores == pytest.approx(np.array(expected))


def test_a_corpus_without_a_word_scores_nothing():
    words, counts = count_words(["...", "!"])
    assert WordIndex(words, weigh(counts, k1=1.2, b=0.75)).scores(["card"]).tolist() == [[0, 0]]
