"""The next start of a server: a process that has imported what takes long, and waits for its turn.

Not covered: what it imports (`llmtl.serving.server.imported_vllm`), when a server is started again
(`llmtl.serving.server.supervisor`).
"""

from collections.abc import Callable

import psutil

from llmtl.serving.server.process import ServerProcess

NEEDED_BYTES = 4 * 2**30
"""Memory that must be free for a spare: it takes about 1 GiB, and an engine that starts has to find room beside it."""


class Spare:
    """At most one process made by `make` that waits; none where memory is short."""

    def __init__(self, make: Callable[[], ServerProcess]) -> None:
        self._make = make
        self._process: ServerProcess | None = None

    def prepare(self) -> None:
        """Start the process, unless there is one."""
        if self._process is None and psutil.virtual_memory().available >= NEEDED_BYTES:
            self._process = self._make()

    def take(self) -> ServerProcess | None:
        """Give the process away; None where there is none, or where it has ended."""
        process, self._process = self._process, None
        if process is not None and process.exit_code() is not None:
            process.stop()
            return None
        return process

    def stop(self) -> None:
        """End the process; returns when it is gone."""
        process = self.take()
        if process is not None:
            process.stop()
