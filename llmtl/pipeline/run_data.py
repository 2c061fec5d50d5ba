"""The examples of a run: read and split as the recipe says or, where a finished run is repeated, as that run had them.

A run folder keeps the examples that it used and the fingerprint of all that it was given. Where the data of its recipe
is gone or is not the same any more, repeating it takes the kept examples, as they were split. Not covered: checking
what was read (`llmtl.pipeline.prepare`), inputs without a right answer (`data.unknown`), which are not kept.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from llmtl.data import (
    Cleaning,
    corpus_mark,
    fingerprint,
    load_examples,
    searchable,
    split_examples,
    with_corrections,
    with_preferences,
    without_rare_labels,
)
from llmtl.data.table import Table
from llmtl.decision.expected_cost import check_error_costs
from llmtl.errors import DataError, MissingFileError
from llmtl.lookalikes import plain_name
from llmtl.pipeline.run_format import (
    FINGERPRINT,
    INDEX,
    PROVENANCE,
    read_corpus,
    read_examples,
    read_index,
    read_preferences,
)
from llmtl.progress import Progress
from llmtl.seals import STEPS
from llmtl.settings import RECIPE_FILE, Recipe, load_recipe
from llmtl.store import digest, read_json
from llmtl.task import CorpusText, Split, Task


@dataclass(frozen=True)
class RunData:
    """The task with its labels, the split, what reading dropped, and a mark of all that was given."""

    task: Task
    split: Split
    cleaning: Cleaning
    fingerprint: str


@dataclass(frozen=True)
class Repeated:
    """A run folder that is repeated, and whether in itself: then rows that have changed since are taken as they are."""

    folder: Path
    in_place: bool = False


def repeated(source: Path, recipe: Recipe, out: Path) -> Repeated | None:
    """Say which run a recipe comes from; None for one that no run kept, or whose data was changed on purpose."""
    folder = source if source.is_dir() else source.parent
    if not ((folder / STEPS).is_dir() and (folder / RECIPE_FILE).is_file() and _copy_of(folder).is_file()):
        return None
    if load_recipe(folder).data != recipe.data:
        return None
    return Repeated(folder, folder.resolve() == out.resolve())


def read_data(
    recipe: Recipe, progress: Progress, *, given: Mapping[str, Table] | None, of: Repeated | None = None
) -> RunData:
    """Read the examples of a recipe; those of a run that is repeated come from its copy where its data is not there."""
    if of is None:
        return _from_source(recipe, progress, given)
    try:
        found = _from_source(recipe, progress, given)
    except MissingFileError:
        return _from_copy(recipe, progress, of, why="is gone")
    before = _mark_of(of.folder)
    if before in (None, found.fingerprint):
        if before:
            progress.say(f"'{recipe.data.path}' is what the run was made from, by its fingerprint.")
        return found
    if of.in_place:
        progress.say(f"Warning: '{recipe.data.path}' has changed since; what depends on it is measured again.")
        return found
    return _from_copy(recipe, progress, of, why="has changed since")


def _from_source(recipe: Recipe, progress: Progress, given: Mapping[str, Table] | None) -> RunData:
    loaded = load_examples(recipe.data, recipe.task.label_names, kind=recipe.task.kind, given=given)
    for line in loaded.told:
        progress.say(line)
    loaded = without_rare_labels(loaded, recipe.data)
    task = recipe.task.task(recipe.name, loaded.labels)
    check_error_costs(recipe.decision, task)
    split = split_examples(loaded, recipe.data, seed=recipe.seed)
    split, cleaning = with_corrections(
        split, recipe.data, loaded.cleaning, labels=loaded.labels, kind=task.kind, seed=recipe.seed
    )
    if cleaning.corrected:
        progress.say(f"Read {cleaning.corrected.told}")
    split, cleaning = with_preferences(split, recipe.data, cleaning)
    if cleaning.preferred:
        progress.say(f"Read {cleaning.preferred.told}")
    split, cleaning = searchable(split, recipe.data, cleaning, kind=task.kind)
    return RunData(task, split, cleaning, _mark(split))


def _from_copy(recipe: Recipe, progress: Progress, of: Repeated, *, why: str) -> RunData:
    """Take the examples that the run folder keeps, in the split that they were used in."""
    folder, kind = of.folder, recipe.task.kind
    parts = {name: read_examples(folder, name) for name in ("train", "dev", "test")}
    corpus = tuple(CorpusText(id_, text) for id_, text in read_corpus(folder).items())
    every = [example for part in parts.values() for example in part]
    given = recipe.task.label_names
    labels = None if given is None else tuple(map(plain_name, given))
    if labels is None and (folder / INDEX).is_file():
        labels = read_index(folder).task.labels
    if labels is None:
        labels = tuple(sorted({name for each in every for name in kind.named(each.reference)}))
    other = next((name for each in every for name in kind.named(each.reference) if name not in labels), None)
    if other is not None:
        raise DataError(
            f"The examples that '{folder}' keeps have the {kind.noun} '{other}', which is not one of the task's; leave "
            "task.labels as they were."
        )
    task = recipe.task.task(recipe.name, labels)
    check_error_costs(recipe.decision, task)
    split = Split(**parts, corpus=corpus, preferences=read_preferences(folder))
    before, kept = _mark_of(folder), _mark(split)
    part = "" if before in (None, kept) else ", without those that it had left out to save time"
    progress.say(
        f"'{recipe.data.path}' {why}: the {len(every):,} examples are those that '{folder}' keeps in data/{part}, "
        "split as they were."
    )
    return RunData(task, split, Cleaning(len(every)), before or kept)


def _mark(split: Split) -> str:
    """Mark all examples and, where there are any, the corpus and the preferences."""
    examples = fingerprint((*split.train, *split.dev, *split.test))
    further = [corpus_mark(split.corpus)] if split.corpus else []
    further += [digest([asdict(pair) for pair in split.preferences])] if split.preferences else []
    return digest([examples, *further]) if further else examples


def _mark_of(folder: Path) -> str | None:
    """Return the fingerprint of what a run was given; None for one that was interrupted before it said so."""
    if not (folder / PROVENANCE).is_file():
        return None
    kept = read_json(folder / PROVENANCE)
    return str(kept[FINGERPRINT]) if isinstance(kept, dict) and FINGERPRINT in kept else None


def _copy_of(folder: Path) -> Path:
    return folder / "data" / "train.jsonl"
