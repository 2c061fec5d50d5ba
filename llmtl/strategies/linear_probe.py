"""The `linear-probe` strategy: a linear classifier on the hidden states of the frozen model.

After Alain & Bengio (2017), "Understanding intermediate layers using linear classifier probes". The model reads the
prompt of zero-shot with the task's own instruction, and writes nothing. Layer, position and regularisation are chosen
on dev; states of all layers are held in float16, in memory and only while fitting. Labels' probabilities get vector
scaling, and those of label sets the same for each label, fitted on dev where cross-validation says that it helps. The
threshold of label sets is chosen on dev. Spans are found by the states of words (`llmtl.heads.word_head`). Not
covered: engines that give the last layer only, such as vLLM.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from llmtl.classical.grid import best_on_dev
from llmtl.findings import Cut, Unit, cut_short
from llmtl.heads.prompt_states import (
    CHUNK,
    READING_SHARE,
    PromptReader,
    affordable,
    of_prompts,
    read_all,
    read_in_time,
    shuffled_train,
    spread_layers,
)
from llmtl.kinds.kind import AnswerShape
from llmtl.progress import Advance, chunks, unwatched
from llmtl.strategy import (
    Facts,
    FitContext,
    Fitted,
    LocalServed,
    Prediction,
    Predictor,
    Role,
    Runs,
    Strategy,
)
from llmtl.task import Example, Input, texts_of

if TYPE_CHECKING:
    from llmtl.heads.linear_head import LinearHead

POSITIONS = ("last", "mean")
WARM_UP, PROBED = 4, 64
"""Prompts read to warm up, and those timed, to forecast how long fitting takes."""


class LinearProbeConfig(BaseModel):
    """The choices of the `linear-probe` strategy: the grid that is tried on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: int = Field(
        default=12, ge=1, description="Layers to try at most, evenly spaced; the last is always among them."
    )
    c: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(0.01, 0.1, 1.0),
        min_length=1,
        description="Inverse strengths of L2 regularisation to try: scikit-learn's default 1 and stronger, since there "
        "are often more states than examples.",
    )


