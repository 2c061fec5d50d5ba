"""Train a network with a head: AdamW, warm-up and linear decay, the weights of the best epoch kept.

The learning rate falls with the steps taken, or with the time used where that is well ahead of them, so that a training
that its time limit cuts has come down when it ends (Li, Yumer & Ramanan 2020, "Budgeted Training", arXiv:1905.04753),
and one that comes to its end in time is the same however fast the machine was. Not covered: choosing the learning rate,
several devices.
"""

import gc
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Any

import torch
from torch.nn import functional
from transformers.trainer_pt_utils import LengthGroupedSampler

from llmtl.encoders.network import Network, Scored
from llmtl.encoders.tuning_state import Point, TuningSoFar, read_state, write_state
from llmtl.encoders.windows import Window, Windows, evenly
from llmtl.errors import TrainingError
from llmtl.progress import Advance, Progress
from llmtl.unfinished.kept_state import put_back, trained
from llmtl.unfinished.save_points import SavePoints

MOST_WINDOWS = 8
"""Windows of one text that a step trains on, at most."""
TOKENS_AT_ONCE = 8192
"""Tokens that one pass of a step trains on, at most; larger steps add up the gradients of several passes."""
IGNORED = -100
"""The target of a token without loss (the default `ignore_index` of torch.nn.CrossEntropyLoss)."""
AHEAD = 0.1
"""By this share of the time limit its use must be ahead of the steps taken before the learning rate goes by it."""
LAYER = re.compile(r"\.layers?\.(\d+)\.")


@dataclass(frozen=True)
class TrainingText:
    """A text to learn from: a class, 0 or 1 for each class, or for each window a tag or `IGNORED` for each token."""

    windows: Windows
    target: int | tuple[float, ...] | tuple[tuple[int, ...], ...]

    @property
    def tagged(self) -> bool:
        """Say whether each token has a target."""
        return isinstance(self.target, tuple) and isinstance(self.target[0], tuple)


@dataclass(frozen=True)
class TuningPlan:
    """How to train; `seconds` is the time that training with its measurements may take, None for no limit.

    `what` is what a person calls that which is tuned.
    """

    learning_rate: float
    max_epochs: int
    batch_size: int
    warmup_fraction: float
    weight_decay: float
    layer_decay: float
    patience: int
    seed: int
    seconds: float | None = None
    max_grad_norm: float = 1.0
    what: str = "encoder"


@dataclass(frozen=True)
class Tuning:
    """The points of a training, the step whose weights the network has now, why it ended, and how much it read.

    `earlier_seconds` were spent in processes that were killed, where this one went on.
    """

    points: tuple[Point, ...]
    best_step: int
    stopped_by: str
    tokens: int
    earlier_seconds: float = 0.0


Judge = Callable[[], tuple[float, float]]
"""Compute score, the higher the better, and mean loss of the network on dev."""


def train(
    network: Network,
    rows: Sequence[TrainingText],
    plan: TuningPlan,
    *,
    judge: Judge | None,
    progress: Progress,
    save_points: SavePoints[TuningSoFar] | None = None,
) -> Tuning:
    """Train `network` in place; it ends with the weights of the best epoch, the last one without a judge.

    With `save_points` a training that was killed goes on, and one that had ended is only put back.
    """
    if not rows:
        raise TrainingError("There is no training example; give at least one, or leave tuning out.")
    return _Training(network, rows, plan, judge, save_points).run(progress)


