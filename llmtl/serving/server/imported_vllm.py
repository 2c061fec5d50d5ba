"""`python -m llmtl.serving.server.imported_vllm FOLDER MODULE ARGUMENTS...`: imports vLLM, waits for a line, runs it.

vLLM starts its engine as a new interpreter, and the engine its worker (multiprocessing's "spawn"), which import all of
it again. Here the engine is a process forked before anything of the server runs. The worker has to be an interpreter of
its own, since OpenMP reads the environment that vLLM sets for it when it is loaded: where an earlier start has left
that environment in FOLDER, one with it imports vLLM meanwhile, and becomes the worker if it is asked for the same.

The end of standard input in place of the line ends all of it. Not covered: when a server is needed
(`llmtl.serving.server.spare`); engines on GPUs, and more workers than one, which vLLM starts as it does.
"""

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import re
import runpy
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import util
from multiprocessing.spawn import spawn_main
from pathlib import Path
from typing import Any, cast

MODULES = (
    "vllm.entrypoints.openai.api_server",
    "vllm.v1.engine.core",
    "vllm.v1.executor.multiproc_executor",
    "vllm.v1.worker.cpu_worker",
    "vllm.v1.structured_output.backend_xgrammar",
    "vllm.model_executor.models.llama",
    "vllm.model_executor.models.mistral",
)
WORKER = "--worker"
SETTINGS = "worker-environment.json"
"""The file in FOLDER with what OpenMP was told in the worker of an earlier start."""
_SPAWNED = "--multiprocessing-fork"
"""What multiprocessing tells an interpreter that it starts to be a process of its own."""
_NUMBERS = re.compile(r"(tracker_fd|pipe_handle)=(\d+)")
"""The descriptors in the line of Python that such an interpreter runs (`multiprocessing.spawn.get_command_line`)."""
_READ_ON_LOADING = ("OMP_", "GOMP_", "KMP_", "LD_PRELOAD", "MKL_")
_LONGEST, _MOST = 2**20, 64
_HIGH = 512
"""Descriptors from the parent wait above this number until each takes the one that it has there."""


def main(arguments: Sequence[str]) -> None:
    """Be the server of a command, or the worker of one."""
    _import_all()
    if arguments[0] == WORKER:
        _run(lambda: _be_spawned(socket.socket(fileno=int(arguments[1]))))
    folder, module, *rest = arguments
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    engine = os.fork()
    if engine == 0:
        ours.close()
        os.close(0)
        os.open(os.devnull, os.O_RDONLY)  # 0, so that what ends llmtl's pipe is the server's alone
        _run(lambda: _be_engine(theirs, Path(folder)))
    theirs.close()
    if not os.read(0, 1):
        return
    _give_first_spawn(lambda told, numbers: _hand_over(ours, told, numbers, pid=engine))
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _import_all() -> None:
    """Import what a server, its engine and its worker need, and let forks share it."""
    for module in MODULES:
        with contextlib.suppress(ImportError):  # of another version of vLLM; it is then imported when it is needed
            importlib.import_module(module)
    with contextlib.suppress(ImportError):
        importlib.import_module("setproctitle").getproctitle()  # finds no title to set once the environment is changed
    gc.collect()
    gc.freeze()


def _be_engine(channel: socket.socket, folder: Path) -> None:
    """Be the engine that a server starts; end with the server where it starts none."""
    file = folder / SETTINGS
    known: dict[str, str] | None = json.loads(file.read_text()) if file.is_file() else None
    worker, ours = _started_worker(known) if known is not None else (None, None)

    def spawn_worker(told: dict[str, Any], numbers: list[int]) -> int | None:
        settings = _settings(told["environment"])
        if worker is not None and ours is not None and settings == known:
            return _hand_over(ours, told, numbers, pid=worker.pid)
        if ours is not None:
            ours.close()  # which ends it
        file.write_text(json.dumps(settings))
        return None

    _be_spawned(channel, before=lambda: _give_first_spawn(spawn_worker))


def _started_worker(settings: dict[str, str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start an interpreter that OpenMP is told the settings in."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    rest = {name: value for name, value in os.environ.items() if not name.startswith(_READ_ON_LOADING)}
    command = [sys.executable, "-P", "-m", "llmtl.serving.server.imported_vllm", WORKER, str(theirs.fileno())]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=rest | settings, pass_fds=[theirs.fileno()])
    theirs.close()
    return process, ours


def _settings(environment: dict[str, str]) -> dict[str, str]:
    """Pick the variables that are read when libraries are loaded."""
    return {name: value for name, value in sorted(environment.items()) if name.startswith(_READ_ON_LOADING)}


def _give_first_spawn(spawn: Callable[[dict[str, Any], list[int]], int | None]) -> None:
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


def _hand_over(channel: socket.socket, told: dict[str, Any], numbers: list[int], *, pid: int) -> int:
    """Tell the process `pid`, which listens on `channel`, what to be."""
    socket.send_fds(channel, [json.dumps(told | {"numbers": numbers}).encode()], numbers)
    channel.close()
    return pid


def _be_spawned(channel: socket.socket, *, before: Callable[[], None] = lambda: None) -> None:
    """Be the process that another one starts; nothing where that ends without starting one."""
    message, descriptors, _, _ = socket.recv_fds(channel, _LONGEST, _MOST)
    channel.close()
    if not message:
        return
    told = json.loads(message)
    os.environ.clear()
    os.environ.update(told["environment"])
    os.chdir(told["cwd"])
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


def _run(program: Callable[[], None]) -> None:
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


if __name__ == "__main__":
    main(sys.argv[1:])
