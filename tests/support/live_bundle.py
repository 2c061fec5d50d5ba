"""Server processes for tests: started on a free port, awaited, ended with everything they started."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time

import httpx

from llmtl.serving.bundle.read import open_bundle
from llmtl.serving.server.options import ServeOptions
from llmtl.serving.server.server_command import server_command
from tests.support.forked_vllm import fork_vllm

START_SECONDS = 480
KEY = "a key for tests"
SERVER_PORTS = 10_000, 32_000
"""Below the ports of clients: 32768 and above on Linux (`net.ipv4.ip_local_port_range`), 49152 elsewhere."""
QUICK_START = {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}
"""Environment of a vLLM that starts with a third less work: its worker is in the engine's process, which otherwise
starts another one that imports everything again. One thread needs no process of its own."""


def free_port():
    """Find a port for a server that starts later, none of those that the system gives to clients meanwhile."""
    while True:
        port = random.SystemRandom().randrange(*SERVER_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def live_server(folder, log, *, key=KEY, **options):
    """Yield the URL of the server of a bundle, without `llmtl serve` around it."""
    given = ServeOptions(port=free_port(), api_key=key, **options)
    bundle = open_bundle(folder)
    command = server_command(folder, bundle, given, device="cpu")
    environment = os.environ | QUICK_START | command.environment
    start = fork_vllm if bundle.on_vllm else _popen
    process = start(command.argv, environment=environment, cwd=command.folder, log=log)
    url = f"http://127.0.0.1:{given.port}"
    with answering(process, url, log):
        yield url


@contextlib.contextmanager
def answering(process, url, log):
    """Wait until a server answers; at the end of the context, end its process and the group that this leads."""
    try:
        _wait(url, process, log)
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def client_of(url, key=KEY):
    """Return an HTTP client of a live server."""
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=240, trust_env=False)


def error_of(response, status):
    """Return the error in a response, after checking its form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    [(name, error)] = response.json().items()
    assert name == "error"
    assert set(error) == {"message", "type", "param", "code"}
    return error


def _popen(command, *, environment, cwd, log):
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=cwd, env=environment, stdout=output, stderr=output, start_new_session=True)


def _wait(url, process, log):
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline:
            assert process.poll() is None, log.read_text(errors="replace")[-4000:]
            with contextlib.suppress(httpx.TransportError):
                if client.get(f"{url}/health").status_code == 200:
                    return
            time.sleep(0.5)
    raise AssertionError(f"no server within {START_SECONDS} s: {log.read_text(errors='replace')[-4000:]}")
