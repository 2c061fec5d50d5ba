"""The `linear-probe` strategy: a linear classifier on the hidden states of the frozen model.

After Alain & Bengio (2017), "Understanding intermediate layers using linear classifier probes". The model reads the
prompt of zero-shot with the task's own instruction, and writes nothing. Layer, position and regularisation are chosen
on dev; states of all layers are held in float16, in memory and only while fitting. Labels' probabilities get vector
scaling, and those of label sets the same for each label, fitted on dev where cross-validation says that it helps. The
threshold of label sets is chosen on dev. Not covered: engines that give the last layer only, such as vLLM.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from llmtl.errors import ContextLengthError
from llmtl.kinds.kind import AnswerShape
from llmtl.progress import Advance, unwatched
from llmtl.strategy import (
    Curve,
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
from llmtl.task import Example, Input, Task, references, texts_of

if TYPE_CHECKING:
    from llmtl.classical.linear import LinearModel
    from llmtl.findings import CalibrationTrace
    from llmtl.metrics.recalibration import LabelCalibration

POSITIONS = ("last", "mean")
CHUNK = 128
"""Prompts whose states are read at once: bounds the memory of predicting, and how finely a time limit is kept."""
READING_SHARE = 0.6
"""The part of the time for fitting after which no more training examples are read."""


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
class _Reader:
    """Reads the states of the zero-shot prompt of inputs."""

    context: FitContext

    def read(self, texts: Sequence[str]) -> tuple[Any, list[int]]:
        """Read the states, (N, layers, 2, width), of the prompts that fit the context, and count all prompts' tokens.

        Raises `ContextLengthError` when the engine gives no states.
        """
        from llmtl.engines.transformers.states import StateReader
        from llmtl.prompting.template import Template

        engine = self.context.load_engine(None)
        if not isinstance(engine, StateReader):
            raise ContextLengthError(
                f"The engine '{engine.name}' does not give the hidden states of all layers; set "
                "model.engine=transformers."
            )
        template = Template(self.context.task, engine)
        prompts = [template.prompt(text) for text in texts]
        tokens = [engine.count_tokens(prompt) for prompt in prompts]
        fitting = [prompt for prompt, count in zip(prompts, tokens, strict=True) if count < engine.context_length]
        head = _common(template.prompt("a"), template.prompt("0"))  # what the prompts of all inputs begin with
        return engine.states(fitting, head=head), tokens

    def room(self) -> int:
        """Say how many tokens a prompt may have, at most."""
        return self.context.load_engine(None).context_length - 1


@dataclass(frozen=True)
class LinearProbePredictor:
    """A linear model on the states at one layer and position, which `choice` names beside `c` and `threshold`."""

    reader: _Reader
    model: "LinearModel"
    choice: Mapping[str, Any]
    calibration: "LabelCalibration | None" = None

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one prediction per text; a prompt that does not fit the context is a failure."""
        texts = texts_of(inputs)
        found: list[Prediction] = []
        for start in range(0, len(texts), CHUNK):
            found += self._predict(texts[start : start + CHUNK], first=start)
            advance(len(texts[start : start + CHUNK]))
        return found

    def _predict(self, texts: Sequence[str], *, first: int) -> list[Prediction]:
        start = perf_counter()
        states, tokens = self.reader.read(texts)
        room = self.reader.room()
        rows = iter(self.probabilities(self.rows(states)) if len(states) else ())
        answers = [self._answer(next(rows)) if count <= room else None for count in tokens]
        each = (perf_counter() - start) / len(texts)
        return [
            Prediction(str(at), answer[0], answer[1], prompt_tokens=count, seconds=each)
            if answer
            else Prediction(str(at), None, failure=_too_long(count, room), seconds=each)
            for at, (answer, count) in enumerate(zip(answers, tokens, strict=True), start=first)
        ]

    def rows(self, states: Any) -> Any:
        """Take the chosen layer and position, (N, width) in double precision."""
        return states[:, self.choice["layer"], POSITIONS.index(self.choice["position"])].astype(float)

    def probabilities(self, rows: Any) -> Any:
        """Compute an array, N rows of states x C labels in the task's order; those of label sets do not sum to 1."""
        found = _probabilities(self.reader.context.task, self.model, rows)
        return found if self.calibration is None else self.calibration.apply(found)

    def _answer(self, row: Any) -> tuple[str, dict[str, float]]:
        from llmtl.classical.label_sets import answers_of

        task = self.reader.context.task
        told = dict(zip(task.labels, row.tolist(), strict=True))
        if task.kind.lists:
            return answers_of(task, row[None], self.choice["threshold"])[0], told
        return task.labels[int(row.argmax())], told

    def save(self, folder: Path) -> None:
        """Write choice, calibration and weights."""
        from llmtl.classical.files import write_parts

        calibration = None if self.calibration is None else asdict(self.calibration)
        facts = {"choice": dict(self.choice), "labels": list(self.model.labels), "calibration": calibration}
        write_parts(folder, facts, {"weights": self.model.weights, "intercepts": self.model.intercepts})

    def served(self) -> LocalServed:
        """Say that our own server serves it, beside the base model."""
        return LocalServed(needs_base_model=True)