class _Training:
    """One training under way."""

    def __init__(
        self,
        network: Network,
        rows: Sequence[TrainingText],
        plan: TuningPlan,
        judge: Judge | None,
        save_points: SavePoints[TuningSoFar] | None,
    ) -> None:
        self.network, self.rows, self.plan, self.judge = network, rows, plan, judge
        self.save_points = save_points
        self.start = monotonic()
        self.per_epoch = math.ceil(len(rows) / plan.batch_size)
        self.total = self.per_epoch * plan.max_epochs
        self.optimizer = torch.optim.AdamW(groups(network.model, plan), lr=plan.learning_rate, fused=True)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.step = 0
        self.room = TOKENS_AT_ONCE
        self.tokens = 0
        self.losses: list[float] = []
        self.points: list[Point] = []
        self.best: Point | None = None
        self.weights: dict[str, Any] = {}
        self.without_progress = 0
        self.measuring = 0.0

    def run(self, progress: Progress) -> Tuning:
        """Take steps until the epochs, the patience or the time is used up."""
        ended, earlier = self._go_on(progress)
        with progress.stage(f"Tuning the {self.plan.what}", self.total) as advance:
            advance(self.step)
            stopped = ended or self._learn_all(advance)
        if self.weights:
            put_back(self.network.model, self.weights)
        self.network.model.eval()
        if ended is None and self.save_points is not None and self.save_points.lasted():
            self._save(stopped)
        best = self.best or self.points[-1]
        return Tuning(tuple(self.points), best.step, stopped, self.tokens, earlier)

    def _learn_all(self, advance: Advance) -> str:
        """Take the steps that are left, and say why they ended."""
        for batch in islice(self._batches(), self.step, None):
            self._learn(batch)
            advance(1)
            late = self._used_time() >= 1
            if late or self.step % self.per_epoch == 0:
                self._measure()
            if late and self.step < self.total:
                return "budget"
            if self.without_progress >= self.plan.patience and self.step < self.total:
                return "early stopping"
            if self.save_points is not None and self.step < self.total and self.save_points.due():
                self._save(None)
        return "max epochs"

    def _go_on(self, progress: Progress) -> tuple[str | None, float]:
        """Take over from a training that was killed, if there is one: why it had ended if so, and what it took."""
        point = self.save_points.latest() if self.save_points else None
        if point is None:
            if self.save_points:
                self.save_points.clear()
            return None, 0.0
        so_far = point.so_far
        self.weights = read_state(point.state, self.network.model, self.optimizer)
        self.step, self.tokens, self.room = so_far.step, so_far.tokens, so_far.room
        self.losses, self.points, self.best = list(so_far.losses), list(so_far.points), so_far.best
        self.without_progress, self.measuring = so_far.without_progress, so_far.measuring
        self.start -= so_far.seconds
        if so_far.stopped is None:
            progress.say(f"Tuning the {self.plan.what} goes on after step {so_far.step}, where it was interrupted.")
        return so_far.stopped, so_far.seconds

    def _save(self, stopped: str | None) -> None:
        """Save the state; `stopped` says why training has ended, if it has."""
        points = self.save_points
        if points is None or not all(map(math.isfinite, self.losses)):
            return
        so_far = TuningSoFar(
            mark=points.mark,
            step=self.step,
            seconds=monotonic() - self.start,
            tokens=self.tokens,
            room=self.room,
            losses=tuple(self.losses),
            points=tuple(self.points),
            best=self.best,
            without_progress=self.without_progress,
            measuring=self.measuring,
            stopped=stopped,
        )
        points.save(so_far, lambda folder: write_state(folder, self.network.model, self.optimizer, self.weights))

    def _batches(self) -> Any:
        """Yield the positions of the rows of each step: in random order, of similar length."""
        random = torch.Generator().manual_seed(self.plan.seed)
        lengths = [sum(map(len, row.windows)) for row in self.rows]
        size = self.plan.batch_size
        for _ in range(self.plan.max_epochs):
            order = list(LengthGroupedSampler(size, lengths=lengths, generator=random))
            steps = [order[at : at + size] for at in range(0, len(order), size)]
            yield from (steps[at] for at in torch.randperm(len(steps), generator=random).tolist())

    def _learn(self, batch: Sequence[int]) -> None:
        """Take one step; where memory runs out, again with half as much in each pass."""
        self._set_rate()
        self.network.model.train()
        while True:
            try:
                loss = self._gradients([self.rows[at] for at in batch])
                break
            except torch.OutOfMemoryError:
                pass  # what the failed pass holds is freed outside of the handler
            if len(batch) == 1 or self.room < 1:
                raise TrainingError(
                    f"Tuning the {self.plan.what} runs out of memory with a single text at a time; lower its "
                    f"'max_length', use a smaller {self.plan.what}, or a machine with more memory."
                )
            self.room //= 2
            gc.collect()
            torch.cuda.empty_cache()
        torch.nn.utils.clip_grad_norm_(self.network.model.parameters(), self.plan.max_grad_norm)
        self.optimizer.step()
        self.step += 1
        self.tokens += sum(len(window) for at in batch for window in _part(self.rows[at])[0])
        self.losses.append(loss)

    def _gradients(self, rows: Sequence[TrainingText]) -> float:
        """Add up the gradients of a step's mean loss over its passes, and return the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        passes = _passes(rows, self.room)
        count = sum(weight_of(row) for row in rows) or 1
        total = 0.0
        for each in passes:
            on_gpu = self.network.device.startswith("cuda")
            with torch.autocast("cuda", dtype=torch.bfloat16, enabled=on_gpu):
                loss = summed_loss(self.network, each) / count
            loss.backward()
            total += float(loss.detach())
        return total

    def _set_rate(self) -> None:
        """Rise from 0 over the warm-up, then fall to 0 by steps, or by time where that is well ahead."""
        warm, late = self.plan.warmup_fraction, (self._used_time() - AHEAD) / (1 - AHEAD)
        rising = max((self.step + 1) / self.total, late) / warm if warm else 1.0
        falling = (1 - max(self.step / self.total, late)) / (1 - warm)
        factor = max(0.0, min(1.0, rising, falling))
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * factor

    def _used_time(self) -> float:
        """Say which part of the time is used, one more measurement included; 0 without a limit."""
        if self.plan.seconds is None:
            return 0.0
        return (monotonic() - self.start + self.measuring) / self.plan.seconds if self.plan.seconds > 0 else 1.0

    def _measure(self) -> None:
        """Record a point, and keep the weights of the best: by score, of equal ones by loss."""
        began = monotonic()
        score, loss = self.judge() if self.judge else (None, None)
        self.measuring = monotonic() - began
        mean = sum(self.losses) / len(self.losses) if self.losses else math.nan
        point = Point(
            step=self.step,
            epoch=self.step / self.per_epoch,
            train_loss=_finite(mean),
            dev_loss=_finite(loss),
            dev_score=score,
            seconds=monotonic() - self.start,
        )
        self.losses.clear()
        self.points.append(point)
        if score is None:
            return
        if self.best is None or _rank(point) > _rank(self.best):
            self.best, self.without_progress = point, 0
            self.weights = {name: each.clone() for name, each in trained(self.network.model)}
        else:
            self.without_progress += 1


def groups(model: Any, plan: TuningPlan) -> list[dict[str, Any]]:
    """Group parameters by learning rate and weight decay, which biases and norms do not get (Devlin et al. 2019).

    With a layer decay each layer learns by that factor more slowly than the one above it (Howard & Ruder 2018,
    "Universal Language Model Fine-tuning", section 3.2; for encoders Sun et al. 2019, arXiv:1905.05583).
    """
    named = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
    found = [(name, LAYER.search(f".{name}")) for name, _ in named]
    top = max((int(match.group(1)) for _, match in found if match), default=-1) + 2
    depths = {name: int(match.group(1)) + 1 if match else 0 if "embeddings" in name else top for name, match in found}
    grouped: dict[tuple[float, float], list[Any]] = {}
    for name, each in named:
        rate = plan.learning_rate * plan.layer_decay ** (top - depths[name])
        grouped.setdefault((rate, plan.weight_decay if each.ndim > 1 else 0.0), []).append(each)
    return [{"params": each, "lr": rate, "weight_decay": decay} for (rate, decay), each in grouped.items()]


def summed_loss(network: Network, rows: Sequence[TrainingText]) -> Any:
    """Sum the losses of rows: of texts, of their labels' decisions, or of tagged tokens."""
    parts = [_part(row) for row in rows]
    scores = network.run([window for windows, _ in parts for window in windows])
    if network.scoring.scored is Scored.TOKENS:
        targets = [torch.tensor(tags) for _, target in parts for tags in target]
        flat = torch.cat(targets).to(network.device)
        return functional.cross_entropy(torch.cat(scores).float(), flat, ignore_index=IGNORED, reduction="sum")
    at, means = 0, []
    for windows, _ in parts:
        weights = torch.tensor([len(window) for window in windows], dtype=torch.float32, device=network.device)
        stacked = torch.stack(scores[at : at + len(windows)]).float()  # (windows, K)
        means.append((stacked * (weights / weights.sum())[:, None]).sum(dim=0))
        at += len(windows)
    found, wanted = torch.stack(means), torch.tensor([target for _, target in parts], device=network.device)
    if wanted.ndim == 1:
        return functional.cross_entropy(found, wanted, reduction="sum")
    return functional.binary_cross_entropy_with_logits(found, wanted, reduction="sum") / wanted.shape[1]


