"""Process groups: who is in one, and ending all of it.

vLLM is several processes (API server, engine core, compilers); ending the first must not leave the others behind. Not
covered: processes that leave their group, and systems without POSIX process groups.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import psutil

_POLL_SECONDS = 0.05


def members(group: int) -> list[psutil.Process]:
    """Return the live processes of a group; a zombie is not alive."""
    return [process for process in psutil.process_iter() if _is_live_member(process, group)]


def end_group(group: int, *, grace_seconds: float, spare: int | None = None) -> None:
    """Ask every process of a group to end, and kill those that are left after the grace; `spare` is one to leave alone.

    Returns when none is left, or a few seconds after the kill.
    """
    for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
        for process in _others(group, spare):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        if _gone_within(group, seconds, spare):
            return


def _others(group: int, spare: int | None) -> Iterator[psutil.Process]:
    return (process for process in members(group) if process.pid != spare)


def _gone_within(group: int, seconds: float, spare: int | None) -> bool:
    deadline = time.monotonic() + seconds
    while any(_others(group, spare)):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _is_live_member(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False