class LinearProbe(Strategy[LinearProbeConfig]):
    """Equal dev scores go to the later layer, then to the last token, then to stronger regularisation."""

    section = LinearProbeConfig
    facts = Facts(
        name="linear-probe",
        role=Role.FEATURES,
        served=LocalServed,
        answers=frozenset({AnswerShape.LABEL, AnswerShape.LABELS}),
        runs=Runs.BASE_MODEL,
        fit_weight=1.5,
        prompts=1,
        time_grows_with_train=True,
        curve=Curve.NOWHERE,
        made_with="sklearn",
        is_made_by="a linear classifier on the model's frozen states",
        summary="A linear classifier on the model's frozen hidden states.",
    )

    def fit(self, context: FitContext) -> Fitted:
        """Read the states of dev and train, fit the grid, and keep its best point on dev.

        Raises `DataError` without training examples, and `ContextLengthError` where the engine gives no states or a
        dev prompt does not fit.
        """
        from llmtl.classical.grid import best_on_dev

        start, strengths = perf_counter(), sorted(set(self.config.c))
        reader = _Reader(context)
        dev = _all_states(reader, context.dev, context)
        known, states = _train_states(reader, context, start)
        layers = _spread(states.shape[1], self.config.layers)
        points = _points(reader, known, (states, dev), layers, strengths)
        tried = ((each, each.choice, answers) for each, answers in _in_time(points, context, start))
        best, trace = best_on_dev(tried, context, name=self.name, count=len(layers) * len(POSITIONS) * len(strengths))
        calibrated, calibrations = _calibrated(best, context, best.rows(dev))
        return Fitted(calibrated, (trace, *calibrations))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load choice, calibration and weights."""
        from llmtl.classical.files import read_arrays, read_facts
        from llmtl.classical.linear import LinearModel
        from llmtl.metrics.recalibration import LabelCalibration, Method

        facts, arrays = read_facts(folder), read_arrays(folder)
        model = LinearModel(tuple(facts["labels"]), arrays["weights"], arrays["intercepts"])
        kept = facts["calibration"]
        calibration = kept and LabelCalibration(Method(kept["method"]), tuple(kept["scale"]), tuple(kept["bias"]))
        return LinearProbePredictor(_Reader(context), model, facts["choice"], calibration)


def _common(first: str, second: str) -> str:
    """Return what two texts begin with."""
    at = next((at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), 0)
    return first[:at]


def _all_states(reader: _Reader, examples: Sequence[Example], context: FitContext) -> Any:
    """Read the states of examples; raise `ContextLengthError` where a prompt does not fit."""
    import numpy as np

    found = []
    with context.progress.stage("linear-probe: reading dev", len(examples)) as advance:
        for at in range(0, len(examples), CHUNK):
            part = examples[at : at + CHUNK]
            states, tokens = reader.read([example.text for example in part])
            if len(states) < len(part):
                raise ContextLengthError(_too_long(max(tokens), reader.room()))
            found.append(states)
            advance(len(part))
    return np.concatenate(found)


def _train_states(reader: _Reader, context: FitContext, start: float) -> tuple[list[Example], Any]:
    """Read the states of train, as many as time allows, in random order; those that do not fit are left out."""
    import numpy as np

    from llmtl.classical.grid import training_examples

    train = list(training_examples(context))
    random.Random(context.seed).shuffle(train)
    limit, room = context.budget.train_seconds, reader.room()
    known: list[Example] = []
    found: list[Any] = []
    with context.progress.stage("linear-probe: reading train", len(train)) as advance:
        for at in range(0, len(train), CHUNK):
            if found and limit is not None and perf_counter() - start > READING_SHARE * limit:
                context.progress.say(f"linear-probe: time for {len(known):,} of {len(train):,} training examples")
                break
            part = train[at : at + CHUNK]
            states, tokens = reader.read([example.text for example in part])
            known += [example for example, count in zip(part, tokens, strict=True) if count <= room]
            if len(states):
                found.append(states)
            advance(len(part))
    if not known:
        raise ContextLengthError(
            f"No training prompt fits the model's context of {room + 1} tokens; shorten the texts."
        )
    return known, np.concatenate(found)


def _spread(count: int, most: int) -> list[int]:
    """List at most `most` layers, the last first, evenly spaced down to the first behind the embeddings."""
    step = max(1.0, (count - 1) / most)
    return sorted({round(count - 1 - step * at) for at in range(min(most, count - 1))}, reverse=True)


def _points(
    reader: _Reader,
    train: Sequence[Example],
    states: tuple[Any, Any],
    layers: Sequence[int],
    strengths: Sequence[float],
) -> Iterator[tuple[LinearProbePredictor, list[str]]]:
    """Yield each point of the grid, fitted on train, with its dev answers; `states` are train's and dev's."""
    for layer in layers:
        for position, name in enumerate(POSITIONS):
            # (N, layers, 2, width) -> (N, width)
            rows, dev_rows = (each[:, layer, position].astype(float) for each in states)
            mean, spread = rows.mean(axis=0), rows.std(axis=0)
            spread[spread == 0] = 1.0
            models = _path(reader.context.task, (rows - mean) / spread, train, strengths)
            for c, model in zip(strengths, models, strict=True):
                choice = {"layer": layer, "position": name, "c": c, "train_examples": len(train)}
                predictor = LinearProbePredictor(reader, _on_plain_states(model, mean, spread), choice)
                yield _answering(predictor, dev_rows)


def _path(task: Task, rows: Any, train: Sequence[Example], strengths: Sequence[float]) -> "Iterator[LinearModel]":
    """Yield the model of each strength."""
    from llmtl.answers import read_labels
    from llmtl.classical.label_sets import one_vs_rest
    from llmtl.classical.linear import path

    if task.kind.lists:
        return one_vs_rest(rows, [read_labels(each.reference) for each in train], task.labels, strengths)
    return path(rows, references(train), strengths)


def _on_plain_states(model: "LinearModel", mean: Any, spread: Any) -> "LinearModel":
    """Turn weights for standardised states into weights for states as they are."""
    import numpy as np

    weights = model.weights / spread
    return replace(
        model,
        weights=weights.astype(np.float32),
        intercepts=(model.intercepts - weights @ mean).astype(np.float32),
    )


def _answering(predictor: LinearProbePredictor, dev_rows: Any) -> tuple[LinearProbePredictor, list[str]]:
    """Return a predictor, at the best threshold where an answer has several labels, and its answers on dev."""
    from llmtl.classical.label_sets import best_threshold

    context = predictor.reader.context
    task, found = context.task, predictor.probabilities(dev_rows)
    if task.kind.lists:
        threshold, answers = best_threshold(found, context)
        return replace(predictor, choice={**predictor.choice, "threshold": threshold}), answers
    return predictor, [task.labels[at] for at in found.argmax(axis=1)]


def _in_time(
    points: Iterator[tuple[LinearProbePredictor, list[str]]], context: FitContext, start: float
) -> Iterator[tuple[LinearProbePredictor, list[str]]]:
    """Yield points until the time for fitting is used up, but at least one."""
    limit = context.budget.train_seconds
    for point in points:
        yield point
        if limit is not None and perf_counter() - start > limit:
            context.progress.say("linear-probe: no time for the rest of the grid")
            return


def _probabilities(task: Task, model: "LinearModel", rows: Any) -> Any:
    """Compute an array, N x C in the task's order; of one label, those that train lacks have probability 0."""
    import numpy as np
    from scipy.special import expit

    if task.kind.lists:
        return expit(model.logits(rows))
    found = np.zeros((len(rows), len(task.labels)))
    found[:, [task.labels.index(label) for label in model.labels]] = model.probabilities(rows)
    return found


