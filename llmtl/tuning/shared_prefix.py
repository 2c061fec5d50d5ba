"""Compute the tokens that all prompts of a training batch begin with once, instead of once per example.

Zero-shot prompts differ in the message alone: of 100 tokens, 85 may be the instruction and the list of labels. A batch
is laid out as that prefix, then each example's own tokens end to end, behind walls that attention does not cross;
positions start again behind the prefix. Loss and gradient are those of the padded batch up to rounding, as keys and
values of the prefix depend on nothing behind it; only LoRA's dropout differs, which the examples share on the prefix.
Nothing is padded, so batches need not be grouped by length. Hydragen (Juravsky et al. 2024, arXiv:2402.05099) shares
prefixes so in inference. Not covered: attention other than causal or one sliding window for all layers (`llmtl.engines`
runs no other), prefixes that only a part of the batch shares.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DataCollator
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from llmtl.engines.tokens import shared_length
from llmtl.errors import TrainingError
from llmtl.tuning.tokenized import IGNORED

SHARING_PARAMETERS = 20_000_000
"""From this size on, prefixes are shared; smaller models train in seconds, and bit for bit as they always did."""

_ROW_TOKENS = 1024
"""Most tokens of one laid-out row, unless one example has more: attention looks at all pairs, walls or not."""

_WORTH_SHARING = 0.8
"""A batch is laid out where that takes at most this share of the padded batch's tokens."""

_PADDING = 0

Row = Mapping[str, Sequence[int]]


class SharedPrefixCollator:
    """Lays out batches with a shared prefix where that saves tokens, and pads the others as TRL does.

    `tokens` of a batch is how many its examples have, each prompt whole.
    """

    def __init__(self, *, sharing: bool, window: int | None) -> None:
        self._padded: DataCollator = DataCollatorForLanguageModeling(pad_token_id=_PADDING)
        self._sharing = sharing
        self._window = window

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Collate N rows of `input_ids` and `labels`; raise `TrainingError` if a token with loss got lost."""
        batch = (self._laid_out(rows) if self._sharing else None) or self._padded(list(rows))
        learned = sum(label != IGNORED for row in rows for label in row["labels"][1:])
        kept = int((batch["labels"][:, 1:] != IGNORED).sum())
        if kept != learned:
            raise TrainingError(f"A batch of {learned} answer tokens would train on {kept}; please report this.")
        return {**batch, "tokens": torch.tensor([sum(len(row["input_ids"]) for row in rows)])}

    def _laid_out(self, rows: Sequence[Row]) -> dict[str, Any] | None:
        """Lay out a batch behind the prefix that its prompts share; None where padding takes about as little."""
        # general text has no prompt: it stands in rows of its own, whose prefix is empty
        plain = [row for row in rows if _prompt_length(row) <= 1]
        prompted = [row for row in rows if _prompt_length(row) > 1]
        if not prompted:
            return None
        # a prompt token is left to each example, as the prefix's last token can predict only one next token
        room = min(_prompt_length(row) for row in prompted) - 1
        shared = min(room, shared_length([tuple(row["input_ids"]) for row in prompted]))
        groups = [(shared, group) for group in _in_rows(prompted, shared)] + [
            (0, group) for group in _in_rows(plain, 0)
        ]
        width = max(first + sum(len(row["input_ids"]) - first for row in group) for first, group in groups)
        padded = len(rows) * max(len(row["input_ids"]) for row in rows)
        if len(groups) * width > _WORTH_SHARING * padded:
            return None
        laid = [_row(group, first, width, self._window) for first, group in groups]
        return {key: torch.stack([each[key] for each in laid]) for key in laid[0]}


class WholePromptsTrainer(SFTTrainer):
    """TRL's trainer, counting the tokens of the examples it trained on as the collator says, each prompt whole."""

    trained_tokens = 0

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Count the tokens of a training batch, and compute TRL's loss."""
        tokens = int(inputs.pop("tokens"))
        if model.training:
            self.trained_tokens += tokens
        return super().compute_loss(model, inputs, *args, **kwargs)  # type: ignore[no-untyped-call]


def _prompt_length(row: Row) -> int:
    """Count the tokens before the first that is learned."""
    return next((at for at, label in enumerate(row["labels"]) if label != IGNORED), len(row["labels"]))


def _in_rows(rows: Sequence[Row], shared: int) -> list[list[Row]]:
    """Spread examples over the rows that they are laid out in, behind `shared` tokens each."""
    groups = _grouped([len(row["input_ids"]) - shared for row in rows], _ROW_TOKENS - shared)
    return [[rows[each] for each in group] for group in groups]


def _grouped(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Spread examples over as few groups of `room` tokens as first-fit decreasing finds; a longer one stands alone."""
    groups: list[list[int]] = []
    left: list[int] = []
    for each in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        at = next((at for at, free in enumerate(left) if lengths[each] <= free), None)
        if at is None:
            groups.append([])
            left.append(room)
            at = len(groups) - 1
        groups[at].append(each)
        left[at] -= lengths[each]
    return groups


def _row(examples: Sequence[Row], shared: int, width: int, window: int | None) -> dict[str, Tensor]:
    """Lay out one row of `width` tokens: the prefix, each example's own tokens, padding."""
    own = [each["input_ids"][shared:] for each in examples]
    used = shared + sum(map(len, own))
    padding = width - used
    ids = [*examples[0]["input_ids"][:shared], *(token for part in own for token in part), *[_PADDING] * padding]
    labels = [IGNORED] * shared + [each for row in examples for each in row["labels"][shared:]] + [IGNORED] * padding
    # (L) each: the example a token belongs to, -1 for the prefix and a number of its own for each token of padding
    owner = [-1] * shared + [at for at, part in enumerate(own) for _ in part]
    owner += [len(own) + at for at in range(padding)]
    places = [*range(shared), *(shared + place for part in own for place in range(len(part))), *[0] * padding]
    owners, positions = torch.tensor(owner), torch.tensor(places)
    order = torch.arange(width)
    # (L, L), rows are queries: a token sees the prefix and what stands before it in its own example
    seen = (owners[None, :] == -1) | (owners[None, :] == owners[:, None])
    mask = seen & (order[None, :] <= order[:, None])
    if window is not None:
        mask &= (positions[:, None] - positions[None, :] < window) | (order[None, :] == order[:, None])
    return {
        "input_ids": torch.tensor(ids),
        "labels": torch.tensor(labels),
        "position_ids": positions,
        "attention_mask": mask[None],  # (1, L, L): transformers uses a four-dimensional mask as it is
    }
