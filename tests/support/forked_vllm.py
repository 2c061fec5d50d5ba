"""Servers of vLLM for tests, forked from one process that has imported it, for all workers of a test session.

Importing vLLM takes ten seconds of CPU time, and a server does so twice: itself, and in the process of its engine.
`vllm_forker` does it once. Arguments, environment, working directory and processes are those of the command; that a
command starts them as well is tested in `serving/live/test_serve_vllm`.
"""

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

FORKER = Path(__file__).with_name("vllm_forker.py")
START_SECONDS = 480

_session = {}


@pytest.fixture(scope="session", autouse=True)
def _where_workers_meet(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    _session["folder"] = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    yield
    for each in ("forker", "socket"):
        if each in _session:
            _session[each].close()


class Forked:
    """A process that `fork_vllm` started, used as a `subprocess.Popen` is; it leads a process group of its own."""

    def __init__(self, pid):
        self.pid = pid
        self._process = psutil.Process(pid)

    def poll(self):
        return None if self._process.is_running() else "ended"

    def terminate(self):
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.terminate()

    def kill(self):
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.kill()

    def wait(self, timeout=None):
        try:
            self._process.wait(timeout)
        except psutil.TimeoutExpired:
            raise subprocess.TimeoutExpired("vllm", timeout) from None


def fork_vllm(command, *, environment, cwd, log):
    """Start a command of vLLM, `python ... -m MODULE ARGUMENTS...` or `-c CODE`; what it says goes to `log`."""
    asked = {"argv": list(map(str, command)), "environment": dict(environment), "cwd": str(cwd), "log": str(log)}
    if "forker" not in _session:
        _session["socket"] = _connection(_session["folder"])
        _session["forker"] = _session["socket"].makefile("rwb", buffering=0)
    _session["forker"].write(f"{json.dumps(asked)}\n".encode())
    return Forked(int(_session["forker"].readline()))


def _connection(folder):
    """Connect to the process that forks; whoever comes first starts it."""
    address, log = folder / "vllm-forker", folder / "vllm-forker.log"
    with (folder / "vllm-forker.lock").open("w") as lock, log.open("ab") as output:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if connected := _connected(address):
            return connected
        command = [sys.executable, "-P", str(FORKER), str(address)]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        said = [(os.POSIX_SPAWN_DUP2, output.fileno(), number) for number in (1, 2)]
        forker = os.posix_spawn(sys.executable, command, environment, file_actions=said, setsid=True)  # outlives us
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and os.waitpid(forker, os.WNOHANG) == (0, 0):
            if connected := _connected(address):
                return connected
            time.sleep(0.2)
    raise AssertionError(log.read_text(errors="replace")[-4000:])


def _connected(address):
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(address))
    except OSError:
        connection.close()
        return None
    return connection
