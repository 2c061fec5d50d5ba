"""Cut texts into windows of tokens that an encoder reads at once; consecutive windows of a text overlap.

Nothing is lost: a text longer than the window is read in several. Not covered: what is made of several windows
(`llmtl.encoders.network` averages, `llmtl.encoders.units` takes each word where it has most context).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

OVERLAP = 0.25
"""The part of a window that the next one repeats: 128 of 512 tokens, as the doc stride of Devlin et al. (2019, "BERT",
google-research/bert, `run_squad.py`)."""
SPECIALS = 8
"""Room that a window leaves for special tokens, and a bound below which an overlap would leave no step."""


@dataclass(frozen=True)
class Window:
    """T token ids, and for each the characters of the text it stands for, (0, 0) for special tokens."""

    ids: tuple[int, ...]
    places: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.ids)


Windows = tuple[Window, ...]
"""The windows of one text, at least one, in order."""


def cut(texts: Sequence[str], tokenizer: Any, *, window: int) -> list[Windows]:
    """Cut each text into windows of at most `window` tokens, special tokens included."""
    if not texts:
        return []
    found = tokenizer(
        list(texts),
        truncation=True,
        max_length=window,
        stride=max(0, min(int(window * OVERLAP), window - SPECIALS)),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    of_text: list[list[Window]] = [[] for _ in texts]
    for at, text in enumerate(found["overflow_to_sample_mapping"]):
        special = found["special_tokens_mask"][at]
        places = [
            (0, 0) if is_special else tuple(place)
            for place, is_special in zip(found["offset_mapping"][at], special, strict=True)
        ]
        of_text[text].append(Window(tuple(found["input_ids"][at]), tuple(places)))
    return [tuple(each) for each in of_text]


Part = TypeVar("Part")


def evenly(parts: Sequence[Part], most: int) -> Sequence[Part]:
    """Take at most `most` parts, spread evenly from the first to the last."""
    if len(parts) <= most:
        return parts
    step = (len(parts) - 1) / max(1, most - 1)
    return [parts[round(at * step)] for at in range(most)]
