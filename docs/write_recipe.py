"""Write what a run of a recipe measured into the recipe's README, and into its row of the table in README.md.

    python docs/write_recipe.py runs/tickets
    python docs/write_recipe.py runs/tickets --busy     # the machine did other work as well: says so of the seconds

The recipe is the folder in `recipes/` that is called as the run's recipe is. Everything between the marks
`<!-- measured -->` and `<!-- /measured -->` is replaced, and in the table the last column of the row. Not covered:
remarks of your own on the figures, which belong behind the marks.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from textwrap import fill

import llmtl
from llmtl.decision.outcome import Decision, StrategyResult
from llmtl.report.metric_words import NAMES

ROOT = Path(__file__).resolve().parents[1]
DASH = "\u2013"
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->"
WIDTH = 120
VERDICTS = {"tie": ", take `{}`", "inconclusive": ", `{}` until more is known"}


def _score(value: float, ends: Sequence[float]) -> str:
    return f"{value:.3f} ({ends[0]:.2f}{DASH}{ends[1]:.2f})"


def _milliseconds(value: float | None) -> str:
    if value is None:
        return DASH
    return "<0.1 ms" if value < 0.05 else f"{value:.1f} ms" if value < 9.95 else f"{value:,.0f} ms"


def _seconds(value: float | None) -> str:
    if value is None:
        return DASH
    if value < 9.95:
        return "<0.1 s" if value < 0.05 else f"{value:.1f} s"
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.1f} min"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _row(item: StrategyResult, winner: str, most: int) -> str:
    """Write one strategy's row; `most` is how many dev examples those saw that stayed in the race."""
    name = f"**`{item.name}`**" if item.name == winner else f"`{item.name}`"
    test = DASH
    if item.test is not None:
        mean = f", mean of {item.test.seeds}" if item.test.seeds > 1 else ""
        failed = f", {item.test.failed} failed" if item.test.failed else ""
        test = _score(item.test.value, item.test.ci95) + mean + failed
    dev = f"{item.dev.value:.3f}" + (f" on {item.dev.n}" if item.dev.n < most else "")
    cut = ", cut" if item.cuts else ""
    return f"| {name} | {test} | {dev} | {_milliseconds(item.p95_ms)} | {_seconds(item.train_seconds)}{cut} |"


def _table(decision: Decision) -> str:
    """Write all strategies, the best on test first."""
    most = max(item.dev.n for item in decision.strategies)
    ordered = sorted(decision.strategies, key=lambda item: -1 if item.test is None else item.test.value, reverse=True)
    metric = NAMES.get(decision.metric, decision.metric.replace("_", " "))
    head = f"| strategy | test {metric}, 95% interval | dev | p95 | training |\n|---|---|---|---|---|"
    return "\n".join([head, *(_row(item, decision.winner, most) for item in ordered)])


def _found(run: llmtl.Run) -> str:
    """Say how many answers of the winner are exactly right, and of each label where there is one per text."""
    if not run.task.labels:
        return ""
    frame = run.predictions().to_pandas()
    references, answers = list(frame["reference"]), list(frame["prediction"])
    right = [reference for reference, answer in zip(references, answers, strict=True) if reference == answer]
    winner = next(item.test for item in run.decision.strategies if item.name == run.decision.winner)
    first = ", in the first draw" if winner.seeds > 1 else ""
    line = f"Answers of `{run.decision.winner}` that are right in full{first}: {len(right)} of {len(references)}"
    if not all(isinstance(reference, str) for reference in references):
        return f"{line}."
    hits, all_of = Counter(right), Counter(references)
    return f"{line}; " + ", ".join(f"`{each}` {hits[each]} of {all_of[each]}" for each in run.task.labels) + "."


def _notes(decision: Decision) -> str:
    """Explain what stands in the table."""
    most = max(item.dev.n for item in decision.strategies)
    said = []
    if any(item.cuts for item in decision.strategies):
        said.append("In the last column, cut means that the time limit stopped the fit.")
    if any(item.test is None for item in decision.strategies):
        said.append(
            f"Strategies that left the race on dev saw only as many of the {most} dev examples as the table says; "
            "those without a test score were in no comparison."
        )
    if any(item.test is not None and item.test.draw_sd for item in decision.strategies):
        said.append(
            "Intervals of strategies that were drawn once and would answer otherwise in another draw are widened by "
            "the spread stated for such draws."
        )
    return " ".join(said)


