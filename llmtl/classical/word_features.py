"""What a CRF sees of each word: the word, its ends and shape, and its neighbours.

The features of sklearn-crfsuite's tutorial for CoNLL-2002 (word, suffixes, capitals and digits, one neighbour each
side) with prefixes, shapes and a second neighbour, as in Finkel, Grenager & Manning (2005), "Incorporating Non-local
Information into Information Extraction Systems by Gibbs Sampling", table 2. Not covered: parts of speech, gazetteers,
embeddings.
"""

from collections.abc import Sequence

from llmtl.classical.words import Word

NEIGHBOURS = (-2, -1, 1, 2)
AFFIXES = (1, 2, 3)
"""Lengths of the prefixes and suffixes, in characters."""


def shape(word: str) -> str:
    """Write a word with X for capitals, x for other letters and 9 for digits: `Ann` as `Xxx`."""
    return "".join(map(_class, word))


def features_of(words: Sequence[Word]) -> list[list[str]]:
    """Name the features that hold of each word, as CRFsuite takes them."""
    lower, shapes = [word.text.lower() for word in words], [shape(word.text) for word in words]
    return [
        ["bias", *_own(words, at), *_around("word", lower, at), *_around("shape", shapes, at), *_pairs(lower, at)]
        for at in range(len(words))
    ]


def _class(char: str) -> str:
    if char.isdigit():
        return "9"
    if char.isalpha():
        return "X" if char.isupper() else "x"
    return char


def _own(words: Sequence[Word], at: int) -> list[str]:
    """Return the prefixes and suffixes of a word and whether it touches the word before."""
    text = words[at].text.lower()
    ends = [f"prefix={text[:length]}" for length in AFFIXES] + [f"suffix={text[-length:]}" for length in AFFIXES]
    touches = at > 0 and words[at - 1].end == words[at].start
    return [*ends, "touches"] if touches else ends


def _around(name: str, values: Sequence[str], at: int) -> list[str]:
    """Return the value at a position and at its neighbours; beyond the ends it is empty."""
    around = [f"{name}[{step:+d}]={_at(values, at + step)}" for step in NEIGHBOURS]
    return [f"{name}={values[at]}", *around]


def _pairs(lower: Sequence[str], at: int) -> list[str]:
    """Return the word with the one before and the one after."""
    return [f"before={_at(lower, at - 1)} {lower[at]}", f"after={lower[at]} {_at(lower, at + 1)}"]


def _at(values: Sequence[str], at: int) -> str:
    return values[at] if 0 <= at < len(values) else ""
