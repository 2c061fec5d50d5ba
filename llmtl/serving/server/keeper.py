"""`python -m llmtl.serving.server.keeper GRACE_SECONDS COMMAND...`: runs a command and ends it when llmtl is gone.

llmtl holds the other end of the keeper's standard input. However llmtl ends, `kill -9` included, that pipe closes, and
the keeper ends every process of its group. It is the leader of its own group, so llmtl can end all of it too. Not
covered: restarting (`llmtl.serving.server.supervisor`).
"""

import os
import signal
import subprocess
import sys
import threading
import time

from llmtl.serving.server.groups import end_group

SIGNAL_BASE = 128
"""A command killed by signal n is reported as exit code 128 + n, as shells do."""


def main(arguments: list[str]) -> int:
    """Return the command's exit code once it has ended and nothing is left of its group but the keeper."""
    grace_seconds, command = float(arguments[0]), arguments[1:]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # The command alone is asked to end: vLLM's API server then ends its engine in order.
        signal.signal(number, lambda *_: child.terminate())
    threading.Thread(target=_end_with_parent, args=(child, grace_seconds), daemon=True).start()
    code = child.wait()
    end_group(os.getpgrp(), grace_seconds=grace_seconds, spare=os.getpid())
    return code if code >= 0 else SIGNAL_BASE - code


def _end_with_parent(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """Wait for the end of standard input, then end the command and kill what is left after the grace."""
    while os.read(0, 1):  # not sys.stdin: Python would wait for its lock at exit
        pass
    child.terminate()
    time.sleep(grace_seconds)
    end_group(os.getpgrp(), grace_seconds=0.0, spare=os.getpid())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
