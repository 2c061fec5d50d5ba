"""The report in the terminal: progress while a run goes on, the verdict at its end.

Texts are never taken for rich markup. Not covered: charts.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from llmtl.decision.outcome import Decision, StrategyResult, Verdict
from llmtl.findings import CASCADE_JOINT
from llmtl.kinds.kind import Kind
from llmtl.progress import Advance
from llmtl.report import care_words, cost_words, wording
from llmtl.report.brief import brief_of
from llmtl.report.sentences import Summary
from llmtl.strategy import Role
from llmtl.visible import visible

_SPEED_WINDOW_SECONDS = 300.0
_WIDE = 110  # narrower terminals have no room for titles beside all figures
_MARKS = {"*": "winner", "-": "left the race on dev", "x": "not eligible"}
_STYLES = {Verdict.ADOPT: "blue", Verdict.TIE: "cyan", Verdict.BASELINE: "white", Verdict.INCONCLUSIVE: "yellow"}


class TerminalProgress:
    """An `llmtl.progress.Progress`: bars with time left on a terminal, plain lines at start and end elsewhere.

    Usable as it is, or as a context that takes the bars away when an error ends the work.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._open = 0
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left", style="dim"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            speed_estimate_period=_SPEED_WINDOW_SECONDS,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    @contextmanager
    def stage(self, description: str, total: int) -> Iterator[Advance]:
        """Return a context whose value advances a bar of `total` units; its end leaves one line with the time taken."""
        started, done, complete = time.monotonic(), 0, False
        task = self._begin(description, total)

        def advance(units: int) -> None:
            nonlocal done
            done += units
            if task is not None:
                self._bars.advance(task, units)

        try:
            yield advance
            complete = True
        finally:
            self._end(task)
            took = wording.duration(time.monotonic() - started)
            state = f"{wording.count(done)} in {took}" if complete else f"stopped at {done} of {total} after {took}"
            self._line(f"{description}: {state}", style="dim")

    def say(self, line: str) -> None:
        """Print one line, above the bars if any are shown."""
        self._line(line)

    def _begin(self, description: str, total: int) -> TaskID | None:
        if not self._console.is_terminal:
            self._line(f"{description}: {wording.count(total)} to do")
            return None
        self._open += 1
        self._bars.start()
        return self._bars.add_task(description, total=total)

    def _end(self, task: TaskID | None) -> None:
        if task is None:
            return
        self._open -= 1
        self._bars.remove_task(task)
        if self._open == 0:
            self._bars.stop()

    def _line(self, line: str, style: str = "") -> None:
        self._console.print(Text(visible(line), style=style), soft_wrap=True)


def print_verdict(
    decision: Decision,
    summary: Summary,
    *,
    console: Console,
    notes: Sequence[str] = (),
    codes: Mapping[str, str] | None = None,
    kind: Kind | None = None,
) -> None:
    """Print the verdict, its reasons and one line per strategy.

    `notes` come under the table: what more labels would bring, and whether doubtful labels decided. `codes` and `kind`
    are as for `llmtl.report.headline`. Where there are `codes` there is a report, which has the further reasons.
    """
    brief = brief_of(decision, summary, codes, kind=kind)
    parts = [Text(brief.headline, style=f"bold {_STYLES[decision.verdict]}"), Text(" ".join(brief.sentences))]
    if decision.target is not None:
        stated = f"Target {wording.target(decision.target)}: {wording.target_state(decision)}."
        parts.append(Text(stated, style="dim"))
    title = Text(f"Verdict for {decision.task}")
    console.print(Panel(Group(*parts), title=title, title_align="left", border_style=_STYLES[decision.verdict]))
    console.print(_strategies(decision, codes or {}, short=bool(codes) and console.width < _WIDE))
    for note in notes:
        console.print(_bullet(note))
    for heading, lines in (
        ("Why", brief.reasons if codes else (summary.below_verdict, *summary.reasons)),
        ("What would change it", summary.would_change),
        ("Read with care", care_words.in_terminal(summary.warnings)),
    ):
        if lines:
            console.print(Text(heading, style="bold"))
            for line in lines:
                console.print(Padding(_bullet(line), (0, 0, 0, 2)))


def _bullet(line: str) -> Table:
    """Return a line whose continuation is indented under its text."""
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text("•"), Text(line))
    return grid


def _strategies(decision: Decision, codes: Mapping[str, str], *, short: bool) -> Table:
    """Return a row per strategy; `short` leaves out dev and training, so that titles have room."""
    metric = wording.capital(wording.metric_name(decision.metric))
    marks = {result.name: _mark(result, decision) for result in decision.strategies}
    legend = "".join(f", {mark} {said}" for mark, said in _MARKS.items() if mark in marks.values())
    legend += ", cut: stopped by its time limit" if any(result.cuts for result in decision.strategies) else ""
    month = cost_words.by_month(decision.strategies)
    caption = f"{metric}, 95% interval; USD {cost_words.unit(month)}; {legend.removeprefix(', ')}"
    table = Table(box=box.SIMPLE, caption=caption, caption_justify="left", pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("Strategy", no_wrap=not codes)
    headings = ("Test", "Dev", "USD", "p95", "Training")
    kept = [number for number, heading in enumerate(headings) if not short or heading not in ("Dev", "Training")]
    for number in kept:
        table.add_column(headings[number], justify="right", no_wrap=True)
    for result in sorted(decision.strategies, key=lambda each: _rank(each, decision.winner), reverse=True):
        style = "bold" if result.name == decision.winner else "" if result.eligible else "dim"
        name, *figures = _cells(result, month=month)
        code = f"\n{codes[result.name]}" if codes.get(result.name, result.name) != result.name else ""
        named = Text.assemble(name, (f"{code}{', cut' if short and result.cuts else ''}", "dim"))
        table.add_row(Text(marks[result.name]), named, *(Text(figures[number]) for number in kept), style=style)
    return table


def _rank(result: StrategyResult, winner: str) -> tuple[bool, float, bool]:
    score = result.test.value if result.test else result.dev.value
    return result.test is not None, score, result.name == winner


def _mark(result: StrategyResult, decision: Decision) -> str:
    if result.name == decision.winner:
        return "*"
    if any(drop.strategy == result.name for drop in decision.choice.dropped):
        return "-"
    return "" if result.eligible else "x"


def _cells(result: StrategyResult, *, month: bool) -> list[str]:
    test = (
        f"{wording.score(result.test.value)} {wording.interval(*result.test.ci95)}" if result.test else wording.NOTHING
    )
    # in two lines a cascade's name leaves room for the figures
    name = result.name.replace(CASCADE_JOINT, f"{CASCADE_JOINT}\n") if result.role is Role.CASCADE else result.name
    return [
        name,
        test,
        wording.score(result.dev.value),
        cost_words.said(result, month=month),
        wording.milliseconds(result.p95_ms),
        wording.training_time(result.train_seconds) + (", cut" if result.cuts else ""),
    ]
