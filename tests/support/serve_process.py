"""`llmtl serve` as a process of its own, its output read as it comes."""

import contextlib
import queue
import re
import signal
import subprocess
import sys
import threading
import time

import psutil

SECONDS = 600.0
FEW_REQUESTS = """
import sys
from llmtl.serving.proof import load
load.REQUESTS = {1: 8, 8: 16, 64: 64}
from llmtl.cli import main
sys.exit(main())
"""
"""The command line, whose load measurement asks 88 times instead of 1,500 times: up to a minute of every start."""


class Serving:
    """A running `llmtl serve` with arguments; `lines` is what it has printed so far."""

    def __init__(self, *arguments, environment=None, cwd=None):
        self.lines = []
        self._coming = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-c", FEW_REQUESTS, "serve", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=cwd,
        )
        self._known = [psutil.Process(self.process.pid)]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._coming.put(line.rstrip("\n"))
        self._coming.put(None)

    def until(self, pattern, seconds=SECONDS):
        """Return the match in the next line that has one; fails when the process ends or takes too long first."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._coming.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no '{pattern}' within {seconds} s:\n" + "\n".join(self.lines)) from None
            assert line is not None, f"it ended before '{pattern}':\n" + "\n".join(self.lines)
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found

    def announced(self):
        """Return the endpoint's URL for `openai` clients once the server is announced."""
        url = self.until(r"is served by .* at (http://\S+)").group(1)
        self.until("Ctrl-C stops it")
        return url

    @property
    def output(self):
        return "\n".join(self.lines)

    def family(self):
        """Return the live processes that it started, and those that they started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._known += psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in set(self._known) if alive(process)]

    def named(self, part):
        """Return its descendants with `part` in their command line."""
        return [process for process in self.family() if part in " ".join(process.cmdline())]

    def finished(self, seconds=SECONDS):
        """Return the exit code; the rest of the output is in `lines`."""
        code = self.process.wait(seconds)
        while (line := self._coming.get(timeout=seconds)) is not None:
            self.lines.append(line)
        return code

    def stop(self, number=signal.SIGTERM):
        """Return the exit code after a signal."""
        self.family()
        self.process.send_signal(number)
        return self.finished()

    def kill(self):
        """End it and everything it started, whatever state it is in."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(30)
        self._reader.join(30)
        self.process.stdout.close()


def alive(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


@contextlib.contextmanager
def serving(*arguments, **options):
    """Return a context in which `llmtl serve` runs; nothing of it is left at the end."""
    server = Serving(*arguments, **options)
    try:
        yield server
    finally:
        server.kill()
