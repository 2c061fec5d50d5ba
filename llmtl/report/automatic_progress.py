"""The progress that is shown where nobody asks for another: by where the code runs.

In a notebook it is one display, a bar and the last lines, which folds together when the work is done; on a terminal the
bars of the command line; elsewhere, as in services and logs, a line to stderr every 15 seconds.
Not covered: progress on the command line (`terminal`).
"""

import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from html import escape
from importlib import import_module
from typing import Any, Self

from llmtl.errors import InputError
from llmtl.progress import Advance, Progress, Silent
from llmtl.report import wording
from llmtl.report.terminal import TerminalProgress

SECONDS_BETWEEN_LINES = 15.0
_SECONDS_BETWEEN_DRAWINGS = 0.2


def watched(progress: Progress | bool | None) -> AbstractContextManager[Progress]:
    """Open the progress that was asked for: None for what suits the place, False for none; it closes itself."""
    if progress is False:
        return nullcontext(Silent())
    if not isinstance(progress, bool) and progress is not None:
        if not hasattr(progress, "stage"):
            raise InputError(f"progress is {progress!r:.40}; give True, False, or a llmtl.progress.Progress.")
        return nullcontext(progress)
    if _in_notebook():
        return NotebookProgress()
    if sys.stderr.isatty() and sys.stdout.isatty():
        return TerminalProgress()
    return LineProgress()


def _in_notebook() -> bool:
    """Tell whether a kernel of Jupyter runs this; IPython on a terminal is a terminal."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")


class _Stages:
    """What both have in common: the stage that is going on, its units, and when it began."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._stage, self._done, self._total = "", 0, 0

    @contextmanager
    def stage(self, description: str, total: int) -> Iterator[Advance]:
        """Show a stage of `total` units while the context lasts."""
        outer = self._stage, self._done, self._total
        self._stage, self._done, self._total = description, 0, total

        def advance(units: int) -> None:
            self._done += units
            self._changed()

        self._changed()
        try:
            yield advance
        finally:
            self._stage, self._done, self._total = outer

    def _changed(self) -> None:
        """Show how far it is, if it is time for that."""

    @property
    def _took(self) -> str:
        return wording.duration(time.monotonic() - self._began)

    @property
    def _state(self) -> str:
        return f"{self._stage}: {wording.count(self._done)} of {wording.count(self._total)}" if self._stage else ""


class LineProgress(_Stages):
    """A line every 15 seconds, to stderr; warnings at once. What takes less than that prints nothing else."""

    def __init__(self, seconds: float = SECONDS_BETWEEN_LINES) -> None:
        super().__init__()
        self._seconds, self._said = seconds, ""
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._clock.join()

    def say(self, line: str) -> None:
        """Keep the line for the next time, and print a warning."""
        self._said = line
        if line.startswith("Warning"):
            self._print(line)

    def _tick(self) -> None:
        while not self._over.wait(self._seconds):
            self._print(f"{self._state or self._said or 'working'} ({self._took})")

    def _print(self, line: str) -> None:
        print(f"llmtl: {line}", file=sys.stderr, flush=True)


class NotebookProgress(_Stages):
    """One display in a notebook: a bar with the last line under it, in the end a line to unfold."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []
        self._drawn = 0.0
        self._display: Any = None

    def __enter__(self) -> Self:
        # tqdm, in libraries below, asks for a widget that is not needed: this is the bar
        warnings.filterwarnings("ignore", message="IProgress not found")
        self._draw(over=False)
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self._draw(over=True, failed=failure is not None)

    def say(self, line: str) -> None:
        """Add the line to those that can be unfolded."""
        self._lines.append(line)
        self._draw(over=False)

    def _changed(self) -> None:
        if time.monotonic() - self._drawn > _SECONDS_BETWEEN_DRAWINGS:
            self._draw(over=False)

    def _draw(self, *, over: bool, failed: bool = False) -> None:
        """Show the bar or, when the work is over, what was said, folded."""
        shown = import_module("IPython.display")  # not a dependency: whoever runs a notebook has it
        self._drawn = time.monotonic()
        if over:
            said = "".join(f"<div>{escape(line)}</div>" for line in self._lines)
            ended = "Stopped after" if failed else "Done in"
            page = f"<details><summary>{ended} {self._took}</summary>{said}</details>"
        else:
            bar = f'<progress max="{max(self._total, 1)}" value="{self._done}" style="width:20em"></progress>'
            page = f"<div>{bar} {escape(self._state or 'working')}</div><div>{escape(self._last)}</div>"
        page = f'<div style="font-size:.9em;opacity:.85">{page}</div>'
        if self._display is None:
            self._display = shown.display(shown.HTML(page), display_id=True)
        else:
            self._display.update(shown.HTML(page))

    @property
    def _last(self) -> str:
        return self._lines[-1] if self._lines else ""
