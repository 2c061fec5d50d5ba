"""One model on the general sample: its loss on passages, and its answers to two small tasks without examples.

Not covered: which models, and how much of the sample (`llmtl.pipeline.forgetting_steps`).
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from llmtl.engines.protocol import Engine, LossReader, TextLoss
from llmtl.general.samples import ZeroShotTask, passages, zero_shot_tasks
from llmtl.progress import Progress
from llmtl.prompting.predictors import LabelPredictor
from llmtl.prompting.template import Template
from llmtl.task import Task


@dataclass(frozen=True)
class Sampled:
    """How much of the general sample is measured: so many passages, and items of each task."""

    passages: int
    items: int


@dataclass(frozen=True)
class GeneralScores:
    """The losses of passages in order, and by task which of its items are right; `seconds` and `device` of both."""

    losses: tuple[TextLoss, ...]
    right: Mapping[str, tuple[bool, ...]]
    seconds: float
    device: str

    @property
    def finite(self) -> bool:
        """Say whether all losses are numbers: those of a model that diverged are not."""
        return all(math.isfinite(each.nats) for each in self.losses)


def general_scores(engine: Engine, sampled: Sampled, *, progress: Progress, told: str) -> GeneralScores | None:
    """Score a model on so much of the sample; `told` names it in the progress. None where the engine reads no losses.

    Losses are of the passages as plain text, answers by the wording that prompts have for this model.
    """
    if not isinstance(engine, LossReader):
        return None
    start = time.perf_counter()
    asked = zero_shot_tasks() if sampled.items else ()
    with progress.stage(f"{told}: general English", sampled.passages + sampled.items * len(asked)) as advance:
        losses = tuple(engine.losses(passages()[: sampled.passages], advance=advance))
        right = {}
        for task in asked:
            items = task.items[: sampled.items]
            answers = _predictor(task, engine).predict([text for text, _ in items], advance=advance)
            right[task.name] = tuple(made.answer == label for made, (_, label) in zip(answers, items, strict=True))
    return GeneralScores(losses, right, time.perf_counter() - start, engine.device)


def _predictor(task: ZeroShotTask, engine: Engine) -> LabelPredictor:
    asked = Task(task.name, task.labels, task.instruction)
    return LabelPredictor(asked, engine, Template(asked, engine))
