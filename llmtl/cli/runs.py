"""`llmtl runs`, `llmtl compare` and `llmtl report`: what finished runs say.

Not covered: making them (`llmtl.cli.run`).
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from llmtl.cli.command import Command
from llmtl.cli.volume import add_json
from llmtl.numerals import plural

if TYPE_CHECKING:
    from llmtl.pipeline.runs import RunComparison

NOT_MEASURED = "-"


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", default="runs", metavar="DIR", help="the folder of runs (default: runs)")
    other = parser.add_mutually_exclusive_group()
    add_json(other, "the list")
    other.add_argument("--verify", action="store_true", help="hash every file; exit code 1 where one is damaged")
    other.add_argument("--clean", action="store_true", help="show what killed commands left; ask, then delete it")
    parser.add_argument("--yes", action="store_true", help="with --clean: delete without asking")


def _verify(folder: Path) -> int:
    from llmtl.pipeline.clean_runs import damaged_files
    from llmtl.seals import SEAL, cure
    from llmtl.visible import visible

    bad = False
    for run, paths, problem in damaged_files(folder):
        sound = "as it was written" if (run / SEAL).is_file() else "not sealed"
        print(visible(f"{run}: {problem or ('damaged' if paths else sound)}"))
        for path in paths:
            print(visible(f"  '{path}' is not what was written. {cure(path)}"))
        bad |= bool(paths or problem)
    return 1 if bad else 0


def _clean(folder: Path, *, ask: bool) -> int:
    from llmtl.errors import InputError
    from llmtl.pipeline.clean_runs import delete, left_overs
    from llmtl.visible import visible

    found = left_overs(folder)
    if not found:
        print(f"Nothing was left in '{folder}'.")
        return 0
    for each in found:
        print(f"{visible(str(each.path))} ({each.what}, {each.size / 2**20:,.1f} MiB)")
    whole = f"{plural(len(found), 'left-over')}, {sum(each.size for each in found) / 2**20:,.1f} MiB"
    if ask:
        try:
            answer = input(f"Delete {whole}? [y/N] ")
        except EOFError:
            raise InputError("Nobody is there to ask, and nothing was deleted; add --yes.") from None
        if answer.strip().lower() not in ("y", "yes"):
            print("Nothing was deleted.")
            return 0
    delete(found)
    print(f"Deleted {whole}.")
    return 0


def _list(options: argparse.Namespace) -> int:
    if options.verify:
        return _verify(Path(options.folder))
    if options.clean:
        return _clean(Path(options.folder), ask=not options.yes)
    from dataclasses import asdict

    from llmtl.pipeline.runs import list_runs

    found = list_runs(Path(options.folder))
    if options.json:
        print(json.dumps([asdict(line) for line in found], indent=2, ensure_ascii=False))
        return 0
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from llmtl.errors import InputError
    from llmtl.report import wording
    from llmtl.seals import STEPS
    from llmtl.visible import visible

    if not found:
        if (Path(options.folder) / STEPS).is_dir():
            raise InputError(f"'{options.folder}' is a run itself; name the folder that holds it.")
        print(f"'{options.folder}' holds no run; make one with `llmtl run`.")
        return 0
    table = Table("run", "verdict", "winner", "score", "data", "finished", box=box.SIMPLE, pad_edge=False)
    for index in (0, 2, 5):
        table.columns[index].no_wrap = True
    for line in found:
        score = f"{wording.score(line.score)} {line.metric}" if line.score is not None else NOT_MEASURED
        when = line.finished[:10] if line.finished else NOT_MEASURED
        said = [line.verdict or line.problem, line.winner or NOT_MEASURED, score, line.data or NOT_MEASURED, when]
        table.add_row(*(Text(visible(each)) for each in (Path(line.folder).name, *said)))
    Console().print(table)
    return 0


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", metavar="RUN", help="a run folder")
    parser.add_argument("second", metavar="RUN", help="another one")
    add_json(parser, "the comparison")


def _compare(options: argparse.Namespace) -> int:
    from llmtl.pipeline import load_run
    from llmtl.pipeline.runs import compare_runs

    found = compare_runs(load_run(options.first), load_run(options.second))
    if options.json:
        print(json.dumps(_as_json(found), indent=2, ensure_ascii=False))
        return 0
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from llmtl.report import wording

    console = Console()
    first, second = found.runs
    table = Table("", str(first.folder), str(second.folder), box=box.SIMPLE, pad_edge=False)
    table.add_row("verdict", *(run.decision.verdict.value for run in found.runs))
    table.add_row("winner", *(run.decision.winner for run in found.runs))
    names = dict.fromkeys(each.name for run in found.runs for each in run.decision.strategies)
    for name in names:
        tests = [next((each.test for each in run.decision.strategies if each.name == name), None) for run in found.runs]
        if any(tests):
            table.add_row(name, *(wording.score(test.value) if test else NOT_MEASURED for test in tests))
    console.print(table)
    console.print(_sentence(found), soft_wrap=True, markup=False, highlight=False)
    return 0


def _sentence(found: "RunComparison") -> str:
    """Say whether the runs are of the same data, and how their winners differ."""
    from llmtl.report import wording

    first, second = found.runs
    data = "The runs have the same data" if found.same_data else "The runs do not have the same data"
    difference = found.difference
    if difference is None:
        why = "test examples" if not found.same_test else "metrics"
        return f"{data}, and other {why}: their scores cannot be compared."
    winners = f"{first.decision.winner} of {first.folder} against {second.decision.winner} of {second.folder}"
    ends = f"{wording.difference(difference.low)} to {wording.difference(difference.high)}"
    return (
        f"{data}. On the same {difference.n} test examples, {winners}: {wording.difference(difference.difference)} "
        f"{first.decision.metric} (95% interval {ends}, p = {wording.p_value(difference.p)}, {difference.method}). "
        "Whoever looks at several runs on the same test examples and takes the best has chosen on test."
    )


def _as_json(found: "RunComparison") -> dict[str, object]:
    difference = found.difference
    return {
        "same_data": found.same_data,
        "same_test": found.same_test,
        "runs": [
            {
                "folder": str(run.folder),
                "verdict": run.decision.verdict.value,
                "winner": run.decision.winner,
                "metric": run.decision.metric,
                "scores": {each.name: each.test.value for each in run.decision.strategies if each.test},
            }
            for run in found.runs
        ],
        "difference": difference
        and {
            "value": difference.difference,
            "ci95": [difference.low, difference.high],
            "p": difference.p,
            "n": difference.n,
            "method": difference.method,
        },
    }


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--open", action="store_true", help="open it in a browser")
    add_json(parser, "where it is")


def _report(options: argparse.Namespace) -> int:
    from llmtl.pipeline import load_run
    from llmtl.pipeline.report import refresh_report

    run = load_run(options.run)
    refresh_report(run.folder)
    if options.json:
        print(json.dumps({"run": str(run.folder), "report": str(run.report)}, ensure_ascii=False))
    else:
        print(f"Report: {run.report}")
    if options.open:
        import webbrowser

        webbrowser.open(run.report.resolve().as_uri())
    return 0


RUNS = Command(
    "runs",
    "list finished runs: verdict, winner, score, data, date",
    _list,
    _add_list,
    examples=(
        "llmtl runs",
        "llmtl runs --json | jq -r '.[].folder'",
        "llmtl runs --verify",
        "llmtl runs --clean",
    ),
)
COMPARE = Command(
    "compare",
    "compare two runs: verdicts, scores, and the paired difference of their winners",
    _compare,
    _add_compare,
    description="Compare two runs: verdicts and scores beside each other and, where they have the same test examples, "
    "the paired difference of their winners.",
    examples=("llmtl compare runs/tickets runs/tickets-mistral",),
)
REPORT = Command(
    "report",
    "write a run's report again, as this version of llmtl writes it",
    _report,
    _add_report,
    examples=("llmtl report runs/tickets --open",),
)
