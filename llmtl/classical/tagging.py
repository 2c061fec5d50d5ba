"""The best valid sequence of BIO tags for words that a model gave a probability of each tag: what token heads share.

A head on the states of a language model (`linear-probe`) and one on an encoder (`encoder`) both score each word by
itself. Viterbi's algorithm (Forney 1973, "The Viterbi Algorithm") finds the most probable sequence in which an `I-`
continues a span of its type; its probability is taken among the valid sequences alone. Words, tags and spans are those
of `llmtl.classical.words`. Not covered: learned transitions (the `crf` strategy), nested spans, sub-words: a head says
which state stands for a word.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from llmtl.classical.words import OUTSIDE

Floats = NDArray[np.float64]


def bio_tags(types: Sequence[str]) -> tuple[str, ...]:
    """List all tags of a task: `O`, then the `B-` and the `I-` of each type."""
    return (OUTSIDE, *(f"{mark}-{each}" for each in types for mark in ("B", "I")))


def decode(scores: Sequence[Any], tags: Sequence[str]) -> list[tuple[list[str], float]]:
    """Find the best valid tags of each text, with the log-probability of all of them together.

    `scores` has an array for each text, (words, K): log-probabilities, or logits, of `tags`; one text may have no
    words. Texts are worked through together, word by word.
    """
    lengths = np.array([len(each) for each in scores], dtype=int)
    steps, count = int(lengths.max(initial=0)), len(tags)
    padded = np.zeros((len(scores), steps, count))  # (N, L, K)
    for row, each in zip(padded, scores, strict=True):
        row[: len(each)] = np.asarray(each, dtype=float).reshape(-1, count)
    begins, follows = _valid(tags)
    best, total = padded[:, :1] + begins, padded[:, :1] + begins  # (N, 1, K), or (N, 0, K) without any word
    best, total = (each[:, 0] if steps else np.zeros((len(scores), count)) for each in (best, total))
    back = np.zeros((steps, len(scores), count), dtype=int)
    for step in range(1, steps):
        going = (step < lengths)[:, None]
        reached = best[:, :, None] + follows  # (N, K before, K)
        back[step] = reached.argmax(axis=1)
        best = np.where(going, reached.max(axis=1) + padded[:, step], best)
        total = np.where(going, logsumexp(total[:, :, None] + follows, axis=1) + padded[:, step], total)
    logprobs = best.max(axis=1) - logsumexp(total, axis=1)
    paths = _paths(best.argmax(axis=1), back, lengths)
    return [
        ([tags[at] for at in path], float(logprob) if len(path) else 0.0)
        for path, logprob in zip(paths, logprobs, strict=True)
    ]


def _paths(last: NDArray[np.int64], back: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[list[int]]:
    """Follow each text's best last tag back to its first word."""
    paths = []
    for text, (at, length) in enumerate(zip(last.tolist(), lengths.tolist(), strict=True)):
        path = [at] if length else []
        for step in range(length - 1, 0, -1):
            path.append(int(back[step, text, path[-1]]))
        paths.append(path[::-1])
    return paths


def _valid(tags: Sequence[str]) -> tuple[Floats, Floats]:
    """Give 0 where a tag may begin a text (K) or follow another (K before, K), and minus infinity elsewhere."""
    inside = np.array([tag.startswith("I-") for tag in tags])
    alike = np.array([[before != OUTSIDE and before[2:] == tag[2:] for tag in tags] for before in tags])
    return np.where(inside, -np.inf, 0.0), np.where(inside & ~alike, -np.inf, 0.0)
