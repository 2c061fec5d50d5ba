"""Start servers to measure: llmtl on a bundle, and stock vLLM on the same bundle; and make inputs to send them.

Not covered: measuring them (`bench_serving.py`, `soak_serving.py`).
"""

import json
import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import httpx
import psutil

LLMTL = Path(sys.executable).with_name("llmtl")
START_SECONDS = 900.0
STOP_SECONDS = 60.0


def end_cleanly_on_sigterm() -> None:
    """Turn SIGTERM into an ordinary exit, so that contexts stop the servers that they started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@contextmanager
def exported(run: Path, strategy: str | None) -> Iterator[Path]:
    """Export the bundle of a run's winner, or of the named strategy, for the time of the context."""
    with tempfile.TemporaryDirectory(prefix="llmtl-bench-") as folder:
        bundle = Path(folder) / "bundle"
        chosen = ["--strategy", strategy] if strategy else []
        subprocess.run([LLMTL, "export", str(run), str(bundle), *chosen], check=True, capture_output=True)
        yield bundle


@contextmanager
def exported_in_int8(run: Path, strategy: str) -> Iterator[Path]:
    """Export a strategy with its encoder in int8 for the time of the context, whether or not its answers stay.

    Where they stay in no form, all products are in int8: what is measured is speed, and the bundle says how many stay.
    """
    from llmtl.pipeline.export import export
    from llmtl.serving.bundle import int8_form

    with tempfile.TemporaryDirectory(prefix="llmtl-bench-") as folder:
        bundle = export(run, Path(folder) / "bundle", strategy=strategy, int8=True)
        if not json.loads((bundle / "bundle.json").read_text())["int8"]["taken"]:
            with mock.patch.object(int8_form, "REQUIRED", 0.0):
                bundle = export(run, Path(folder) / "whole", strategy=strategy, int8=True)
        yield bundle


@dataclass(frozen=True)
class Server:
    """A running server: `process` is `llmtl serve` or vLLM itself, `ready` tells whether it may be used."""

    url: str
    process: psutil.Process
    log: Path
    ready: Callable[[], bool]

    def processes(self) -> list[psutil.Process]:
        """List all processes of the server."""
        return [self.process, *self.process.children(recursive=True)]

    def wait(self) -> None:
        """Wait until the server may be used; exit with the end of its log if it ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self.process.status() == psutil.STATUS_ZOMBIE or time.monotonic() > deadline:
                sys.exit(f"The server did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.5)


@contextmanager
def served_by_llmtl(bundle: Path, *options: str) -> Iterator[Server]:
    """Run `llmtl serve` inside the context; it is ready once announced: started, warmed up, checked."""
    port = free_port()
    argv = [LLMTL, "serve", bundle, "--no-playground", "--no-measure", "--port", port, *options]
    with _running([str(part) for part in argv], dict(os.environ)) as (process, log):
        yield Server(f"http://127.0.0.1:{port}", process, log, ready=lambda: "curl" in log.read_text())


@contextmanager
def served_by_stock_vllm(bundle: Path) -> Iterator[Server]:
    """Run vLLM inside the context with llmtl's arguments, except its middleware."""
    port = free_port()
    argv, environment, folder = stock_command(bundle, port)
    url = f"http://127.0.0.1:{port}"
    with _running(argv, os.environ | environment, folder) as (process, log):
        yield Server(url, process, log, ready=lambda: _healthy(url))


@contextmanager
def pooled_by_vllm(encoder: Path) -> Iterator[Server]:
    """Run vLLM's pooling runner on an encoder, in float32, inside the context; it answers `/v1/embeddings`."""
    port = free_port()
    argv = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", encoder, "--runner", "pooling"]
    argv += ["--dtype", "float32", "--served-model-name", "encoder", "--host", "127.0.0.1", "--port", port]
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    with _running([str(part) for part in argv], environment) as (process, log):
        yield Server(url, process, log, ready=lambda: _healthy(url))


def stock_command(bundle: Path, port: int) -> tuple[list[str], dict[str, str], str]:
    """Make vLLM's command, environment and working directory from what `llmtl serve --dry-run` prints."""
    dry_run = [LLMTL, "serve", str(bundle), "--no-playground", "--dry-run", "--port", str(port)]
    printed = subprocess.run([str(part) for part in dry_run], check=True, capture_output=True, text=True).stdout
    return stock_of(next(line for line in printed.splitlines() if "vllm.entrypoints" in line))


def stock_of(line: str) -> tuple[list[str], dict[str, str], str]:
    """Take a printed command of `llmtl serve` apart, without its middleware: arguments, environment and folder."""
    words = shlex.split(line)
    folder = words[words.index("cd") + 1]
    words = words[words.index("&&") + 1 :]
    environment = {}
    while "=" in words[0] and not words[0].startswith(("/", "-")):
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    stock = [word for word in words if not word.startswith("--middleware=")]
    if len(stock) != len(words) - 1:
        raise RuntimeError("What llmtl serve --dry-run prints does not name its middleware as one argument.")
    return stock, environment, folder


@contextmanager
def _running(
    argv: list[str], environment: dict[str, str], folder: str | None = None
) -> Iterator[tuple[psutil.Process, Path]]:
    with tempfile.TemporaryDirectory(prefix="llmtl-log-") as place:
        log = Path(place) / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                argv, env=environment, cwd=folder, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            yield psutil.Process(process.pid), log
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and whatever it started."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def free_port() -> int:
    """Find a port that is free at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def connections(most: int) -> httpx.Limits:
    """Limit a client to `most` connections, and drop idle ones before the server does.

    vLLM closes a connection after five idle seconds, and httpx keeps it just as long: if both end together, a request
    is lost.
    """
    return httpx.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=2.0)


def unseen_texts(bundle: Path) -> Iterator[str]:
    """Yield endless inputs of real lengths, no two equal in practice: words of recorded inputs, mixed.

    So the prefix cache helps only with what all prompts share.
    """
    rows = [json.loads(line) for line in (bundle / "recorded.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = [row["text"] for row in rows]
    words = [word for text in texts for word in text.split()]
    draw = random.Random(0)
    while True:
        yield " ".join(draw.sample(words, len(draw.choice(texts).split())))
