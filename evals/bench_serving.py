"""What serving through llmtl costs beside stock vLLM: `python evals/bench_serving.py --run runs/quickstart`.

Two servers run side by side on the same bundle with the same flags: `llmtl serve`, whose clients send only the raw
message, and vLLM without llmtl's middleware, whose client adds the label constraint and the allowed tokens itself, as
the bundle's `request.json` advises. Both end up with the same prompt tokens and must give the same labels; that is
checked first.
Then come short rounds. In each, requests go one at a time to A, B, B, A, A, B, ... for the latency, and then a batch at
concurrency 64 to one server and after it to the other, in turns, for the throughput: never both at once.

Bars: throughput at least 0.97 of stock, median latency at most 3 ms more (medians over the rounds).
Not covered: the load on the client (both send from the same process), /v1/predict, which stock vLLM does not have.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from live_server import (
    circumstances,
    connections,
    end_cleanly_on_sigterm,
    exported,
    served_by_llmtl,
    served_by_stock_vllm,
    unseen_texts,
    write_result,
)

CONCURRENCY = 64
THROUGHPUT_BAR = 0.97
ADDED_MS_BAR = 3.0
Body = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """One server with the requests that its clients send for an input."""

    name: str
    url: str
    body: Callable[[str], Body]


@dataclass(frozen=True)
class Round:
    """What one server did in one round."""

    p50_ms: float
    requests_per_second: float


def main() -> int:
    """Return the exit code: 0 when both bars are met."""
    options = _options()
    end_cleanly_on_sigterm()
    with exported(options.run, options.strategy) as bundle:
        before = circumstances(sys.argv)
        with served_by_llmtl(bundle) as ours, served_by_stock_vllm(bundle) as stock:
            ours.wait()
            stock.wait()
            manifest = json.loads((bundle / "bundle.json").read_text())
            winner = manifest["winner"]
            if winner["retrieved"]:
                sys.exit("Stock vLLM cannot retrieve demonstrations; name another --strategy than knn-few-shot.")
            sides = (Side("llmtl", ours.url, _raw(winner["model"])), Side("stock", stock.url, _constrained(bundle)))
            texts = unseen_texts(bundle)
            _check_equal(sides, texts)
            rounds = asyncio.run(_measure(sides, texts, options))
    result = {
        "what": "llmtl serve against stock vLLM on the same final prompts",
        **before,
        "load_average_after": circumstances(sys.argv)["load_average"],
        "strategy": winner["name"],
        "rounds": len(rounds),
        "requests_per_round": {"alone": options.alone, "at_64": options.together},
        **summary(rounds),
        "measured": [{name: vars(found) for name, found in each.items()} for each in rounds],
    }
    path = write_result(f"bench_serving-{winner['name']}", result)
    print(_said(result), f"Written to {path}.", sep="\n")
    return 0 if result["throughput_met"] and result["latency_met"] else 1


def summary(rounds: list[dict[str, Round]]) -> dict[str, Any]:
    """Return ratio of throughputs and added latency: median over the rounds, 95% interval of it, lowest and highest."""
    ratios = [each["llmtl"].requests_per_second / each["stock"].requests_per_second for each in rounds]
    added = [each["llmtl"].p50_ms - each["stock"].p50_ms for each in rounds]
    return {
        "throughput_ratio": _spread(ratios),
        "added_p50_ms": _spread(added),
        "throughput_met": statistics.median(ratios) >= THROUGHPUT_BAR,
        "latency_met": statistics.median(added) <= ADDED_MS_BAR,
        "bars": {"throughput_ratio": THROUGHPUT_BAR, "added_p50_ms": ADDED_MS_BAR},
    }


def _spread(values: list[float]) -> dict[str, Any]:
    """Return the median with its 95% interval (percentile bootstrap over rounds) and the range."""
    draws = np.random.default_rng(0).choice(values, size=(10_000, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return {
        "median": round(statistics.median(values), 4),
        "ci95": [round(float(low), 4), round(float(high), 4)],
        "range": [round(min(values), 4), round(max(values), 4)],
    }


def _raw(model: str) -> Callable[[str], Body]:
    return lambda text: {"model": model, "messages": [{"role": "user", "content": text}]}


def _constrained(bundle: Path) -> Callable[[str], Body]:
    """Return what a client of stock vLLM sends: the message with the constraint that the bundle advises."""
    request = json.loads((bundle / "request.json").read_text())
    return lambda text: request | {"messages": [{"role": "user", "content": text}]}


def _check_equal(sides: tuple[Side, Side], texts: Iterator[str]) -> None:
    """Exit unless both servers see the same prompt tokens and give the same labels on twenty inputs."""
    for text in islice(texts, 20):
        found = []
        for side in sides:
            body = side.body(text) | {"return_token_ids": True}
            answer = httpx.post(f"{side.url}/v1/chat/completions", json=body, timeout=180, trust_env=False)
            answer.raise_for_status()
            document = answer.json()
            found.append((document["prompt_token_ids"], document["choices"][0]["message"]["content"].strip()))
        if found[0] != found[1]:
            sys.exit(f"The two servers were not asked the same, or answer differently, for: {text}")


async def _measure(
    sides: tuple[Side, Side], texts: Iterator[str], options: argparse.Namespace
) -> list[dict[str, Round]]:
    async with AsyncExitStack() as stack:
        # one client a worker: a pool that 64 share is slower than the servers
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
    """Return what each side did: the median latency of `alone`, sent one at a time, the throughput of `together`."""
    latencies = await _alone(clients[0], sides, alone)
    return {
        side.name: Round(statistics.median(latencies[side.name]), await _throughput(clients, side, together))
        for side in sides
    }


async def _alone(client: httpx.AsyncClient, sides: tuple[Side, ...], texts: list[str]) -> dict[str, list[float]]:
    """Return the latencies of each side; the side that is asked first changes with every text."""
    milliseconds: dict[str, list[float]] = {side.name: [] for side in sides}
    for number, text in enumerate(texts):
        for side in sides if number % 2 == 0 else sides[::-1]:
            milliseconds[side.name].append(await _timed(client, side.url, json.dumps(side.body(text)).encode()))
    return milliseconds


async def _throughput(clients: list[httpx.AsyncClient], side: Side, texts: list[str]) -> float:
    """Return the requests a second at concurrency 64."""
    bodies = [json.dumps(side.body(text)).encode() for text in texts]
    waiting = iter(bodies)

    async def work(client: httpx.AsyncClient) -> None:
        for body in waiting:
            await _timed(client, side.url, body)

    start = time.perf_counter()
    await asyncio.gather(*(work(client) for client in clients))
    return len(bodies) / (time.perf_counter() - start)


async def _timed(client: httpx.AsyncClient, url: str, body: bytes) -> float:
    """Return the milliseconds of one request; raises for any answer but success."""
    start = time.perf_counter()
    headers = {"Content-Type": "application/json"}
    answer = await client.post(f"{url}/v1/chat/completions", content=body, headers=headers)
    answer.raise_for_status()
    return 1000 * (time.perf_counter() - start)


def _said(result: dict[str, Any]) -> str:
    ratio, added = result["throughput_ratio"], result["added_p50_ms"]
    return (
        f"{result['strategy']}: throughput at {CONCURRENCY} is {ratio['median']:.3f} of stock vLLM's (95% interval "
        f"{ratio['ci95'][0]:.3f} to {ratio['ci95'][1]:.3f}; bar {THROUGHPUT_BAR}), "
        f"added p50 {added['median']:.2f} ms ({added['ci95'][0]:.2f} to {added['ci95'][1]:.2f}; bar {ADDED_MS_BAR})."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serving through llmtl beside stock vLLM.")
    parser.add_argument("--run", type=Path, default=Path("runs/quickstart"), help="run folder (default: %(default)s)")
    parser.add_argument("--strategy", help="which measured strategy to serve (default: the winner)")
    parser.add_argument("--rounds", type=int, default=12, help="rounds (default: %(default)s)")
    parser.add_argument("--alone", type=int, default=40, help="requests one at a time, each round (default: 40)")
    parser.add_argument("--together", type=int, default=256, help="requests 64 at a time, each round (default: 256)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
