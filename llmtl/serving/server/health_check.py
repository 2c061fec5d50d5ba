"""Whether a running server is well, busy or dead: what it says at `/health`, and whether its processes work.

A server that answers nothing for a while may be hung, or have more to do than its machine can. So one that does not
answer counts as hung only where its processes use no processor either. Not covered: a server that has ended, whose
exit code says so.
"""

import contextlib
import time
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus

import psutil

from llmtl.serving.server.keeper import members
from llmtl.serving.server.options import RestartPolicy

_WORKING_SHARE = 0.05
"""Of one processor, since the check before: idle servers, which look around now and then, use a tenth of that."""
_WORKING = (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP)
"""States in which a process wants a processor, or its memory back from the disk."""


class ServerHealth(Enum):
    """What a check found."""

    WELL = "well"
    BUSY = "busy"
    HUNG = "hung"
    DEAD = "dead"


class HealthCheck:
    """The checks of one start of a server; `ask` gives the status of `/health`, None without an answer in time."""

    def __init__(self, ask: Callable[[], int | None], policy: RestartPolicy) -> None:
        self._ask = ask
        self._policy = policy
        self.failures = 0
        self._since = self._checked = 0.0
        self._used = 0.0

    def check(self, group: int) -> ServerHealth:
        """Check once; `group` is the server's process group.

        503 is how vLLM says that its engine is dead, which it does not recover from.
        """
        status = self._ask()
        if status == HTTPStatus.OK:
            self.failures = 0
            return ServerHealth.WELL
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return ServerHealth.DEAD
        self.failures += 1
        now = time.monotonic()
        used, wants = _work(group)
        if self.failures == 1:
            self._since = now
        worked = self.failures > 1 and used - self._used > _WORKING_SHARE * (now - self._checked)
        self._used, self._checked = used, now
        if self.failures < self._policy.unhealthy_after:
            return ServerHealth.WELL
        if (worked or wants) and now - self._since < self._policy.busy_seconds:
            return ServerHealth.BUSY
        return ServerHealth.HUNG


def _work(group: int) -> tuple[float, bool]:
    """Return the processor seconds that a group has used, and whether one of it wants to go on."""
    used, wants = 0.0, False
    for process in members(group):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            used += times.user + times.system
            wants |= process.status() in _WORKING
    return used, wants
