"""A real HTTP server process that misbehaves on request: stands in for vLLM where only its process matters.

    python tiny_server.py PORT [--say TEXT] [--exit CODE] [--delay SECONDS] [--helper] [--stubborn] [--count FILE]

It answers 200 on every path. `GET /die?CODE` ends it, `GET /hang` makes it stop answering. `--helper` starts a child
that ignores SIGTERM, as `--stubborn` does itself. `--count` adds a line to a file at every start; `--survive N` lets
only the first N starts live. `--wait` waits for a line before it serves.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HANGING = threading.Event()
IGNORE_TERM = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/die"):
            print("ValueError: told to die", file=sys.stderr, flush=True)
            os._exit(int(self.path.partition("?")[2] or 1))
        if self.path == "/hang":
            HANGING.set()
        elif HANGING.is_set():
            time.sleep(600)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--say", default="")
    parser.add_argument("--exit", type=int)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--helper", action="store_true")
    parser.add_argument("--stubborn", action="store_true")
    parser.add_argument("--count", type=Path)
    parser.add_argument("--survive", type=int)
    parser.add_argument("--wait", action="store_true")
    options = parser.parse_args()
    starts = 0
    if options.count:
        with options.count.open("a") as file:
            file.write(f"{os.getpid()}\n")
        starts = len(options.count.read_text().split())
    print(options.say, flush=True)
    if options.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.helper:
        subprocess.Popen([sys.executable, "-c", IGNORE_TERM])
    if options.wait and not sys.stdin.readline():
        return
    time.sleep(options.delay)
    if options.survive is not None and starts > options.survive:
        sys.exit(3)
    if options.exit is not None:
        sys.exit(options.exit)
    ThreadingHTTPServer.allow_reuse_address = True
    ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
