"""Turn texts into vectors, one per text, however long the text is; who computes those of windows is left open.

A text longer than the encoder's window is read in windows that overlap, whose vectors are averaged, each weighted by
its tokens; where time is short, only in its first ones (`llmtl.encoders.reach`). Not covered: computing the vector of a
window (`llmtl.encoders.sentence`, `llmtl.encoders.int8_encoders`).
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
_CHARACTERS = 8
"""Characters per token that are looked at first where the first windows of a text are enough; English has about 5."""


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
    def room(self) -> int:
        """Say how many tokens of a text a window has."""
        return self.context_length - int(self.tokenizer.num_special_tokens_to_add())

    @property
    def overlap(self) -> int:
        """Say how many tokens a window repeats of the one before it."""
        return max(0, self.room // STRIDE)

    @property
    def width(self) -> int:
        """Say how many numbers a vector has."""
        return self.form.width

    def encode(self, texts: Sequence[str], *, most: int | None = None, advance: Advance = unwatched) -> Vectors:
        """Turn each text into a vector, (N, width), in order; a text without a token gets zeros.

        Only its first `most` windows are read, where that is given; the rest is not even cut into tokens.
        """
        found = np.zeros((len(texts), self.width), np.float32)
        for start in range(0, len(texts), _CHUNK):
            part = texts[start : start + _CHUNK]
            with self._turn:
                found[start : start + len(part)] = self._encode(part, most, advance)
        return found

    def count_long(self, texts: Sequence[str]) -> int:
        """Count the texts that are longer than the window."""
        return sum(len(windows) > 1 for _, windows in self._first_windows(texts, 1))

    def beginnings(self, texts: Sequence[str]) -> list[str]:
        """Take of each text what its first window shows, and some more: cheaper to cut into tokens time and again."""
        return [beginning for beginning, _ in self._first_windows(texts, 1)]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, special ones included, those where windows overlap once."""
        if not texts:
            return []
        rows = self.tokenizer([self.form.prompt + text for text in texts], truncation=False, verbose=False)
        return [len(row) for row in rows["input_ids"]]

    @abstractmethod
    def _batches(self, windows: Sequence[TokenWindow]) -> Iterator[tuple[Sequence[TokenWindow], Vectors]]:
        """Yield batches of windows, which are sorted by length, with their vectors, (B, width)."""

    def _encode(self, texts: Sequence[str], most: int | None, advance: Advance) -> Vectors:
        """Read the windows of some texts, the longest first, and put together what belongs to one text."""
        if most is None:
            cut = self._windows(texts)
        else:
            cut = [window for _, windows in self._first_windows(texts, most) for window in windows[:most]]
        windows = sorted(cut, key=lambda window: -window.length)
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
        extra = self.context_length - self.room
        table = self.tokenizer(
            [self.form.prompt + text for text in texts],
            truncation=True,
            max_length=self.context_length,
            stride=self.overlap,
            return_overflowing_tokens=True,
        )
        owners = table.pop("overflow_to_sample_mapping")
        rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
        return [
            TokenWindow(owner, row, max(1, len(row["input_ids"]) - extra))
            for owner, row in zip(owners, rows, strict=True)
            if row["input_ids"]
        ]

    def _first_windows(self, texts: Sequence[str], most: int) -> list[tuple[str, list[TokenWindow]]]:
        """Cut a beginning of each text into windows: the first `most`, and one more at least where the text goes on.

        Beginnings are made longer until there is that one more: what is left away lies behind it, and cannot change the
        windows before it.
        """
        found: list[tuple[str, list[TokenWindow]]] = [(text, []) for text in texts]
        waiting, characters = list(range(len(texts))), _CHARACTERS * most * self.context_length
        while waiting:
            beginnings = [_beginning(texts[at], characters) for at in waiting]
            for at, beginning in zip(waiting, beginnings, strict=True):
                found[at] = beginning, []
            for window in self._windows(beginnings):
                at = waiting[window.text]
                found[at][1].append(replace(window, text=at))
            waiting = [at for at in waiting if found[at][0] != texts[at] and len(found[at][1]) <= most]
            characters *= 4
        return found


def _beginning(text: str, characters: int) -> str:
    """Take so many characters of a text, up to a space where there is one in the second half of them."""
    if len(text) <= characters:
        return text
    half = characters // 2
    end = max(text.rfind(" ", half, characters), text.rfind("\n", half, characters))
    return text[: end if end > 0 else characters]
