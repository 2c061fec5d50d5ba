"""What serving tells the user while it works: lines that stay, and one status that is replaced.

Not covered: what it announces at the end (`llmtl.serving.announcement`).
"""

import time
from typing import Protocol

from rich.console import Console
from rich.status import Status
from rich.text import Text

REPEAT_SECONDS = 15.0
"""Where the status cannot be replaced (no terminal), the same one is printed this often."""


class Notice(Protocol):
    """What the server's starting and checking tells the user."""

    def say(self, line: str) -> None:
        """Show one line that stays."""

    def status(self, doing: str, so_far: str = "") -> None:
        """Show what is being done and how far it is; replaces the last status."""

    def clear(self) -> None:
        """Take the status away."""


class Quiet:
    """A `Notice` that shows nothing: the default from Python."""

    def say(self, line: str) -> None:
        """Show nothing."""

    def status(self, doing: str, so_far: str = "") -> None:
        """Show nothing."""

    def clear(self) -> None:
        """Do nothing."""


class TerminalNotice:
    """A `Notice` on a terminal, where the status is one moving line; elsewhere plain lines, none too often."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._status: Status | None = None
        self._doing = ""
        self._printed = 0.0

    def say(self, line: str) -> None:
        """Print one line."""
        self._console.print(Text(line), soft_wrap=True)

    def status(self, doing: str, so_far: str = "") -> None:
        """Show what is being done and how far it is."""
        text = Text(f"{doing}: {so_far}" if so_far else doing)
        if self._console.is_terminal:
            self._show(text)
        elif doing != self._doing or time.monotonic() - self._printed > REPEAT_SECONDS:
            self._doing, self._printed = doing, time.monotonic()
            self._console.print(text, soft_wrap=True)

    def clear(self) -> None:
        """Take the moving line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        self._doing = ""

    def _show(self, text: Text) -> None:
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        else:
            self._status.update(text)
