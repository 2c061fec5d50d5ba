"""What multiprocessing would start as a new interpreter, done by a process that was there before it.

multiprocessing's "spawn" starts an interpreter, which imports everything again. Here a process that was forked, or
started, while nobody waited is told what that interpreter was to be: its program, environment, working directory and
open files. Not covered: when such processes are made (`llmtl.serving.server.imported_vllm`).
"""

import atexit
import contextlib
import fcntl
import json
import os
import re
import socket
import sys
import traceback
from collections.abc import Callable
from multiprocessing import util
from multiprocessing.spawn import spawn_main
from pathlib import Path
from typing import Any, cast

_SPAWNED = "--multiprocessing-fork"
"""What multiprocessing tells an interpreter that it starts to be a process of its own."""
_NUMBERS = re.compile(r"(tracker_fd|pipe_handle)=(\d+)")
"""The descriptors in the line of Python that such an interpreter runs (`multiprocessing.spawn.get_command_line`)."""
_LONGEST, _MOST = 2**20, 64
_HIGH = 512
"""Descriptors from the parent wait above this number until each takes the one that it has there."""


def channel() -> tuple[socket.socket, socket.socket]:
    """Make the two ends by which a process is told what to be."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def give_first_spawn(spawn: Callable[[dict[str, Any], list[int]], int | None]) -> None:
    """Have `spawn` start the process that multiprocessing starts first; None from it leaves that to multiprocessing."""
    ordinary = util.spawnv_passfds

    def spawn_first(path: Any, arguments: Any, descriptors: Any) -> int:
        if _SPAWNED not in arguments:  # the tracker of resources
            return ordinary(path, arguments, descriptors)
        util.spawnv_passfds = ordinary
        program = arguments[arguments.index("-c") + 1 :]
        numbers = sorted(map(int, descriptors))
        told = {"program": program, "environment": dict(os.environ), "cwd": str(Path.cwd())}
        pid = spawn(told, numbers)
        return ordinary(path, arguments, descriptors) if pid is None else pid

    util.spawnv_passfds = cast("Any", spawn_first)


def hand_over(end: socket.socket, told: dict[str, Any], numbers: list[int], *, pid: int) -> int:
    """Tell the process `pid`, which listens at the other end, what to be."""
    socket.send_fds(end, [json.dumps(told | {"numbers": numbers}).encode()], numbers)
    end.close()
    return pid


def be_spawned(end: socket.socket, *, before: Callable[[], None] = lambda: None) -> None:
    """Be the process that another one starts; nothing where that ends without starting one.

    `before` is called once the environment is the one that was told.
    """
    message, descriptors, _, _ = socket.recv_fds(end, _LONGEST, _MOST)
    end.close()
    if not message:
        return
    told = json.loads(message)
    be_in(told["environment"], told["cwd"])
    before()
    waiting = [fcntl.fcntl(each, fcntl.F_DUPFD, _HIGH) for each in descriptors]
    for each in descriptors:
        os.close(each)
    for each, number in zip(waiting, told["numbers"], strict=True):
        os.dup2(each, number)
        os.close(each)
    code, *rest = told["program"]
    sys.argv = ["-c", *rest]
    spawn_main(**{name: int(value) for name, value in _NUMBERS.findall(code)})


def be_in(environment: dict[str, str], folder: str) -> None:
    """Take an environment and a working directory for one's own."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)


def run_to_the_end(program: Callable[[], None]) -> None:
    """Run a program and end the process as an interpreter does, without returning to who forked it."""
    code = 1
    try:
        program()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        _end(code)


def _end(code: int) -> None:
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
