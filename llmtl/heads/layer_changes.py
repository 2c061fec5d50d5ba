"""What tuning changes in the layers of a model: their states of some dev texts, before and after.

Cheap on purpose: a bounded number of texts is read twice, and nothing where the time for fitting is short. Not covered:
what that says (`llmtl.report.layer_words`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np

from llmtl.encoders.sentence import SentenceEncoder
from llmtl.engines.protocol import Engine
from llmtl.engines.transformers.states import StateReader
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
MOST_CHARACTERS = 400
"""What is read of a text with a language model, at most; about `MOST_TOKENS` tokens of English."""
LEAST_SECONDS, LEAST_OF_LANGUAGE_MODEL = 20.0, 60.0
"""Time for fitting below which none is spent on this; a language model is loaded once more for it."""


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
        return self._against(mean_states(body, tokenizer, self.texts, most_tokens=self.tokens))

    def changes_in(self, engine: Engine) -> LayerChanges:
        """Read the texts again with the engine of the tuned model, of the same kind, and compare layer by layer."""
        assert isinstance(engine, StateReader)
        return self._against(_states(engine, self.texts))

    def _against(self, after: Floats) -> LayerChanges:
        pairs = ((self.states[:, at], after[:, at]) for at in range(after.shape[1]))
        return LayerChanges(tuple(self._change(one, other) for one, other in pairs), len(self.texts))

    def _change(self, before: Floats, after: Floats) -> LayerChange:
        if not np.isfinite(after).all():  # a training that diverged
            return LayerChange(0.0)
        alike = round(linear_cka(before, after), 4)
        if self.targets is None:
            return LayerChange(alike)
        scores = (round(logme(np.asarray(each, np.float64), self.targets), 4) for each in (before, after))
        return LayerChange(alike, *scores)


def can_compare(context: FitContext, deadline: float | None, *, least_seconds: float = LEAST_SECONDS) -> bool:
    """Say whether there are texts enough, and time; a further draw of a training is not compared again."""
    in_time = deadline is None or deadline - monotonic() >= least_seconds
    return in_time and not context.earlier and len(context.dev) >= FEWEST_TEXTS


def read_before(context: FitContext, body: Any, tokenizer: Any, *, window: int) -> BeforeTuning:
    """Read the first dev texts, at most `MOST_TEXTS`, with a model that was not tuned yet."""
    start, dev = monotonic(), context.dev[:MOST_TEXTS]
    texts, tokens = tuple(example.text for example in dev), min(window, MOST_TOKENS)
    states = mean_states(body, tokenizer, texts, most_tokens=tokens)
    return BeforeTuning(texts, states, targets_of(context.task, dev), tokens, monotonic() - start)


def read_encoder_before(context: FitContext, encoder: SentenceEncoder, seconds: float | None) -> BeforeTuning | None:
    """Read with a sentence encoder that was not tuned yet; None where the `seconds` that are left are too few."""
    if not can_compare(context, None if seconds is None else monotonic() + seconds):
        return None
    body, window = encoder.model[0].auto_model, encoder.form.context_length
    return read_before(context, body, encoder.tokenizer, window=window)


def changes_of_encoder(before: BeforeTuning | None, encoder: SentenceEncoder) -> tuple[LayerChanges, ...]:
    """Read again with the tuned sentence encoder; nothing where nothing was read before."""
    return () if before is None else (before.changes(encoder.model[0].auto_model, encoder.tokenizer),)


def read_engine_before(context: FitContext, engine: Engine, deadline: float | None) -> BeforeTuning | None:
    """Read the beginnings of dev texts with a language model that was not tuned yet.

    None where there is no time, or where the engine gives the last layer only, as vLLM does.
    """
    if not isinstance(engine, StateReader) or not can_compare(context, deadline, least_seconds=LEAST_OF_LANGUAGE_MODEL):
        return None
    start, dev = monotonic(), context.dev[:MOST_TEXTS]
    texts = tuple(example.text[:MOST_CHARACTERS] for example in dev)
    states = _states(engine, texts)
    return BeforeTuning(texts, states, targets_of(context.task, dev), MOST_TOKENS, monotonic() - start)


def _states(engine: StateReader, texts: Sequence[str]) -> Floats:
    """Average each text's states in every layer, without a prompt around it."""
    return engine.states(texts)[:, :, 1].astype(np.float32)


def targets_of(task: Task, examples: Sequence[Example]) -> Any:
    """Say for each example which labels it has, (N, K), of those that any has; None for other tasks."""
    if task.kind.shape not in (AnswerShape.LABEL, AnswerShape.LABELS):
        return None
    named = [set(task.kind.named(example.reference)) for example in examples]
    labels = [label for label in task.labels if any(label in each for each in named)]
    return np.array([[float(label in each) for label in labels] for each in named])
