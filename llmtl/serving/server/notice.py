"""What serving tells the user while it works: lines that stay, and one status that is replaced.

Not covered: what it announces at the end (`llmtl.serving.announcement`).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock, Thread
from typing import Protocol

from rich.console import Console
from rich.status import Status
from rich.text import Text

from llmtl.progress import Advance
from llmtl.report import wording
from llmtl.visible import visible

REPEAT_SECONDS = 4.0
"""Where the status cannot be replaced (no terminal), it is printed again after this long without a line: before the
5 seconds that nobody should have to wait for a sign of life."""
_BEAT_SECONDS = 0.5


class Notice(Protocol):
    """What the server's starting and checking tells the user."""

    def say(self, line: str) -> None:
        """Show one line that stays."""

    def status(self, doing: str, so_far: str = "") -> None:
        """Show what is being done and how far it is; replaces the last status."""

    def clear(self) -> None:
        """Take the status away."""


class TerminalNotice:
    """A `Notice` on a terminal, where the status is one moving line; elsewhere plain lines.

    While there is a status it goes on saying so by itself, with the seconds that passed, however long the work takes
    to come back.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._lock = RLock()
        self._status: Status | None = None
        self._doing = self._so_far = ""
        self._begun = self._printed = 0.0
        self._ticker: Thread | None = None

    def say(self, line: str) -> None:
        """Print one line."""
        with self._lock:
            self._print(Text(visible(line)))

    def status(self, doing: str, so_far: str = "") -> None:
        """Show what is being done and how far it is."""
        with self._lock:
            new = doing != self._doing
            if new:
                self._begun = time.monotonic()
            self._doing, self._so_far = doing, so_far
            if new or self._console.is_terminal:
                self._show()
            if self._ticker is None:
                self._ticker = Thread(target=self._beat, name="llmtl-notice", daemon=True)
                self._ticker.start()

    def clear(self) -> None:
        """Take the moving line away."""
        with self._lock:
            if self._status is not None:
                self._status.stop()
                self._status = None
            self._doing = ""

    def _beat(self) -> None:
        """Show the status again and again until there is none."""
        while True:
            time.sleep(_BEAT_SECONDS)
            with self._lock:
                if not self._doing:
                    self._ticker = None
                    return
                if self._console.is_terminal or time.monotonic() - self._printed >= REPEAT_SECONDS:
                    self._show()

    def _show(self) -> None:
        passed = time.monotonic() - self._begun
        so_far = self._so_far or (wording.duration(passed) if passed >= 1 else "")
        text = Text(f"{self._doing}: {so_far}" if so_far else self._doing)
        if not self._console.is_terminal:
            self._print(text)
        elif self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        else:
            self._status.update(text)

    def _print(self, text: Text) -> None:
        self._printed = time.monotonic()
        self._console.print(text, soft_wrap=True)


class NoticeProgress:
    """An `llmtl.progress.Progress` that tells a `Notice`: for work that serving has to wait for."""

    def __init__(self, notice: Notice) -> None:
        self._notice = notice

    @contextmanager
    def stage(self, description: str, total: int) -> Iterator[Advance]:
        """Return a context whose value counts units in the status; its end leaves one line with the time taken."""
        started, done = time.monotonic(), 0

        def advance(units: int) -> None:
            nonlocal done
            done += units
            self._notice.status(description, f"{wording.count(done)} of {wording.count(total)}")

        advance(0)
        yield advance
        took = wording.duration(time.monotonic() - started)
        self._notice.say(f"{description}: {wording.count(done)} in {took}")

    def say(self, line: str) -> None:
        """Show one line that stays."""
        self._notice.say(line)
