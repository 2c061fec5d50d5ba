"""Measure what serving through llmtl costs beside stock vLLM: `python evals/bench_serving.py --run runs/quickstart`.

Two servers run side by side on the same bundle with the same flags: `llmtl serve`, whose clients send only the raw
message, and vLLM without llmtl's middleware, whose client adds the label constraint and the allowed tokens itself, as
the bundle's `request.json` advises. Both end up with the same prompt tokens and must give the same labels; this is
checked first.
Then come short rounds. In each, one server gets requests one at a time for the latency and a batch at concurrency 64
for the throughput, then the other server does: never both at once. The waiting server is suspended
(SIGSTOP), because OpenMP threads that wait for work keep a core busy for a while.

A vLLM server keeps its own speed for minutes (on 2 CPU cores two starts of the same server differed by up to 15%),
so both are started several times, and a start counts as one observation.

Bars: throughput at least 0.97 of stock, median latency at most 3 ms more (means over the starts).
Not covered: the load on the client (both send from the same process), /v1/predict, which stock vLLM does not have.
"""

import argparse
import asyncio
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from live_server import (
    Server,
    connections,
    end_cleanly_on_sigterm,
    exported,
    served_by_llmtl,
    served_by_stock_vllm,
    unseen_texts,
)
from numpy.typing import NDArray
from scipy.stats import sem
from scipy.stats import t as student
from written_results import circumstances, write_result

CONCURRENCY = 64
THROUGHPUT_BAR = 0.97
ADDED_MS_BAR = 3.0
Body = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """One server with the requests that its clients send for an input, to `route`."""

    name: str
    server: Server
    body: Callable[[str], Body]
    route: str = "/v1/chat/completions"

    @property
    def url(self) -> str:
        return f"{self.server.url}{self.route}"


@dataclass(frozen=True)
class Round:
    """What one server did in one round."""

    p50_ms: float
    requests_per_second: float


def main() -> int:
    """Run the benchmark; exit code 0 if both bars are met."""
    options = _options()
    end_cleanly_on_sigterm()
    before = circumstances(sys.argv)
    with exported(options.run, options.strategy) as bundle:
        winner = json.loads((bundle / "bundle.json").read_text())["winner"]
        if winner["retrieved"]:
            sys.exit("Stock vLLM cannot retrieve demonstrations; name another --strategy than knn-few-shot.")
        texts = unseen_texts(bundle)
        starts = [_start(bundle, winner["model"], texts, options) for _ in range(options.starts)]
    result = {
        "what": "llmtl serve against stock vLLM on the same final prompts",
        **before,
        "load_average_after": circumstances(sys.argv)["load_average"],
        "strategy": winner["name"],
        "starts": len(starts),
        "rounds_per_start": options.rounds,
        "requests_per_round": {"alone": options.alone, "at_64": options.together},
        **summary(starts),
        "measured": [[{name: vars(found) for name, found in each.items()} for each in rounds] for rounds in starts],
    }
    path = write_result(f"bench_serving-{winner['name']}", result)
    print(_said(result), f"Written to {path.name}.", sep="\n")
    return 0 if result["throughput_met"] and result["latency_met"] else 1


def _start(bundle: Path, model: str, texts: Iterator[str], options: argparse.Namespace) -> list[dict[str, Round]]:
    """Start both servers once and run all rounds."""
    with served_by_llmtl(bundle) as ours, served_by_stock_vllm(bundle) as stock:
        ours.wait()
        stock.wait()
        sides = (Side("llmtl", ours, _raw(model)), Side("stock", stock, _constrained(bundle)))
        _check_equal(sides, texts)
        return asyncio.run(measure(sides, texts, options))


def summary(starts: list[list[dict[str, Round]]], other: str = "stock", *, ours: str = "llmtl") -> dict[str, Any]:
    """Summarise the ratio of throughputs and the added latency: mean over starts, 95% interval, lowest and highest.

    The ratio of a start is that of the median throughputs of its rounds, its added latency the difference of the median
    latencies; ratios are averaged as logarithms.
    """
    ratios = [
        _median(rounds, ours, "requests_per_second") / _median(rounds, other, "requests_per_second")
        for rounds in starts
    ]
    added = [_median(rounds, ours, "p50_ms") - _median(rounds, other, "p50_ms") for rounds in starts]
    ratio, latency = _spread(np.log(ratios), np.exp), _spread(np.array(added), np.asarray)
    return {
        "throughput_ratio": ratio,
        "added_p50_ms": latency,
        "throughput_met": ratio["mean"] >= THROUGHPUT_BAR,
        "latency_met": latency["mean"] <= ADDED_MS_BAR,
        "bars": {"throughput_ratio": THROUGHPUT_BAR, "added_p50_ms": ADDED_MS_BAR},
    }


def _median(rounds: list[dict[str, Round]], side: str, quantity: str) -> float:
    return statistics.median(getattr(each[side], quantity) for each in rounds)


def _spread(values: NDArray[np.float64], back: Callable[[Any], Any]) -> dict[str, Any]:
    """Compute the mean with its 95% interval (Student's t over starts; none for one start) and the range."""
    mean, error = values.mean(), sem(values) if len(values) > 1 else math.nan
    half = float(student.ppf(0.975, len(values) - 1)) * error if len(values) > 1 else math.nan
    low, high = (None, None) if math.isnan(half) else (back(mean - half), back(mean + half))
    return {
        "mean": round(float(back(mean)), 4),
        "ci95": None if low is None else [round(float(low), 4), round(float(high), 4)],
        "range": [round(float(back(values.min())), 4), round(float(back(values.max())), 4)],
    }


