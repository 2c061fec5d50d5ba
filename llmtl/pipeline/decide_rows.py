"""The decision on predictions made elsewhere, in frames or in files: `llmtl.decide`.

Not covered: making it (`llmtl.pipeline.decide_files`), the rows themselves (`llmtl.decision.predictions`).
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmtl.data.frames import TAKEN, columns_of, is_frame, table_of
from llmtl.data.table import Row, Table
from llmtl.decision.config import DecisionConfig
from llmtl.decision.outcome import Decision
from llmtl.decision.predictions import HeldRows, PredictionRow
from llmtl.errors import InputError
from llmtl.pipeline.decide_files import PredictionTask, decide_predictions
from llmtl.recipe import validate
from llmtl.task_section import TaskConfig

STRATEGY = "strategy"
"""The column of a long frame that says whose prediction a row is."""
_NEEDED = ("id", "reference", "prediction")
Given = Path | str | HeldRows


def decide(
    predictions: Any,
    *,
    dev: Any = (),
    baselines: Collection[str] = (),
    task: str = "classification",
    metric: str | None = None,
    target: float | None = None,
    decision: Mapping[str, Any] | None = None,
    out: Path | str | None = None,
) -> Decision:
    """Decide on predictions that were made elsewhere.

    `predictions` is one frame with the columns strategy, id, reference and prediction, a row per prediction; or a
    mapping of names to frames without the first of them; or JSON Lines files, one per strategy and named after it. What
    counts as a frame is what `llmtl.run` takes. Rows may also have cost (USD per request), latency_ms, seed, draw,
    split (dev or test), group, text (the input), and confidence or logprob. `dev` are further predictions whose rows
    are all dev; without rows of dev the choice is made on a random half of the examples and tested on the other.

    `baselines` names the strategies without a pre-trained model, `task` the kind of task, and `decision` holds keys of
    the recipe's section of that name, such as `{"margin": 0.01}`. `out` is a folder for `decision.json`, `report.html`
    and `report.md`.

    Raises `InputError` kin, in one line, for predictions that cannot be compared.
    """
    if isinstance(baselines, str):
        raise InputError(f"baselines are a list of names; write ['{baselines}'].")
    given = _given(predictions)
    if not given:
        raise InputError(
            f"There are no predictions to decide on; give {TAKEN}, a mapping of such by strategy, or files."
        )
    stated = {"kind": task, "metric": metric, "target": target}
    section = validate(TaskConfig, stated, source="What llmtl.decide was given")
    return decide_predictions(
        given,
        task=replace(PredictionTask(), kind=section.kind, metric=section.metric, target=section.target),
        dev=_given(dev),
        baselines=baselines,
        config=validate(DecisionConfig, decision or {}, source="What llmtl.decide was given"),
        out=out,
    )


def _given(predictions: Any) -> list[Given]:
    """Bring every form of predictions to files, and rows by strategy."""
    if isinstance(predictions, str | Path):
        return [predictions]
    if isinstance(predictions, Mapping):
        return [_of_one(str(name), each) for name, each in predictions.items()]
    if isinstance(predictions, list | tuple) and all(isinstance(each, str | Path) for each in predictions):
        return list(predictions)
    if not is_frame(predictions):
        raise InputError(
            f"llmtl.decide cannot read {predictions!r:.40}; give {TAKEN}, a mapping of such by strategy, or files."
        )
    by_name: dict[str, list[Row]] = {}
    table = _rows(predictions, STRATEGY)
    for row in table.rows:
        said = {name: value for name, value in row.values.items() if name != STRATEGY}
        by_name.setdefault(str(row.values[STRATEGY]), []).append(Row(row.where, said))
    return [HeldRows(name, replace(table, rows=tuple(rows))) for name, rows in by_name.items()]


def _of_one(name: str, given: Any) -> Given:
    if not is_frame(given):
        raise InputError(f"The predictions of '{name}' are of type {type(given).__name__}; give {TAKEN}.")
    return HeldRows(name, _rows(given))


def _rows(frame: Any, *further: str) -> Table:
    """Read what predictions may say of a frame; other columns are left out."""
    there = [name for name in columns_of(frame) if name in PredictionRow.model_fields and name not in _NEEDED]
    return table_of([frame], [*further, *_NEEDED, *there])
