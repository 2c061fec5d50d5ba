"""Turn texts into vectors, one per text, however long the text is; who computes those of windows is left open.

A text longer than the encoder's window is read in windows that overlap, whose vectors are averaged, each weighted by
its tokens. Not covered: computing the vector of a window (`llmtl.encoders.sentence`, `llmtl.encoders.int8_encoders`).
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmtl.progress import Advance, unwatched

Vectors = NDArray[np.float32]

STRIDE = 4
"""Windows of a long text overlap by one part in so many: what stands at the edge of one stands inside the next."""
_CHUNK = 4096
"""Texts that are held as tokens, and sorted by length, at once."""


@dataclass(frozen=True)
class TokenWindow:
    """What the model reads of a text at once; `text` is the text's position, `tokens` counts without special ones."""

    text: int
    features: Mapping[str, Sequence[int]]
    tokens: int

    @property
    def length(self) -> int:
        """Count the tokens, special ones included."""
        return len(self.features["input_ids"])


@dataclass(frozen=True)
class VectorForm:
    """What an encoder's vectors are made of.

    Windows have at most `context_length` tokens, vectors `width` numbers and, where `normalised`, the length 1;
    `prompt` stands before every text.
    """

    context_length: int
    width: int
    normalised: bool = False
    prompt: str = ""


class WindowVectors(ABC):
    """Reads texts in windows of what `tokenizer` makes of them."""

    def __init__(self, tokenizer: Any, form: VectorForm) -> None:
        self.tokenizer = tokenizer
        self.form = form
        self._turn = Lock()  # a fast tokenizer keeps its padding from call to call

    @property
    def context_length(self) -> int:
        """Say how many tokens are read at once."""
        return self.form.context_length

    @property
    def width(self) -> int:
        """Say how many numbers a vector has."""
        return self.form.width

    def encode(self, texts: Sequence[str], *, advance: Advance = unwatched) -> Vectors:
        """Turn each text into a vector, (N, width), in order; a text without a token gets zeros."""
        found = np.zeros((len(texts), self.width), np.float32)
        for start in range(0, len(texts), _CHUNK):
            part = texts[start : start + _CHUNK]
            with self._turn:
                found[start : start + len(part)] = self._encode(part, advance)
        return found

    def count_long(self, texts: Sequence[str]) -> int:
        """Count the texts that are longer than the window."""
        return sum(count > 1 for count in Counter(window.text for window in self._windows(texts)).values())

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, special ones included, those where windows overlap once."""
        if not texts:
            return []
        rows = self.tokenizer([self.form.prompt + text for text in texts], truncation=False, verbose=False)
        return [len(row) for row in rows["input_ids"]]

    @abstractmethod
    def _batches(self, windows: Sequence[TokenWindow]) -> Iterator[tuple[Sequence[TokenWindow], Vectors]]:
        """Yield batches of windows, which are sorted by length, with their vectors, (B, width)."""

    def _encode(self, texts: Sequence[str], advance: Advance) -> Vectors:
        """Read the windows of some texts, the longest first, and put together what belongs to one text."""
        windows = sorted(self._windows(texts), key=lambda window: -window.length)
        sums = np.zeros((len(texts), self.width), np.float32)
        weights = np.zeros((len(texts), 1), np.float32)
        left = Counter(window.text for window in windows)
        for batch, vectors in self._batches(windows):
            for window, vector in zip(batch, vectors, strict=True):
                sums[window.text] += window.tokens * vector
                weights[window.text] += window.tokens
                left[window.text] -= 1
            advance(sum(1 for text in {window.text for window in batch} if left[text] == 0))
        advance(len(texts) - len(left))
        found = sums / np.maximum(weights, 1)
        if self.form.normalised:
            found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return np.asarray(found, np.float32)

    def _windows(self, texts: Sequence[str]) -> list[TokenWindow]:
        """Cut texts into windows of tokens, the special ones around each; most texts are one window."""
        if not texts:
            return []
        tokenizer, room = self.tokenizer, self.context_length
        extra = tokenizer.num_special_tokens_to_add()
        table = tokenizer(
            [self.form.prompt + text for text in texts],
            truncation=True,
            max_length=room,
            stride=max(0, (room - extra) // STRIDE),
            return_overflowing_tokens=True,
        )
        owners = table.pop("overflow_to_sample_mapping")
        rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
        return [
            TokenWindow(owner, row, max(1, len(row["input_ids"]) - extra))
            for owner, row in zip(owners, rows, strict=True)
            if row["input_ids"]
        ]
