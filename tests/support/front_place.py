"""A front in its own process, before a real server at a Unix socket."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from dataclasses import replace

import httpx

from llmtl.serving.front.plan import ConnectionLimits, FrontPlan
from llmtl.serving.server.front_process import FrontProcess
from tests.support.live_bundle import free_port

BACKEND = """
import asyncio, os, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

released, counted = asyncio.Event(), {"held": 0}

async def echo(request):
    return PlainTextResponse(str(len(await request.body())))

async def slow(request):
    return await until(asyncio.sleep(float(request.query_params["s"])))

async def refuse(request):
    return PlainTextResponse("no", 413)

async def held(request):
    return await until(released.wait())

async def until(done):
    counted["held"] += 1
    try:
        await done
    finally:
        counted["held"] -= 1
    return PlainTextResponse("done")

async def holds(request):
    return PlainTextResponse(str(counted["held"]))

async def release(request):
    released.set()
    released.clear()
    return PlainTextResponse("")

async def big(request):
    return PlainTextResponse("x" * 20_000_000)

async def die(request):
    os._exit(1)

async def pieces(request):
    async def parts():
        for part in ("one", "two"):
            yield part
            await asyncio.sleep(0.2)
        if "die" in request.query_params:
            os._exit(1)
    return StreamingResponse(parts())

routes = [Route("/echo", echo, methods=["POST"]), Route("/slow", slow), Route("/die", die), Route("/pieces", pieces),
          Route("/refuse", refuse, methods=["POST"]), Route("/big", big), Route("/held", held), Route("/holds", holds),
          Route("/release", release)]
uvicorn.run(Starlette(routes=routes), uds=sys.argv[1], log_level="warning")
"""
LIMITS = ConnectionLimits(
    max_connections=12, max_connections_per_address=8, max_header_seconds=60, max_body_seconds=60, drain_seconds=3
)
HASTY = replace(LIMITS, max_header_seconds=1, max_body_seconds=1)
"""For those that are to be too slow; a busy machine makes others slow, too."""
JSON = {"Content-Type": "application/json"}


class Place:
    """A front at a free port, before a backend that can be started and killed, or that of a socket."""

    def __init__(self, folder, *, own_names_only=False, limits=LIMITS, before=None):
        self.socket, self.port = before or folder / "server", free_port()
        plan = FrontPlan("127.0.0.1", self.port, self.socket, own_names_only, limits)
        self.front = FrontProcess(plan, log=folder / "log")
        self.front.start()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self.backend = None

    def start_backend(self):
        self.end_backend()
        self.socket.unlink(missing_ok=True)
        self.backend = subprocess.Popen([sys.executable, "-c", BACKEND, str(self.socket)])
        until(lambda: self.client.post("/echo", content=b"x").status_code == 200)

    def backstage(self, path):
        """Ask the backend past the front."""
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self.socket)), timeout=60) as client:
            return client.get(f"http://localhost{path}").text

    def connection(self):
        return contextlib.closing(socket.create_connection(("127.0.0.1", self.port), timeout=60))

    def end_backend(self):
        if self.backend is not None:
            self.backend.kill()
            self.backend.wait()

    def close(self):
        self.client.close()
        self.front.stop()
        self.end_backend()


def until(condition, seconds=600):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def to_the_end(connection):
    """Return all that arrives until the other side closes."""
    said = b""
    while piece := connection.recv(65536):
        said += piece
    return said


def up_to(end, connection):
    """Return all that arrives up to this end of an answer."""
    said = b""
    while not said.endswith(end):
        said += (piece := connection.recv(65536))
        assert piece, said
    return said


def refusal(said):
    """Return the status, the headers and the error of a response in bytes."""
    head, _, body = said.partition(b"\r\n\r\n")
    status, *headers = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in headers), json.loads(body)["error"]
