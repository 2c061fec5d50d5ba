"""`python -m llmtl.serving.server.imported_vllm FOLDER MODULE ARGUMENTS...`: imports vLLM, waits for a line, runs it.

vLLM starts its engine as a new interpreter, and the engine its worker (multiprocessing's "spawn"), which import all of
it again. Here the engine is a process forked before anything of the server runs. The worker has to be an interpreter of
its own, since OpenMP reads the environment that vLLM sets for it when it is loaded: where an earlier start has left
that environment in FOLDER, one with it imports vLLM meanwhile, and becomes the worker if it is asked for the same.

The end of standard input in place of the line ends all of it. Not covered: how a process becomes what another starts
(`llmtl.serving.server.spawned`), when a server is needed (`llmtl.serving.server.spare`); engines on GPUs, and more
workers than one, which vLLM starts as it does.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmtl.serving.server.spawned import be_spawned, channel, give_first_spawn, hand_over, run_to_the_end

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
_READ_ON_LOADING = ("OMP_", "GOMP_", "KMP_", "LD_PRELOAD", "MKL_")


def main(arguments: Sequence[str]) -> None:
    """Be the server of a command, or the worker of one."""
    import_all()
    if arguments[0] == WORKER:
        run_to_the_end(lambda: be_spawned(socket.socket(fileno=int(arguments[1]))))
    folder, module, *rest = arguments
    ours, theirs = channel()
    engine = os.fork()
    if engine == 0:
        ours.close()
        os.close(0)
        os.open(os.devnull, os.O_RDONLY)  # 0, so that what ends llmtl's pipe is the server's alone
        run_to_the_end(lambda: _be_engine(theirs, Path(folder)))
    theirs.close()
    if not os.read(0, 1):
        return
    give_first_spawn(lambda told, numbers: hand_over(ours, told, numbers, pid=engine))
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def import_all() -> None:
    """Import what a server, its engine and its worker need, and let forks share it."""
    for module in MODULES:
        with contextlib.suppress(ImportError):  # of another version of vLLM; it is then imported when it is needed
            importlib.import_module(module)
    with contextlib.suppress(ImportError):
        importlib.import_module("setproctitle").getproctitle()  # finds no title to set once the environment is changed
    gc.collect()
    gc.freeze()


def _be_engine(end: socket.socket, folder: Path) -> None:
    """Be the engine that a server starts; end with the server where it starts none."""
    file = folder / SETTINGS
    known: dict[str, str] | None = json.loads(file.read_text()) if file.is_file() else None
    worker, ours = _started_worker(known) if known is not None else (None, None)

    def spawn_worker(told: dict[str, Any], numbers: list[int]) -> int | None:
        settings = _settings(told["environment"])
        if worker is not None and ours is not None and settings == known:
            return hand_over(ours, told, numbers, pid=worker.pid)
        if ours is not None:
            ours.close()  # which ends it
        file.write_text(json.dumps(settings))
        return None

    be_spawned(end, before=lambda: give_first_spawn(spawn_worker))


def _started_worker(settings: dict[str, str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start an interpreter that OpenMP is told the settings in."""
    ours, theirs = channel()
    rest = {name: value for name, value in os.environ.items() if not name.startswith(_READ_ON_LOADING)}
    command = [sys.executable, "-P", "-m", "llmtl.serving.server.imported_vllm", WORKER, str(theirs.fileno())]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=rest | settings, pass_fds=[theirs.fileno()])
    theirs.close()
    return process, ours


def _settings(environment: dict[str, str]) -> dict[str, str]:
    """Pick the variables that are read when libraries are loaded."""
    return {name: value for name, value in sorted(environment.items()) if name.startswith(_READ_ON_LOADING)}


if __name__ == "__main__":
    main(sys.argv[1:])
