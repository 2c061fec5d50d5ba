"""What tuning changes in the layers of a model: their states of some dev texts, before and after.

Cheap on purpose: a bounded number of texts is read twice, and nothing where the time for fitting is short. Not covered:
what that says (`llmtl.report.layer_words`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np

from llmtl.findings import LayerChange, LayerChanges
from llmtl.kinds.kind import AnswerShape
from llmtl.layers.alignment import linear_cka
from llmtl.layers.mean_states import MOST_TOKENS, Floats, mean_states
from llmtl.layers.separability import logme
from llmtl.strategy import FitContext
from llmtl.task import Example, Task

MOST_TEXTS = 128
FEWEST_TEXTS = 16
"""Dev texts below which likeness is mostly noise."""
LEAST_SECONDS = 20.0
"""Time for fitting below which none is spent on this."""


@dataclass(frozen=True)
class BeforeTuning:
    """The states of `texts` before tuning, (N, layers + 1, width), and their labels, (N, K); None for no labels.

    `tokens` are read of each text; reading took `seconds`.
    """

    texts: tuple[str, ...]
    states: Floats
    targets: Any
    tokens: int
    seconds: float

    def ends_by(self, deadline: float | None) -> float | None:
        """Say when training has to end so that there is time to read the texts once more."""
        return None if deadline is None else deadline - self.seconds

    def changes(self, body: Any, tokenizer: Any) -> LayerChanges:
        """Read the texts again with the tuned model, and compare layer by layer."""
        after = mean_states(body, tokenizer, self.texts, most_tokens=self.tokens)
        pairs = ((self.states[:, at], after[:, at]) for at in range(after.shape[1]))
        return LayerChanges(tuple(self._change(one, other) for one, other in pairs), len(self.texts))

    def _change(self, before: Floats, after: Floats) -> LayerChange:
        alike = round(linear_cka(before, after), 4)
        if self.targets is None:
            return LayerChange(alike)
        scores = (round(logme(np.asarray(each, np.float64), self.targets), 4) for each in (before, after))
        return LayerChange(alike, *scores)


def can_compare(context: FitContext, deadline: float | None) -> bool:
    """Say whether there are texts enough, and time; a further draw of a training is not compared again."""
    in_time = deadline is None or deadline - monotonic() >= LEAST_SECONDS
    return in_time and not context.earlier and len(context.dev) >= FEWEST_TEXTS


def read_before(context: FitContext, body: Any, tokenizer: Any, *, window: int) -> BeforeTuning:
    """Read the first dev texts, at most `MOST_TEXTS`, with a model that was not tuned yet."""
    start, dev = monotonic(), context.dev[:MOST_TEXTS]
    texts, tokens = tuple(example.text for example in dev), min(window, MOST_TOKENS)
    states = mean_states(body, tokenizer, texts, most_tokens=tokens)
    return BeforeTuning(texts, states, targets_of(context.task, dev), tokens, monotonic() - start)


def targets_of(task: Task, examples: Sequence[Example]) -> Any:
    """Say for each example which labels it has, (N, K), of those that any has; None for other tasks."""
    if task.kind.shape not in (AnswerShape.LABEL, AnswerShape.LABELS):
        return None
    named = [set(task.kind.named(example.reference)) for example in examples]
    labels = [label for label in task.labels if any(label in each for each in named)]
    return np.array([[float(label in each) for label in labels] for each in named])
