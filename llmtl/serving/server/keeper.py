"""`python -m llmtl.serving.server.keeper GRACE_SECONDS COMMAND...`: runs a command and ends it when llmtl is gone.

llmtl holds the other end of the keeper's standard input, and what it writes there is passed on to the command. However
llmtl ends, `kill -9` included, that pipe closes, and the keeper ends every process of its group. It is the leader of
its own group, so llmtl can end all of it too: vLLM is several processes (API server, engine core, compilers), and
ending the first must not leave the others behind. Not covered: restarting (`llmtl.serving.server.supervisor`),
processes that leave their group, systems without POSIX process groups.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil

SIGNAL_BASE = 128
"""A command killed by signal n is reported as exit code 128 + n, as shells do."""
_POLL_SECONDS = 0.05


def main(arguments: list[str]) -> int:
    """Run the command until nothing is left of its group but the keeper, and return its exit code."""
    grace_seconds, command = float(arguments[0]), arguments[1:]
    child = subprocess.Popen(command, stdin=subprocess.PIPE)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # The command alone is asked to end: vLLM's API server then ends its engine in order.
        signal.signal(number, lambda *_: child.terminate())
    threading.Thread(target=_end_with_parent, args=(child, grace_seconds), daemon=True).start()
    code = child.wait()
    end_group(os.getpgrp(), grace_seconds=grace_seconds, spare=os.getpid())
    return code if code >= 0 else SIGNAL_BASE - code


def _end_with_parent(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """Pass standard input on; at its end, end the command and kill what is left after the grace."""
    assert child.stdin is not None
    while said := os.read(0, 1):  # not sys.stdin: Python would wait for its lock at exit
        with contextlib.suppress(BrokenPipeError):
            os.write(child.stdin.fileno(), said)
    child.terminate()
    time.sleep(grace_seconds)
    end_group(os.getpgrp(), grace_seconds=0.0, spare=os.getpid())


def members(group: int) -> list[psutil.Process]:
    """List the live processes of a group; a zombie is not alive."""
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
