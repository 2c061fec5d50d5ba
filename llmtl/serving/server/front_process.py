"""The front's process: started before the server, told how that is, asked to end before it.

Not covered: what a front does (`llmtl.serving.front`).
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from llmtl.errors import ServingError
from llmtl.serving.front.plan import FrontPlan
from llmtl.serving.front.refusals import Condition

_SPARE_SECONDS = 5.0


class FrontProcess:
    """A front that runs until it is stopped; it ends by itself when llmtl does. Its errors go to the file `log`."""

    def __init__(self, plan: FrontPlan, *, log: Path) -> None:
        self._plan = plan
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._condition = Condition.STARTING

    @property
    def pid(self) -> int | None:
        """Give the id of the running process."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it and return when it listens; raises `ServingError` when it does not."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-P", "-m", "llmtl.serving.front.front_proxy", self._plan.to_json()]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, start_new_session=True
            )
        assert self._process.stdout is not None
        with self._process.stdout as said:
            listens = said.readline()  # nothing where it has ended
        if not listens:
            self.stop()
            raise ServingError(f"Nothing can listen on '{self._plan.host}:{self._plan.port}'; see '{self._log}'.")
        self.tell(self._condition)

    def tell(self, condition: Condition) -> None:
        """Say how the server is."""
        self._condition = condition
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._process.stdin.fileno(), f"{condition.value}\n".encode())

    def keep_up(self) -> None:
        """Start it again if it has ended, which no request of a client should bring about."""
        if self._process is not None and self._process.poll() is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self.start()

    def stop(self) -> None:
        """Let the requests under way finish, within their time, and end it; returns when it is gone."""
        if self._process is None:
            return
        self.tell(Condition.STOPPING)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._plan.limits.drain_seconds + _SPARE_SECONDS)
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
