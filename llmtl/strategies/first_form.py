"""What fitting kept in the first form of run folders: `state` and `details`, two mappings in the step's result.

The only place that knows that form. It is read, never written, and nothing is changed in the folder. The strategies
that it names are those of that time. Not covered: the form of today, which each strategy reads itself.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmtl.errors import RunError
from llmtl.findings import (
    AnswerRoom,
    CalibrationTrace,
    FitFinding,
    GridPoint,
    GridTrace,
    LeftOutPrompt,
    PaidFitting,
    SearchTrace,
    TrainingCurve,
    TrainingPoint,
    TriedCalibration,
    TriedPrompt,
)
from llmtl.strategy import AnyStrategy, FitContext, Predictor

if TYPE_CHECKING:
    from llmtl.classical.linear import LinearModel


def is_first_form(result: Mapping[str, Any]) -> bool:
    """Say whether a fit step's result has the first form."""
    return "state" in result


def load_first_form(strategy: AnyStrategy, context: FitContext, folder: Path, result: Mapping[str, Any]) -> Predictor:
    """Make the predictor whose state was kept; raises `RunError` when something of it is missing."""
    state, details = result["state"], result["details"]
    match strategy.name:
        case "majority" | "nearest":
            return strategy.fit(context).predictor  # everything follows from train
        case "dictionary":
            from llmtl.strategies.dictionary import learned

            return learned(context, state["precision"])
        case "tfidf":
            return _tfidf(context, folder, state)
        case "crf":
            from llmtl.strategies.crf import opened as crf

            return crf(folder / state["model"], {"c1": state["c1"], "c2": state["c2"]}, state["sha256"])
        case "qlora":
            from llmtl.strategies.model_tuning import opened as adapter

            room = details.get("max_tokens")
            return adapter(context, folder / state["adapter"], sha256=state["sha256"], max_tokens=room)
    return _prompt(strategy, context, {**state, "max_tokens": details.get("max_tokens")})


def _prompt(strategy: AnyStrategy, context: FitContext, kept: Mapping[str, Any]) -> Predictor:
    """Make the predictor of a prompt, whose JSON values are those of today."""
    from tempfile import TemporaryDirectory

    from llmtl.prompting.fitted import PROMPT_FILE
    from llmtl.store import write_json

    with TemporaryDirectory() as folder:
        write_json(Path(folder) / PROMPT_FILE, dict(kept))
        return strategy.load(context, Path(folder))


def _tfidf(context: FitContext, folder: Path, state: Mapping[str, Any]) -> Predictor:
    """Fit the vectoriser again on train, and read the weights."""
    from llmtl.classical.label_sets import LabelSetPredictor
    from llmtl.strategies.tfidf import TfidfPredictor, vectorise

    features = state["features"]
    vectoriser, _ = vectorise(context, [features])[features]
    make = LabelSetPredictor if "threshold" in state else TfidfPredictor
    return make(context.task, vectoriser, _weights(folder / "weights.npz"), choice=state)


def _weights(path: Path) -> "LinearModel":
    import numpy as np

    from llmtl.classical.linear import LinearModel

    if not path.is_file():
        raise RunError(f"The run folder lacks '{path.name}'; run the recipe again with a fresh --out.")
    with np.load(path, allow_pickle=False) as arrays:
        return LinearModel(tuple(arrays["labels"].tolist()), arrays["weights"], arrays["intercepts"])


def findings_of(details: Mapping[str, Any]) -> tuple[FitFinding, ...]:
    """Read the findings in a step's details."""
    found: list[FitFinding] = []
    if "candidates" in details:
        found.append(_search(details))
    if details.get("calibration"):
        found.append(_calibration(details["calibration"]))
    if "learning_curve" in details:
        found.append(_training(details))
    if "grid" in details:
        found.append(_grid(details))
    if "hosted" in details:
        asked = details["hosted"]
        usd, lacks = float(asked["spent_usd"] or 0.0), tuple(asked.get("unsupported", ()))
        found.append(PaidFitting(str(asked["model"]), str(asked["base_url"]), int(asked["requests"]), usd, lacks))
    if details.get("max_tokens") is not None:
        found.append(AnswerRoom(int(details["max_tokens"])))
    return tuple(found)


def _search(details: Mapping[str, Any]) -> SearchTrace:
    return SearchTrace(
        shots=details["shots"],
        seed=details["seed"],
        instruction=details["instruction"],
        instructions=tuple(details["instructions"]),
        metric=details["metric"],
        dev_examples=details["dev_examples"],
        tried=tuple(
            TriedPrompt(row["shots"], row["seed"], _scores(row), row["failed"], row["seconds"], row["instruction"])
            for row in details["candidates"]
        ),
        left_out=tuple(LeftOutPrompt(**row) for row in details["left_out"]),
    )


def _scores(row: Mapping[str, Any]) -> dict[str, float]:
    return {name.removeprefix("dev_"): score for name, score in row.items() if name.startswith("dev_")}


def _calibration(kept: Mapping[str, Any]) -> CalibrationTrace:
    plain = kept.get("uncalibrated")
    return CalibrationTrace(
        chosen=kept["chosen"],
        examples=kept["examples"],
        uncalibrated=TriedCalibration("uncalibrated", **plain) if plain else None,
        tried=tuple(TriedCalibration(**row) for row in kept["tried"]),
    )


def _training(details: Mapping[str, Any]) -> TrainingCurve:
    named = {field.name for field in fields(TrainingCurve) if field.default is MISSING} - {"points"}
    points = tuple(TrainingPoint(**row) for row in details["learning_curve"])
    return TrainingCurve(points=points, **{name: details[name] for name in named})


def _grid(details: Mapping[str, Any]) -> GridTrace:
    points = tuple(
        GridPoint({name: value for name, value in row.items() if not name.startswith("dev_")}, _scores(row))
        for row in details["grid"]
    )
    chosen = {name: details[name] for name in points[0].choice} if points else {}
    return GridTrace(chosen, points)