def weight_of(row: TrainingText) -> int:
    """Count what a row's loss is a sum over: tagged tokens, or the one text."""
    return sum(tag != IGNORED for tags in _part(row)[1] for tag in tags) if row.tagged else 1


def _part(row: TrainingText) -> tuple[Sequence[Window], Any]:
    """Take the windows to train on, with their target."""
    target: Any = evenly(row.target, MOST_WINDOWS) if row.tagged else row.target  # type: ignore[arg-type]
    return evenly(row.windows, MOST_WINDOWS), target


def _passes(rows: Sequence[TrainingText], room: int) -> list[list[TrainingText]]:
    """Divide the rows of a step so that each pass has at most `room` tokens, or one row."""
    passes: list[list[TrainingText]] = []
    used = 0
    for row in rows:
        tokens = sum(map(len, _part(row)[0]))
        if passes and used + tokens <= room:
            passes[-1].append(row)
            used += tokens
        else:
            passes.append([row])
            used = tokens
    return passes


def _rank(point: Point) -> tuple[float, float]:
    """Order points: by score, then by loss; training that diverged is last."""
    if point.dev_score is None or point.dev_loss is None:
        return -math.inf, -math.inf
    return point.dev_score, -point.dev_loss


def _finite(value: float | None) -> float | None:
    """Return `value`, or None if it is infinite or not a number: JSON has neither."""
    return value if value is not None and math.isfinite(value) else None
