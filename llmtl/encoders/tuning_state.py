"""What is known of a network's training up to a step, and how its state is written and put back.

With the same seed and data a training that goes on from such a state ends as one that nobody interrupted, bit for bit
on a CPU; where it has a time limit, what it took before counts. Not covered: the files (`llmtl.unfinished`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from llmtl.unfinished.kept_state import (
    WEIGHTS,
    put_back,
    read_optimizer,
    read_random,
    trained,
    write_states,
    write_weights,
)

_BEST = "best.safetensors"


@dataclass(frozen=True)
class Point:
    """A measurement between epochs: the mean training loss since the one before, and what dev says."""

    step: int
    epoch: float
    train_loss: float | None
    dev_loss: float | None
    dev_score: float | None
    seconds: float


@dataclass(frozen=True)
class TuningSoFar:
    """A training up to a step; `mark` says whose it is, and `stopped` why it ended, None where it has not.

    `room` is how many tokens one pass has, `losses` those since the last point, `measuring` the seconds that one took.
    """

    mark: str
    step: int
    seconds: float
    tokens: int
    room: int
    losses: tuple[float, ...]
    points: tuple[Point, ...]
    best: Point | None
    without_progress: int
    measuring: float
    stopped: str | None


def write_state(folder: Path, model: Any, optimizer: Any, best: Mapping[str, Any]) -> None:
    """Write the trained weights as they are and the best ones, and the states of the optimizer and of chance."""
    write_weights(trained(model), folder / WEIGHTS)
    if best:
        write_weights(best.items(), folder / _BEST)
    write_states(folder, optimizer=optimizer)


def read_state(folder: Path, model: Any, optimizer: Any) -> dict[str, Any]:
    """Put the state back, and give the best weights."""
    put_back(model, load_file(folder / WEIGHTS))
    read_optimizer(folder, optimizer=optimizer)
    read_random(folder)
    found: dict[str, Any] = load_file(folder / _BEST, device=str(model.device)) if (folder / _BEST).is_file() else {}
    return found