@dataclass(frozen=True)
class LinearProbePredictor:
    """A linear head on the states at one layer and position, which its `choice` names."""

    reader: PromptReader
    head: "LinearHead"

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one prediction per text; a prompt that does not fit the context is a failure."""
        parts = chunks(texts_of(inputs), CHUNK, advance=advance)
        return [prediction for first, part in parts for prediction in self._predict(part, first=first)]

    def _predict(self, texts: Sequence[str], *, first: int) -> list[Prediction]:
        start = perf_counter()
        states, tokens = self.reader.read(texts)
        answers = self.head.answers(_rows(states, self.head)) if len(states) else ()
        made = [Prediction("", *answer) for answer in answers]
        return of_prompts(made, tokens, self.reader.room(), first=first, start=start)

    def save(self, folder: Path) -> None:
        """Write choice, calibration and weights."""
        from llmtl.classical.files import write_parts

        write_parts(folder, *self.head.kept())

    def served(self) -> LocalServed:
        """Say that our own server serves it, beside the base model."""
        return LocalServed(needs_base_model=True)


class LinearProbe(Strategy[LinearProbeConfig]):
    """Equal dev scores go to the later layer, then to the last token, then to stronger regularisation."""

    section = LinearProbeConfig
    facts = Facts(
        name="linear-probe",
        title="Linear classifier on frozen states",
        advice="Train a linear classifier on the frozen states of {model}",
        role=Role.FEATURES,
        served=LocalServed,
        answers=frozenset({AnswerShape.LABEL, AnswerShape.LABELS, AnswerShape.SPANS}),
        runs=Runs.BASE_MODEL,
        fit_weight=1.5,
        prompts=1,
        time_grows_with_train=True,
        has_curve=True,
        made_with="sklearn",
        is_made_by="a linear classifier on the language model's frozen states",
        summary="A linear classifier on the language model's frozen hidden states.",
    )

    def fit(self, context: FitContext) -> Fitted:
        """Read the states of dev and train, fit the grid, and keep its best point on dev.

        Raises `DataError` without training examples, and `ContextLengthError` where the engine gives no states or a
        dev prompt does not fit.
        """
        from llmtl.heads.word_head import fit_words

        strengths = sorted(set(self.config.c))
        if context.task.kind.shape is AnswerShape.SPANS:
            return Fitted(*fit_words(context, name=self.name, most_layers=self.config.layers, strengths=strengths))
        return self._fit_labels(context, strengths)

    def _fit_labels(self, context: FitContext, strengths: Sequence[float]) -> Fitted:
        """Fit heads for one label, or for each label, at every layer and position."""
        import numpy as np

        from llmtl.heads.linear_head import calibrated, heads_per_strength, in_time

        start = perf_counter()
        reader = PromptReader(context)
        dev = np.concatenate(read_all(reader.read, context.dev, context, name=self.name, room=reader.room()))
        known, states, cut = self._train_states(reader, context, start)
        layers = spread_layers(states.shape[1], self.config.layers)
        points = _points(context, known, (states, dev), layers, strengths)
        tried = ((head, head.choice, answers) for head, answers in in_time(points, context, start, name=self.name))
        count = len(layers) * len(POSITIONS) * len(strengths) * heads_per_strength(context.task)
        best, trace = best_on_dev(tried, context, name=self.name, count=count)
        cut += cut_short(len(trace.points), count, Unit.SETTINGS)
        head, calibrations = calibrated(best, context, _rows(dev, best))
        return Fitted(LinearProbePredictor(reader, head), (trace, *calibrations, *cut))

    def forecast(self, context: FitContext) -> float | None:
        """Time reading a few prompts and fitting one layer and position on them; of spans, their words."""
        from llmtl.heads.linear_head import heads_per_strength
        from llmtl.heads.word_head import forecast_words

        if context.task.kind.shape is AnswerShape.SPANS:
            return forecast_words(context, most_layers=self.config.layers, strengths=sorted(set(self.config.c)))
        reader, sample = PromptReader(context), shuffled_train(context)[:PROBED]
        start = perf_counter()
        reader.read([each.text for each in sample[:WARM_UP]])
        each_warm = (perf_counter() - start) / WARM_UP
        sample = sample[: affordable(context.budget.train_seconds, each_warm)]
        start = perf_counter()
        states, tokens = reader.read([each.text for each in sample])
        reading = (perf_counter() - start) / len(sample) * (len(context.train) + len(context.dev))
        known = [each for each, count in zip(sample, tokens, strict=True) if count <= reader.room()]
        if not known:
            return None
        layers = spread_layers(states.shape[1], self.config.layers)
        start = perf_counter()
        heads = _points(replace(context, dev=tuple(known)), known, (states, states), layers[:1], sorted(self.config.c))
        count = sum(1 for _ in heads) / heads_per_strength(context.task)
        fitting = (perf_counter() - start) / count * len(layers) * len(POSITIONS) * len(set(self.config.c))
        return max(reading / READING_SHARE, reading + fitting * len(context.train) / len(known))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load choice, calibration and weights."""
        from llmtl.heads.linear_head import LinearHead
        from llmtl.heads.word_head import load_words

        if context.task.kind.shape is AnswerShape.SPANS:
            return load_words(context, folder)
        return LinearProbePredictor(PromptReader(context), LinearHead.read(context.task, folder))

    def _train_states(
        self, reader: PromptReader, context: FitContext, start: float
    ) -> tuple[list[Example], Any, tuple[Cut, ...]]:
        """Read the states of train, as many as time allows, in random order; also give what there was no time for."""
        import numpy as np

        limit = context.budget.train_seconds
        known, states, cut = read_in_time(
            reader.read,
            shuffled_train(context),
            context,
            name=self.name,
            room=reader.room(),
            until=None if limit is None else start + READING_SHARE * limit,
        )
        return known, np.concatenate(states), cut


def _points(
    context: FitContext,
    train: Sequence[Example],
    states: tuple[Any, Any],
    layers: Sequence[int],
    strengths: Sequence[float],
) -> "Iterator[tuple[LinearHead, list[str]]]":
    """Yield each point of the grid, fitted on train, with its dev answers; `states` are train's and dev's."""
    from llmtl.heads.linear_head import heads_on_dev

    for layer in layers:
        for position in POSITIONS:
            rows, dev_rows = (_at(each, layer, position) for each in states)
            choice = {"layer": layer, "position": position, "train_examples": len(train)}
            yield from heads_on_dev(context, train, (rows, dev_rows), strengths, choice)


def _rows(states: Any, head: "LinearHead") -> Any:
    """Take the layer and position that a head was fitted on."""
    return _at(states, head.choice["layer"], head.choice["position"])


def _at(states: Any, layer: int, position: str) -> Any:
    """Take one layer and position, (N, layers, 2, width) -> (N, width) in double precision."""
    return states[:, layer, POSITIONS.index(position)].astype(float)