def _raw(model: str) -> Callable[[str], Body]:
    return lambda text: {"model": model, "messages": [{"role": "user", "content": text}]}


def _constrained(bundle: Path) -> Callable[[str], Body]:
    """Build what a client of stock vLLM sends: the message with the constraint that the bundle advises."""
    request = json.loads((bundle / "request.json").read_text())
    return lambda text: request | {"messages": [{"role": "user", "content": text}]}


def _check_equal(sides: tuple[Side, Side], texts: Iterator[str]) -> None:
    """Exit unless both servers see the same prompt tokens and give the same labels on twenty inputs."""
    for text in islice(texts, 20):
        found = []
        for side in sides:
            body = side.body(text) | {"return_token_ids": True}
            answer = httpx.post(side.url, json=body, timeout=180, trust_env=False)
            answer.raise_for_status()
            document = answer.json()
            found.append((document["prompt_token_ids"], document["choices"][0]["message"]["content"].strip()))
        if found[0] != found[1]:
            sys.exit(f"The two servers were not asked the same, or answer differently, for: {text}")


async def measure(
    sides: tuple[Side, Side], texts: Iterator[str], options: argparse.Namespace
) -> list[dict[str, Round]]:
    """Run all rounds: `options.rounds` times `alone` requests one by one and `together` 64 at a time."""
    async with AsyncExitStack() as stack:
        # one client per worker: a pool that 64 share is slower than the servers
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(timeout=180, limits=connections(2), trust_env=False))
            for _ in range(CONCURRENCY)
        ]
        await _round(clients, sides, list(islice(texts, 20)), list(islice(texts, 4 * CONCURRENCY)))  # warms both up
        rounds = []
        for number in range(options.rounds):
            order = sides if number % 2 == 0 else sides[::-1]
            found = await _round(
                clients, order, list(islice(texts, options.alone)), list(islice(texts, options.together))
            )
            rounds.append(found)
            print(f"round {number + 1}: " + ", ".join(f"{name} {vars(each)}" for name, each in sorted(found.items())))
        return rounds


async def _round(
    clients: list[httpx.AsyncClient], sides: tuple[Side, ...], alone: list[str], together: list[str]
) -> dict[str, Round]:
    """Measure each side: the median latency of `alone`, sent one at a time, and the throughput of `together`."""
    found = {}
    for side in sides:
        with _only(side, sides):
            found[side.name] = Round(
                await _latency(clients[0], side, alone), await _throughput(clients, side, together)
            )
    return found


@contextmanager
def _only(side: Side, sides: tuple[Side, ...]) -> Iterator[None]:
    """Suspend the processes of every other side inside the context."""
    idle = [process for other in sides if other is not side for process in other.server.processes()]
    for process in idle:
        process.suspend()
    try:
        yield
    finally:
        for process in idle:
            process.resume()


async def _latency(client: httpx.AsyncClient, side: Side, texts: list[str]) -> float:
    """Measure the median latency in milliseconds of requests sent one after the other."""
    bodies = [json.dumps(side.body(text)).encode() for text in texts]
    return statistics.median([await _timed(client, side.url, body) for body in bodies])


async def _throughput(clients: list[httpx.AsyncClient], side: Side, texts: list[str]) -> float:
    """Measure the requests per second at concurrency 64."""
    bodies = [json.dumps(side.body(text)).encode() for text in texts]
    waiting = iter(bodies)

    async def work(client: httpx.AsyncClient) -> None:
        for body in waiting:
            await _timed(client, side.url, body)

    start = time.perf_counter()
    await asyncio.gather(*(work(client) for client in clients))
    return len(bodies) / (time.perf_counter() - start)


async def _timed(client: httpx.AsyncClient, url: str, body: bytes) -> float:
    """Measure the milliseconds of one request; raise for any answer but success."""
    start = time.perf_counter()
    headers = {"Content-Type": "application/json"}
    answer = await client.post(url, content=body, headers=headers)
    answer.raise_for_status()
    return 1000 * (time.perf_counter() - start)


def _said(result: dict[str, Any]) -> str:
    ratio, added = result["throughput_ratio"], result["added_p50_ms"]
    return (
        f"{result['strategy']}, {result['starts']} starts: throughput at {CONCURRENCY} is {ratio['mean']:.3f} of stock "
        f"vLLM's (95% interval {ratio['ci95']}; bar {THROUGHPUT_BAR}), added p50 {added['mean']:.2f} ms "
        f"({added['ci95']}; bar {ADDED_MS_BAR})."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare serving through llmtl with stock vLLM.")
    parser.add_argument("--run", type=Path, default=Path("runs/quickstart"), help="run folder (default: %(default)s)")
    parser.add_argument("--strategy", help="which measured strategy to serve (default: the winner)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per start (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=6, help="starts of both servers (default: %(default)s)")
    parser.add_argument("--alone", type=int, default=40, help="requests one at a time, per round (default: 40)")
    parser.add_argument("--together", type=int, default=256, help="requests 64 at a time, per round (default: 256)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
