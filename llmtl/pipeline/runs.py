"""Finished runs beside each other: what a folder of runs holds, and whether two of them can be compared.

Not covered: more than two runs at once; runs that were not finished.
"""

from dataclasses import dataclass
from pathlib import Path

from llmtl.decision.comparing import compare_evaluations
from llmtl.errors import LlmtlError, MissingFileError
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.paired import PairedDifference
from llmtl.pipeline.run_folder import Run, load_run
from llmtl.pipeline.run_format import INDEX, RECIPE, read_examples, read_provenance


@dataclass(frozen=True)
class RunLine:
    """One run in a list: what it decided, on which data, when (ISO 8601); `problem` where it cannot be read."""

    folder: str
    verdict: str | None = None
    winner: str | None = None
    metric: str | None = None
    score: float | None = None
    n_test: int | None = None
    data: str | None = None
    finished: str | None = None
    problem: str = ""


@dataclass(frozen=True)
class RunComparison:
    """Two runs side by side: the winners on test, and their paired difference (first - second) where test is the same.

    `same_data`: the runs have the same examples altogether. `difference` is None where test or the metric differs.
    """

    runs: tuple[Run, Run]
    same_data: bool
    same_test: bool
    difference: PairedDifference | None


def list_runs(folder: Path) -> tuple[RunLine, ...]:
    """List the runs in a folder, the newest first; raises `MissingFileError` where there is no such folder."""
    if not folder.is_dir():
        raise MissingFileError(f"There is no folder '{folder}'; make a run with `llmtl run`, or name another folder.")
    found = [_line(path) for path in sorted(folder.iterdir()) if (path / RECIPE).is_file()]
    return tuple(sorted(found, key=lambda line: line.finished or "", reverse=True))


def compare_runs(first: Run, second: Run) -> RunComparison:
    """Compare two runs; the winners on the same test examples by the test that verdicts rest on."""
    test = [[(each.key, each.reference) for each in read_examples(run.folder, "test")] for run in (first, second)]
    same_test = test[0] == test[1]
    difference = None
    one, other = ((run.task.kind, run.task.metric) for run in (first, second))
    if same_test and one == other:
        difference = compare_evaluations(_tested(first), _tested(second), first.task.metric, first.recipe.decision)
    marks = [read_provenance(run.folder).get("data fingerprint (SHA-256)") for run in (first, second)]
    return RunComparison((first, second), marks[0] == marks[1] is not None, same_test, difference)


def _tested(run: Run) -> Evaluation:
    return next(each for each in run.evaluations if (each.strategy, each.split) == (run.decision.winner, "test"))


def _line(folder: Path) -> RunLine:
    if not (folder / INDEX).is_file():
        return RunLine(str(folder), problem="not finished")
    try:
        run = load_run(folder)
        told = read_provenance(folder)
    except LlmtlError as error:
        return RunLine(str(folder), problem=str(error))
    result = next(each for each in run.decision.strategies if each.name == run.decision.winner)
    return RunLine(
        folder=str(folder),
        verdict=run.decision.verdict.value,
        winner=run.decision.winner,
        metric=run.decision.metric,
        score=None if result.test is None else result.test.value,
        n_test=run.decision.n_test,
        data=told.get("data", run.recipe.data.path),
        finished=told.get("finished"),
    )
