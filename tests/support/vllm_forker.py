"""Import vLLM once, then fork its servers: `python -P vllm_forker.py ADDRESS` listens on that Unix socket.

A request is a line of JSON: `argv` (`python ... -m MODULE ARGUMENTS...`, or with `-c CODE`), `environment`, `cwd` and
`log`; the answer is a line with the process id. It ends when the last connection does.

vLLM starts its engine as a new interpreter (multiprocessing's "spawn"), which would import everything again. So every
server has a second process, forked before anything of the server runs; it becomes what the server spawns first.
"""

import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
from pathlib import Path

from llmtl.serving.server.imported_vllm import import_all
from llmtl.serving.server.spawned import be_in, be_spawned, channel, give_first_spawn, hand_over, run_to_the_end

IN_ONE_PROCESS = "vllm.v1.executor.uniproc_executor"
"""What an engine without a worker of its own needs beside."""
LONGEST = 2**20


def main(address):
    before = dict(os.environ)
    import_all()
    importlib.import_module(IN_ONE_PROCESS)
    set_by_imports = {key: value for key, value in os.environ.items() if before.get(key) != value}
    assert threading.active_count() == 1  # else a fork could take a lock along that nobody opens
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
                    run_to_the_end(lambda asked=asked: serve(**asked))
                key.fileobj.write(b"%d\n" % server)
            else:
                open_ones.unregister(key.fileobj)
                key.fileobj.close()
                if len(open_ones.get_map()) == 1:
                    Path(address).unlink()
                    return


def serve(argv, environment, cwd, log):
    """Be the server of a command."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    be_in(environment, cwd)
    ours, theirs = channel()
    if (second := os.fork()) == 0:
        ours.close()
        run_to_the_end(lambda: be_spawned(theirs))
    theirs.close()
    give_first_spawn(lambda told, numbers: hand_over(ours, told, numbers, pid=second))
    if "-c" in argv:
        code, *rest = argv[argv.index("-c") + 1 :]
        sys.argv = ["-c", *rest]
        exec(code, {"__name__": "__main__"})
    else:
        sys.argv = argv[argv.index("-m") + 1 :]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1])
