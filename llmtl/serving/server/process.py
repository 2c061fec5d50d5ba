"""One start of the server process: its group, its log, its end; and llmtl's own end when it is told to stop.

Ctrl-C, SIGTERM and SIGHUP all become one `KeyboardInterrupt`; after `kill -9` the keeper ends the server.

Not covered: when to start it again (`llmtl.serving.server.supervisor`), what its last words mean
(`llmtl.serving.server.diagnosis`).
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from llmtl.serving.server.keeper import end_group
from llmtl.serving.server.server_command import ServerCommand

_TAIL_BYTES = 256 * 1024
_SPARE_SECONDS = 5.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ServerProcess:
    """A started server; both its streams go to the end of the file `log`."""

    def __init__(self, command: ServerCommand, *, log: Path, grace_seconds: float) -> None:
        self._log = log
        self._grace_seconds = grace_seconds
        self.started = time.monotonic()
        keeper = [sys.executable, "-P", "-m", "llmtl.serving.server.keeper", str(grace_seconds), *command.argv]
        with log.open("ab") as output:
            self._begin = output.tell()
            self._process = subprocess.Popen(
                keeper,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | command.environment,
                cwd=command.folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Give the id of the keeper, which is also that of the process group."""
        return self._process.pid

    @property
    def seconds(self) -> float:
        """Count the seconds since the start."""
        return time.monotonic() - self.started

    def begin(self) -> None:
        """Let a command that waits for its turn begin; its time and its part of the log count from now."""
        self.started = time.monotonic()
        with contextlib.suppress(FileNotFoundError):
            self._begin = self._log.stat().st_size
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            os.write(self._process.stdin.fileno(), b"\n")

    def exit_code(self) -> int | None:
        """Give the exit code, None while the server runs, 128 + n when signal n killed it."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def lines(self) -> list[str]:
        """Read the last lines that this start has written to the log."""
        try:
            with self._log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._begin, size - _TAIL_BYTES))
                return file.read().decode("utf-8", errors="replace").splitlines()
        except FileNotFoundError:  # cleaned away, as old files in a temporary folder are
            return []

    def stop(self) -> None:
        """End every process of the group, by force after the grace; returns when they are gone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._grace_seconds + _SPARE_SECONDS)
        end_group(self.pid, grace_seconds=0.0)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SPARE_SECONDS)
        if self._process.stdin:
            self._process.stdin.close()


@contextmanager
def stoppable() -> Iterator[None]:
    """Return a context in which the first of the signals raises `KeyboardInterrupt` and later ones do nothing.

    Stopping takes at most a known time, so that it need not be interrupted. A signal that was ignored before (`nohup`)
    stays ignored. Only for the main thread.
    """
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in _ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
