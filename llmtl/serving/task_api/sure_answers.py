"""The first strategy of a cascade, in the server's process: its answer where it is sure of it.

Not covered: the rest, which is passed on (`llmtl.serving.task_api.answering`, `llmtl.serving.task_api.middleware`).
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from llmtl.serving.bundle.local import load_local
from llmtl.serving.bundle.manifest import FIRST_FOLDER, Bundle
from llmtl.strategies.cascade import confidence
from llmtl.strategy import Prediction, Predictor


class SureAnswers:
    """Answers that get a probability of at least `threshold`."""

    def __init__(self, predictor: Predictor, threshold: float) -> None:
        self._predictor = predictor
        self._threshold = threshold

    @classmethod
    def open(cls, bundle: Bundle, folder: Path) -> Self | None:
        """Load the first strategy of the bundle in `folder`; None where the bundle is not that of a cascade."""
        first = bundle.first
        if first is None:
            return None
        return cls(load_local(folder / FIRST_FOLDER, bundle.task, first.name), first.threshold)

    def now(self, texts: Sequence[str]) -> list[Prediction | None]:
        """Answer each text; None where it is not sure."""
        made = self._predictor.predict(texts)
        return [item if confidence(item) >= self._threshold else None for item in made]

    async def of(self, texts: Sequence[str]) -> list[Prediction | None]:
        """Answer in a thread, so that long texts do not hold the other clients up."""
        return await asyncio.to_thread(self.now, texts)
