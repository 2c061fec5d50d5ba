"""Make the pre-training stream: which documents, how hard, packed into rows. Seeded, endless, alike on every machine.

Batch i of seed s is made from the seed text "s/i" alone, so training resumes anywhere without replaying the stream.
Not covered: weights and gradients (see `pretrain`), and the words themselves (`lexicon.txt`, `frames.txt`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Literal

from llmtl.pocket.documents import (
    Document,
    Encoder,
    RepeatStyle,
    classification_document,
    dictionary_document,
    extraction_document,
    repeat_document,
    statement,
    statement_document,
)
from llmtl.pocket.lexicon import load_lexicon
from llmtl.pocket.messages import MessageStyle, WordSupply
from llmtl.pocket.span_documents import draw_types, extraction_system, extraction_turns
from llmtl.pocket.tasks import TaskStyle, draw_task, turns
from llmtl.pocket.vocabulary import chat

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["classification", "dictionary", "extraction", "statement", "repeat"]
TOKENS_PER_BATCH = 8192
# Row length from each share of the training on: 32 demonstrations fit into the last.
ROW_LENGTHS = ((0.0, 128), (0.62, 256), (0.86, 768))


@dataclass(frozen=True)
class Batch:
    """Packed rows. `ids`, `documents` and `weights` have the shape (rows, row length + 1).

    `documents` holds the number of each token's document within its row, -1 for padding.
    """

    ids: "NDArray[np.int32]"
    documents: "NDArray[np.int16]"
    weights: "NDArray[np.int8]"


def between(progress: float, *points: tuple[float, float]) -> float:
    """Interpolate the value at `progress` on the straight lines through `points` of (progress, value)."""
    if progress <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if progress <= x1:
            return y0 + (y1 - y0) * (progress - x0) / (x1 - x0)
    return points[-1][1]


def row_length(progress: float) -> int:
    """Look up the tokens of a row at `progress` (0 to 1) of the training."""
    return [length for start, length in ROW_LENGTHS if progress >= start][-1]


def shares(progress: float) -> dict[Kind, float]:
    """Compute the share of tokens of each kind of document at `progress`."""
    repeat = between(
        progress, (0.045, 1.0), (0.07, 0.4), (0.15, 0.3), (0.17, 0.2), (0.4, 0.15), (0.45, 0.05), (0.7, 0.03)
    )
    statement = between(progress, (0.045, 0.0), (0.07, 0.08), (0.5, 0.04))
    extraction = between(progress, (0.3, 0.0), (0.4, 0.05), (0.7, 0.05), (0.85, 0.12))
    dictionary = between(progress, (0.045, 0.0), (0.07, 0.4), (0.3, 0.5), (0.35, 0.12), (0.6, 0.06))
    return {
        "repeat": repeat,
        "statement": statement,
        "extraction": extraction,
        "dictionary": dictionary,
        "classification": max(0.0, 1.0 - repeat - statement - extraction - dictionary),
    }


def repeat_style(progress: float) -> RepeatStyle:
    """Choose how hard repeat documents are at `progress`: first plain copies over 200 tokens, then all kinds."""
    return RepeatStyle(
        copies=between(progress, (0.035, 1.0), (0.05, 0.35)),
        bags=between(progress, (0.2, 0.0), (0.3, 0.6)),
        alphabet=round(2 ** between(progress, (0.035, 7.65), (0.08, 13.0))),
    )


def task_style(progress: float, length: int) -> TaskStyle:
    """Choose how hard classification documents are at `progress`, for rows of `length` tokens."""
    most = int(between(progress, (0.5, 3), (0.6, 4), (0.7, 6), (0.8, 12)))
    return TaskStyle(
        messages=MessageStyle(
            bare=between(progress, (0.5, 0.85), (0.7, 0.5), (0.85, 0.12)),
            plain=between(progress, (0.5, 0.95), (0.7, 0.7), (0.85, 0.35)),
            repeat=between(progress, (0.2, 0.3), (0.45, 0.03)),
            noise=between(progress, (0.4, 0.0), (0.7, 0.06)),
        ),
        n_classes=(2, 77 if length >= 512 else most),
        spread=between(progress, (0.6, 0.0), (0.8, 0.3)),
        naming=(
            0.38,
            between(progress, (0.45, 0.0), (0.8, 0.2)),
            between(progress, (0.4, 0.7), (0.7, 0.8), (0.85, 0.42)),
        ),
        easy=between(progress, (0.35, 0.5), (0.45, 0.12), (0.8, 0.05)),
        tone=between(progress, (0.6, 0.0), (0.8, 0.07)),
        domain=between(progress, (0.6, 0.0), (0.8, 0.06)),
        related=between(progress, (0.6, 0.0), (0.8, 0.35)),
        canonical=between(progress, (0.3, 0.9), (0.7, 0.3)),
        spelled=between(progress, (0.55, 0.0), (0.8, 0.5)),
    )


@dataclass
class Corpus:
    """The batches of the pre-training stream, each made from the seed and its own number."""

    encoder: Encoder
    seed: int

    def batch(self, index: int, progress: float, *, n_tokens: int = TOKENS_PER_BATCH) -> Batch:
        """Make batch `index`; `progress` (0 to 1) sets the row length, the mixture and the difficulty."""
        import numpy as np

        rng = Random(f"{self.seed}/{index}")
        length = row_length(progress)
        rows = max(1, n_tokens // length)
        ids = np.full((rows, length + 1), self.encoder.special["<|pad|>"], dtype=np.int32)
        documents = np.full((rows, length + 1), -1, dtype=np.int16)
        weights = np.zeros((rows, length + 1), dtype=np.int8)
        deal = _Dealer(self.encoder, task_style(progress, length), shares(progress), repeat_style(progress), rng)
        for row in range(rows):
            used = 0
            for number, document in enumerate(deal.fill_row(length + 1)):
                end = used + len(document.ids)
                ids[row, used:end] = document.ids
                documents[row, used:end] = number
                weights[row, used:end] = document.weights
                used = end
        return Batch(ids, documents, weights)


class _Dealer:
    """Makes documents so that each kind keeps to its share of tokens."""

    def __init__(
        self, encoder: Encoder, style: TaskStyle, wanted: dict[Kind, float], repeats: RepeatStyle, rng: Random
    ) -> None:
        self.encoder, self.style, self.wanted, self.rng = encoder, style, wanted, rng
        self.made: dict[Kind, int] = dict.fromkeys(wanted, 0)
        self.makers: dict[Kind, Callable[[int], Document]] = {
            "classification": lambda room: classification_document(encoder, style, room, rng),
            "dictionary": lambda room: dictionary_document(encoder, style, room, rng),
            "extraction": lambda room: extraction_document(encoder, room, rng),
            "statement": lambda room: statement_document(encoder, room, rng),
            "repeat": lambda room: repeat_document(encoder, repeats, room, rng),
        }

    def fill_row(self, room: int) -> Iterator[Document]:
        """Yield documents that fill `room` tokens except for a small rest."""
        misses = 0
        while room >= 16 and misses < 4:
            total = sum(self.made.values()) + 64
            kind = max(self.wanted, key=lambda k: (self.wanted[k] - self.made[k] / total, k))
            if misses:
                kind = "repeat" if self.wanted["repeat"] > 0.2 else "dictionary"
            document = self.makers[kind](room)
            if not document.ids:
                misses += 1
                continue
            self.made[kind] += len(document.ids)
            room -= len(document.ids)
            yield document


def n_in_loss(tokens_per_batch: int) -> int:
    """Count the tokens of a batch that enter the loss: 3 of 10, answers first, then a random part of the rest."""
    return tokens_per_batch * 3 // 10


def plain_text(seed: int, n_documents: int, progress: float = 1.0) -> Iterator[str]:
    """Yield sample documents as text, for training the tokenizer and for the overlap test."""
    rng = Random(f"{seed}/text")
    style = task_style(progress, 512)
    lexicon = load_lexicon()
    for i in range(n_documents):
        if i % 10 == 8:
            concept = rng.choice(lexicon.topics + lexicon.tones)
            supply = WordSupply(rng)
            yield " ".join(statement(concept, supply) for _ in range(4))
            continue
        if i % 10 == 9:
            types = draw_types(rng)
            system, made = extraction_system(types, rng), extraction_turns(types, rng)
        else:
            task = draw_task(style, rng)
            system, made = task.system, turns(task, style, rng)
        messages = [("system", system)]
        for _, (user, answer) in zip(range(8), made, strict=False):
            messages += [("user", user), ("assistant", answer)]
        yield chat(messages)
