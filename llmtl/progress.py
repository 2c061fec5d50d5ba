"""How long-running work reports progress: the seam between the library and whoever watches.

The terminal implementation lives in `llmtl.report.terminal`; nothing here prints.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Advance = Callable[[int], None]
"""Call it with the number of further units done."""


def unwatched(units: int) -> None:
    """Ignore the progress: the `Advance` of a caller that shows none."""
    del units


def chunks(items: Sequence[Item], size: int, *, advance: Advance) -> Iterator[tuple[int, Sequence[Item]]]:
    """Yield `size` items at a time behind the place of the first; `advance` is told of them afterwards."""
    for first in range(0, len(items), size):
        part = items[first : first + size]
        yield first, part
        advance(len(part))


class Progress(Protocol):
    """What long-running code tells the user."""

    def stage(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Show a bar of `total` units, with the time left, inside the context; its value advances the bar."""

    def say(self, line: str) -> None:
        """Show one line that the user should keep seeing."""


class Silent:
    """A `Progress` that shows nothing: the default in tests, and where progress=False is said."""

    @contextmanager
    def stage(self, description: str, total: int) -> Iterator[Advance]:
        """Yield an `Advance` that does nothing."""
        yield unwatched

    def say(self, line: str) -> None:
        """Show nothing."""
