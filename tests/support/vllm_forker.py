"""Import vLLM once, then fork its servers: `python -P vllm_forker.py ADDRESS` listens on that Unix socket.

A request is a line of JSON: `argv` (`python ... -m MODULE ARGUMENTS...`, or with `-c CODE`), `environment`, `cwd` and
`log`; the answer is a line with the process id. It ends when the last connection does.

vLLM starts its engine as a new interpreter (multiprocessing's "spawn"), which would import everything again. So every
server has a second process, forked before anything of the server runs; it becomes what the server spawns first.
"""

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import traceback
from multiprocessing import util
from pathlib import Path

MODULES = (
    "vllm.entrypoints.openai.api_server",
    "vllm.v1.engine.core",
    "vllm.v1.executor.uniproc_executor",
    "vllm.v1.worker.cpu_worker",
    "vllm.v1.structured_output.backend_xgrammar",
    "vllm.model_executor.models.llama",
    "vllm.model_executor.models.mistral",
)
SPAWNED = "--multiprocessing-fork"
"""What multiprocessing tells an interpreter that it starts to be a process of its own."""
LONGEST, MOST = 2**20, 64
HIGH = 512
"""Descriptors from the server wait above this number until each takes the one that it has in the server."""


def main(address):
    before = dict(os.environ)
    for module in MODULES:
        with contextlib.suppress(ImportError):  # vLLM for GPUs has no worker for CPUs
            importlib.import_module(module)
    set_by_imports = {key: value for key, value in os.environ.items() if before.get(key) != value}
    assert threading.active_count() == 1  # else a fork could take a lock along that nobody opens
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a server ended
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    open_ones = selectors.DefaultSelector()
    open_ones.register(listening, selectors.EVENT_READ)
    while True:
        for key, _ in open_ones.select():
            if key.fileobj is listening:
                connection, _ = listening.accept()
                open_ones.register(connection.makefile("rwb", buffering=0), selectors.EVENT_READ)
                connection.close()
            elif line := key.fileobj.readline(LONGEST):
                asked = json.loads(line)
                asked["environment"] |= set_by_imports
                if (server := os.fork()) == 0:
                    for each in list(open_ones.get_map().values()):
                        each.fileobj.close()
                    open_ones.close()
                    run(lambda asked=asked: serve(**asked))
                key.fileobj.write(b"%d\n" % server)
            else:
                open_ones.unregister(key.fileobj)
                key.fileobj.close()
                if len(open_ones.get_map()) == 1:
                    Path(address).unlink()
                    return


def run(program):
    """Run a program in a process that was just forked, and end the process as an interpreter does."""
    code = 0
    try:
        program()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 (an interpreter prints whatever it is)
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def serve(argv, environment, cwd, log):
    """Be the server of a command."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    be_in(environment, cwd)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if (second := os.fork()) == 0:
        ours.close()
        run(lambda: be_spawned(theirs))
    theirs.close()
    give_to_first_spawn(second, ours)
    if "-c" in argv:
        run_code(argv[argv.index("-c") + 1 :])
    else:
        sys.argv = argv[argv.index("-m") + 1 :]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def run_code(arguments):
    code, *rest = arguments
    sys.argv = ["-c", *rest]
    exec(code, {"__name__": "__main__"})


def be_in(environment, cwd):
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)


def give_to_first_spawn(second, channel):
    """Have the process `second`, which listens on `channel`, be what is spawned first."""
    spawn = util.spawnv_passfds

    def spawn_first(path, arguments, descriptors):
        if SPAWNED not in arguments:  # the tracker of resources
            return spawn(path, arguments, descriptors)
        util.spawnv_passfds = spawn
        numbers = sorted(map(int, descriptors))
        program = arguments[arguments.index("-c") + 1 :]
        told = {"program": program, "numbers": numbers, "environment": dict(os.environ), "cwd": str(Path.cwd())}
        socket.send_fds(channel, [json.dumps(told).encode()], numbers)
        channel.close()
        return second

    util.spawnv_passfds = spawn_first


def be_spawned(channel):
    """Be the process that a server spawns; end with the server where it spawns none."""
    message, descriptors, _, _ = socket.recv_fds(channel, LONGEST, MOST)
    channel.close()
    if not message:
        return
    told = json.loads(message)
    be_in(told["environment"], told["cwd"])
    waiting = [fcntl.fcntl(each, fcntl.F_DUPFD, HIGH) for each in descriptors]
    for each in descriptors:
        os.close(each)
    for each, number in zip(waiting, told["numbers"], strict=True):
        os.dup2(each, number)
        os.close(each)
    run_code(told["program"])


if __name__ == "__main__":
    main(sys.argv[1])
