"""How long work reports its progress: a seam between the library and whoever watches.

The terminal implementation lives in `llmtl.report.terminal`; nothing here prints.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]
"""Call it with the number of further units done."""


def unwatched(units: int) -> None:
    """Ignore the progress: the `Advance` of a caller that shows none."""
    del units


class Progress(Protocol):
    """What long-running code tells the user."""

    def stage(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Return a context whose value advances a bar of `total` units with time left."""

    def say(self, line: str) -> None:
        """Show one line that the user should keep seeing."""


class Silent:
    """A `Progress` that shows nothing: the default from Python and in tests."""

    @contextmanager
    def stage(self, description: str, total: int) -> Iterator[Advance]:
        """Return a context whose value does nothing."""
        yield unwatched

    def say(self, line: str) -> None:
        """Show nothing."""