def _calibrated(
    best: LinearProbePredictor, context: FitContext, rows: Any
) -> "tuple[LinearProbePredictor, tuple[CalibrationTrace, ...]]":
    """Calibrate where that helps in cross-validation on dev; `rows`, (N, width), are dev's states."""
    from llmtl.metrics.recalibration import Method, affine_calibration
    from llmtl.prompting.calibrating import FEWEST, Known, better

    task, labels = context.task, context.task.labels
    if task.kind.lists:
        return _calibrated_sets(best, context, rows)
    predictions = [
        Prediction(str(at), labels[int(row.argmax())], dict(zip(labels, row.tolist(), strict=True)))
        for at, row in enumerate(best.probabilities(rows))
    ]
    known = Known.of(task, context.dev, predictions)
    enough = len(known.truth) >= FEWEST[Method.AFFINE]
    calibration, traces = better(known, {Method.AFFINE: affine_calibration} if enough else {}, seed=context.seed)
    return replace(best, calibration=calibration), traces


def _calibrated_sets(
    best: LinearProbePredictor, context: FitContext, rows: Any
) -> "tuple[LinearProbePredictor, tuple[CalibrationTrace, ...]]":
    """Calibrate each label where that helps; its threshold moves along."""
    from llmtl.classical.set_calibration import calibrate_sets
    from llmtl.findings import CalibrationTrace
    from llmtl.metrics.recalibration import Method
    from llmtl.prompting.calibrating import FEWEST

    if len(rows) < FEWEST[Method.AFFINE]:
        return best, (CalibrationTrace(None, len(rows)),)
    model, thresholds, trace = calibrate_sets(
        best.model, best.model.logits(rows), threshold=best.choice["threshold"], context=context
    )
    return replace(best, model=model, choice={**best.choice, "threshold": thresholds}), (trace,)


def _too_long(tokens: int, room: int) -> str:
    """Say why a prompt has no states."""
    return f"The prompt has {tokens} tokens and the model reads {room}; shorten the input or use a longer context."
