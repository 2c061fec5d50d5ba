"""From what a caller has, a recipe or labelled data, to the run of it: `llmtl.run`.

Not covered: the stages (`llmtl.pipeline.stages`), the command line's options (`llmtl.cli.run`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from llmtl.data.file_formats import is_table
from llmtl.data.frames import TAKEN, is_frame, splits_of, table_of
from llmtl.data.table import Table, did_you_mean
from llmtl.errors import InputError, RecipeError
from llmtl.pipeline.run_data import repeated
from llmtl.pipeline.run_folder import Run
from llmtl.pipeline.stages import execute
from llmtl.progress import Progress
from llmtl.recipe import apply_overrides, validate
from llmtl.report.automatic_progress import watched
from llmtl.settings import Recipe, load_recipe, recipe_for_data
from llmtl.store import as_path, digest

RUNS = Path("runs")
GIVEN, GIVEN_TEST = Path("data") / "rows.jsonl", Path("data") / "test-rows.jsonl"
"""Where a run folder keeps the rows that were given in memory."""


class RunOptions(TypedDict, total=False):
    """What `llmtl.run` takes beside the source and its columns, each a choice of the recipe.

    test: a separate test set, in the same form as the source or as a path (`data.test_path`).
    task: the kind of task, classification by default (`task.kind`).
    metric, target, instruction: what the decision is made on and should reach, and what the model is told (`task`).
    labels: all labels in prompt order, or a mapping of each to what it means or None (`task.labels`).
    encoder: its name; None measures no strategy that needs one.
    strategies: the names of those to measure (`strategies.run`).
    budget_minutes: how long the run may take (`budget.minutes`).
    seed: of the split, the demonstrations and training.
    """

    test: Any
    task: str
    metric: str
    target: float
    instruction: str
    labels: Sequence[str] | Mapping[str, str | None]
    encoder: str | None
    strategies: Sequence[str]
    budget_minutes: float
    seed: int


_KEYS = {
    "task": "task.kind",
    "metric": "task.metric",
    "target": "task.target",
    "instruction": "task.instruction",
    "labels": "task.labels",
    "encoder": "encoder",
    "strategies": "strategies.run",
    "budget_minutes": "budget.minutes",
    "seed": "seed",
}
"""The key of the recipe that each option sets; `test` is not a plain value."""
_NAMED = ("text", "label", "model", "out", "overrides", "progress")


def run(
    source: Any,
    *,
    text: str | None = None,
    label: str | None = None,
    model: str | None = None,
    out: str | Path | None = None,
    overrides: Iterable[str] = (),
    progress: Progress | bool | None = None,
    **options: Unpack[RunOptions],
) -> Run:
    """Measure every strategy on labelled data, decide, and give the finished run.

    `source` is a pandas or polars DataFrame, a `datasets.Dataset` or `DatasetDict`, an Arrow table, a list of dicts, a
    file or the Hub name of a data set, each with `text` and `label`, its columns, and `model`; or a recipe, as an
    object, a file or its folder. Of a `DatasetDict` the split `test` is the test set, and `validation` joins `train`.
    `RunOptions` says what `options` are; `overrides` sets any other key of the recipe, as `key.sub=value`.

    `out` is the run folder, by default `runs/NAME`; what is already in it from the same inputs is reused. Rows given in
    memory are kept there, in the columns that the recipe names. `progress` shows how far it is: by default a bar in a
    notebook or on a terminal and elsewhere a line every 15 seconds, with False nothing.

    Raises `InputError` kin, with nothing written, for anything the user has to fix.
    """
    unknown = next((name for name in options if name not in RunOptions.__annotations__), None)
    if unknown is not None:
        hint = did_you_mean(unknown, (*_NAMED, *RunOptions.__annotations__))
        raise InputError(f"llmtl.run has no option '{unknown}'{hint}; set other keys of a recipe by overrides.")
    changes = [*_overrides(options), *_list(overrides)]
    columns = {"text": text, "label": label}
    in_memory, test = is_frame(source), options.get("test")
    if not in_memory and not isinstance(source, Recipe | str | Path):
        raise InputError(f"llmtl.run cannot read {_shown(source)}; give {TAKEN}, a path or a recipe.")
    out = None if out is None else as_path(out, "The run folder")
    if in_memory or is_frame(test):
        recipe, folder, given = _in_memory(source, test, columns | {"model": model}, changes=changes, out=out)
    else:
        recipe = _recipe(source, columns | {"model": model}, [*_test_path(test), *changes])
        folder, given = Path(out) if out else RUNS / recipe.name, {}
    of = repeated(Path(source), recipe, folder) if isinstance(source, str | Path) else None
    with watched(progress) as shown:
        return execute(recipe, folder=folder, progress=shown, given=given, of=of)


def _test_path(test: Any) -> list[str]:
    return [] if test is None else [f"data.test_path={_value(str(as_path(test, 'The test set')))}"]


def _recipe(source: Any, given: Mapping[str, str | None], changes: Sequence[str]) -> Recipe:
    """Give the recipe of a recipe, changed, or of labelled data in a file or on the Hub."""
    text, label, model = given["text"], given["label"], given["model"]
    if text and label and model and not isinstance(source, Recipe):
        return recipe_for_data(source, text=text, label=label, model=model, overrides=changes)
    if text or label or is_table(str(source)):
        raise RecipeError(f"'{source}' is not a recipe, and data also needs text, label and model; give all three.")
    changes = [*([f"model.name={_value(model)}"] if model else []), *changes]
    if isinstance(source, Recipe):
        document = source.model_dump(mode="json", exclude_unset=True)
        return validate(Recipe, apply_overrides(document, changes), source="The recipe") if changes else source
    return load_recipe(source, changes)


def _in_memory(
    source: Any, test: Any, given: Mapping[str, str | None], *, changes: Sequence[str], out: str | Path | None
) -> tuple[Recipe, Path, dict[str, Table]]:
    """Give the recipe of rows in memory, its folder, and the rows by the files in it that will hold them."""
    if not given["model"]:
        raise RecipeError("Data also needs a model: give model='smollm2', a Hub name or a folder.")
    frames, own_test = splits_of(source) if is_frame(source) else ([], None)
    test = own_test if test is None else test if is_frame(test) else as_path(test, "The test set")
    draft = _recipe_of_rows(source, test, given, folder=RUNS / "data", changes=changes)
    columns = list(filter(None, (draft.data.text, draft.data.label, draft.data.id, draft.data.group)))
    rows = table_of(frames, columns) if frames else None
    test_rows = table_of([test], columns) if is_frame(test) else None
    folder = Path(out) if out else RUNS / f"data-{_mark(rows, test_rows)}"
    recipe = _recipe_of_rows(source, test, given, folder=folder, changes=changes)
    tables = {recipe.data.path: rows, recipe.data.test_path or "": test_rows}
    return recipe, folder, {path: table for path, table in tables.items() if table is not None}


def _recipe_of_rows(
    source: Any, test: Any, given: Mapping[str, str | None], *, folder: Path, changes: Sequence[str]
) -> Recipe:
    """Make the recipe of rows that will be kept in `folder`, after which it is named."""
    name = "".join(char if char.isalnum() or char in "._-" else "-" for char in folder.resolve().name)
    data = {name: value for name, value in given.items() if name != "model" and value}
    data["path"] = str(folder / GIVEN if is_frame(source) else source)
    if test is not None:
        data["test_path"] = str(folder / GIVEN_TEST if is_frame(test) else test)
    document = {"name": name.strip("-._") or "run", "data": data, "model": {"name": given["model"]}}
    return validate(Recipe, apply_overrides(document, changes), source="What llmtl.run was given")


def _mark(*tables: Table | None) -> str:
    """Tell these rows from others, so that each has a run folder of its own."""
    return digest([[dict(row.values) for row in table.rows] for table in tables if table is not None])[:8]


def _overrides(options: RunOptions) -> list[str]:
    return [f"{_KEYS[name]}={_value(value)}" for name, value in options.items() if name in _KEYS]


def _shown(source: object) -> str:
    return "None" if source is None else f"a value of type {type(source).__name__}"


def _value(value: Any) -> str:
    """Write a value as YAML reads it."""
    if isinstance(value, tuple):
        value = list(value)
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        return str(value)


def _list(overrides: Iterable[str]) -> list[str]:
    if isinstance(overrides, str):
        raise RecipeError(f"Overrides are a list of key.sub=value; write ['{overrides}'].")
    return list(overrides)