def _cost(run: llmtl.Run) -> str:
    """Say what a month costs, where that is the same for all."""
    if any(item.usd_per_month is None for item in run.decision.strategies):
        return ""
    month = {(item.machines, round(item.usd_per_month or 0, 2)) for item in run.decision.strategies}
    at = f"At {run.recipe.prices.requests_per_month:,.0f} requests a month"
    if len(month) == 1:
        machines, usd = month.pop()
        which = "one CPU machine" if machines == 1 else f"{machines} CPU machines"
        return (
            f"{at} each strategy takes {which}, {usd:.0f} USD a month at the default price: cost decides nothing here."
        )
    dearest = max(run.decision.strategies, key=lambda item: item.usd_per_month or 0)
    winner = next(item for item in run.decision.strategies if item.name == run.decision.winner)
    return (
        f"{at} `{winner.name}` takes {winner.usd_per_month or 0:,.0f} USD a month and `{dearest.name}`, the dearest, "
        f"{dearest.usd_per_month or 0:,.0f} at the default price."
    )


def section(folder: Path, *, busy: bool) -> str:
    """Write the part of the recipe's README that a run fills in."""
    run = llmtl.load_run(folder)
    decision = run.decision
    told = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    started, finished = (datetime.fromisoformat(told[name]) for name in ("started", "finished"))
    models = " and ".join(f"`{told[name]}`" for name in ("model", "encoder") if name in told)
    n = max(item.test.n for item in run.decision.strategies if item.test)
    why = run.summary.reason
    why = why if why.startswith(decision.winner) else why[0].upper() + why[1:]
    device = told["device"].removeprefix("CPU, ").replace(" cores", " CPU cores")
    but = ", but for fits that were cut" if any(item.cuts for item in decision.strategies) else ""
    load = "beside other work, so that seconds say little" if busy else "all else idle"
    measured = (
        f"Measured {finished.date()} with {models} on {device} in {_clock((finished - started).total_seconds())} for "
        f"the whole run, {load}; seed {told['seed']}; test opened once, {n} examples. Scores repeat on the same "
        f"machine{but}; seconds do not. {_cost(run)}".rstrip()
    )
    words = [_found(run), _notes(decision), measured]
    rest = "\n\n".join(fill(text, WIDTH, break_long_words=False, break_on_hyphens=False) for text in words if text)
    return f"Verdict **{decision.verdict}**, `{decision.winner}`. {why}\n\n{_table(decision)}\n\n{rest}\n"


def verdict_cell(run: llmtl.Run) -> str:
    """Write the last column of the tables of recipes: the verdict, the winner's score and those of its best rivals."""
    decision = run.decision
    results = {item.name: item for item in decision.strategies if item.test is not None}
    winner = results[decision.winner].test
    metric = NAMES.get(decision.metric, "")
    call = VERDICTS.get(decision.verdict, ", `{}`").format(decision.winner)
    told = f"**{decision.verdict}**{call}: {metric}{' ' if metric else ''}{_score(winner.value, winner.ci95)}"
    rivals = sorted((name for name in results if name != decision.winner), key=lambda name: -results[name].test.value)
    baselines = [name for name in rivals if results[name].role.value == "baseline"]
    tied = [name for name in rivals if name == decision.cheapest_tied]
    shown = dict.fromkeys([*tied, *rivals[:1], *baselines[:1]])
    others = [f"`{name}` {_score(results[name].test.value, results[name].test.ci95)}" for name in shown]
    return f"{told} on {winner.n} test examples" + (f"; {', '.join(others)}" if others else "")


def with_row(text: str, name: str, cell: str) -> str:
    """Replace the last column of the recipe's row in README.md."""
    row = re.compile(rf"^(\| \[`{re.escape(name)}`\]\([^)]*\) \| [^|]* \| )[^|]*( \|)$", re.MULTILINE)
    if not row.search(text):
        raise SystemExit(f"README.md has no row of the recipe '{name}'; add one with what it asks, and run this again.")
    return row.sub(lambda found: f"{found[1]}{cell}{found[2]}", text)


def with_section(text: str, filled: str) -> str:
    """Replace what stands between the marks in a recipe's README."""
    if BEGIN not in text or END not in text:
        raise SystemExit(f"The recipe's README has no marks {BEGIN.strip()} and {END}; add them, and run this again.")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return f"{before}{BEGIN}{filled}{END}{after}"


def main() -> int:
    """Write both files; return the exit code."""
    parser = argparse.ArgumentParser(description="Write what a run of a recipe measured into the READMEs.")
    parser.add_argument("run", type=Path, help="the run folder")
    parser.add_argument("--busy", action="store_true", help="the machine did other work as well")
    chosen = parser.parse_args()
    run = llmtl.load_run(chosen.run)
    pages = ROOT / "recipes" / run.recipe.name / "README.md", ROOT / "README.md"
    own, front = (page.read_text(encoding="utf-8") for page in pages)
    filled = (
        with_section(own, section(chosen.run, busy=chosen.busy)),
        with_row(front, run.recipe.name, verdict_cell(run)),
    )
    for page, text in zip(pages, filled, strict=True):
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
