"""Average the weights of the best measurements of a training, and keep the average where dev says that it is better.

Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima", arXiv:1803.05407: points of one trajectory; Wortsman et
al. 2022, "Model soups", arXiv:2203.05482: chosen on held-out data. Of an adapter, A and B are averaged each on its own,
which is not the average of their products; dev judges what comes out. Not covered: averages over several trainings.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from llmtl.unfinished.kept_state import trained

Weights = dict[str, torch.Tensor]

_FILE = "remembered-{}.safetensors"


@dataclass(frozen=True)
class Remembered:
    """The trained weights after a step, with their dev loss."""

    step: int
    loss: float
    weights: Weights


class BestWeights(TrainerCallback):
    """Remembers the trained weights of the `count` measurements with the lowest dev loss, in memory."""

    def __init__(self, count: int) -> None:
        self.kept: tuple[Remembered, ...] = ()
        self._count = count

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Remember the weights if they are among the best; untrained ones are not."""
        loss = (metrics or {}).get("eval_loss", math.nan)
        full = len(self.kept) == self._count
        if state.global_step == 0 or not math.isfinite(loss) or (full and loss >= self.kept[-1].loss):
            return
        copied = {name: each.cpu().clone() for name, each in trained(kwargs["model"])}
        found = sorted([*self.kept, Remembered(state.global_step, loss, copied)], key=lambda each: each.loss)
        self.kept = tuple(found[: self._count])

    def write(self, folder: Path) -> None:
        """Write what is remembered to files."""
        for each in self.kept:
            note = {"step": str(each.step), "loss": repr(each.loss)}
            save_file(each.weights, folder / _FILE.format(each.step), metadata=note)

    def read(self, folder: Path) -> None:
        """Remember what was written."""
        found = []
        for path in folder.glob(_FILE.format("*")):
            with safe_open(path, framework="pt") as file:
                note, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            found.append(Remembered(int(note["step"]), float(note["loss"]), weights))
        self.kept = tuple(sorted(found, key=lambda each: each.loss))


def average(remembered: Sequence[Remembered]) -> Weights:
    """Average weights, each of its own: the mean over what is remembered, at least one."""
    names = remembered[0].weights
    return {name: torch.stack([each.weights[name] for each in remembered]).mean(dim=0) for name in names}
