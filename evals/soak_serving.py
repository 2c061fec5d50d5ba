"""Test whether a served bundle withstands a long load: `python evals/soak_serving.py --run runs/quickstart`.

2,000 requests, 64 at a time: mostly chat, some streamed, some to /v1/predict with four inputs. Measured: errors, and
the memory of each process (`llmtl serve` and all it started) before, half-way and at the end, shared pages counted
once. Bars: no error, and at the end no more than 2% above the memory before.

6,000 requests go first, since vLLM fills caches that are bounded but large: on a CPU oneDNN keeps the kernels of the
batch sizes it has seen. The heap of stock vLLM 0.32.0 with pocket-llama went from 0.8 GiB after 500 requests to 1.8 GiB
after 4,500 and was the same after 5,000; with ONEDNN_PRIMITIVE_CACHE_CAPACITY=16 it was 0.9 instead of 1.3 GiB after
2,500. The key-value cache is held to 1 GiB.
Not covered: hours. A leak of less than about 40 kB per request stays below the bar.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import psutil
from live_server import (
    Server,
    connections,
    end_cleanly_on_sigterm,
    exported,
    served_by_llmtl,
    unseen_texts,
)
from written_results import circumstances, write_result

CONCURRENCY = 64
GROWTH_BAR = 0.02
SETTLE_SECONDS = 3.0
MIB = 2**20


def main() -> int:
    """Run the test; exit code 0 if both bars are met."""
    options = _options()
    end_cleanly_on_sigterm()
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    with exported(options.run, options.strategy) as bundle:
        before = circumstances(sys.argv)
        manifest = json.loads((bundle / "bundle.json").read_text())
        with served_by_llmtl(bundle) as server:
            server.wait()
            texts = unseen_texts(bundle)
            found = asyncio.run(
                _soak(server, manifest, texts=texts, requests=options.requests, warm_up=options.warm_up)
            )
    growth = found["memory_mib"]["end"]["all"] / found["memory_mib"]["before"]["all"] - 1
    result = {
        "what": f"{options.requests} requests at concurrency {CONCURRENCY} against llmtl serve",
        **before,
        "strategy": manifest["winner"]["name"],
        "warm_up": options.warm_up,
        **found,
        "growth": round(growth, 4),
        "bars": {"errors": 0, "growth": GROWTH_BAR},
    }
    path = write_result(f"soak_serving-{manifest['winner']['name']}", result)
    print(json.dumps({name: result[name] for name in ("answered", "errors", "memory_mib", "growth")}), path, sep="\n")
    return 0 if not result["errors"] and growth <= GROWTH_BAR else 1


async def _soak(
    server: Server, manifest: dict[str, Any], *, texts: Iterator[str], requests: int, warm_up: int
) -> dict[str, Any]:
    process = server.process
    labels, model = set(manifest["task"]["labels"]), manifest["winner"]["model"]
    counts: Counter[str] = Counter()
    limits = connections(CONCURRENCY)
    async with httpx.AsyncClient(base_url=server.url, timeout=300, limits=limits, trust_env=False) as client:

        async def send(number: int) -> None:
            kind = "predict" if number % 10 == 0 else "stream" if number % 10 == 1 else "chat"
            outcome = await _send(client, kind, model, list(islice(texts, 4 if kind == "predict" else 1)), labels)
            counts[f"{kind}: {outcome}"] += 1

        async def batch(first: int, last: int) -> None:
            waiting = iter(range(first, last))

            async def work() -> None:
                for number in waiting:
                    await send(number)

            await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
            await asyncio.sleep(SETTLE_SECONDS)

        await batch(0, warm_up)
        counts.clear()
        memory = {"before": memory_mib(process)}
        start = time.perf_counter()
        await batch(0, requests // 2)
        memory["half_way"] = memory_mib(process)
        await batch(requests // 2, requests)
        seconds = time.perf_counter() - start - 2 * SETTLE_SECONDS
        memory["end"] = memory_mib(process)
    good = sum(count for name, count in counts.items() if name.endswith(": ok"))
    return {
        "answered": counts.total(),
        "errors": counts.total() - good,
        "outcomes": dict(sorted(counts.items())),
        "requests_per_second": round(counts.total() / seconds, 1),
        "memory_mib": memory,
    }


async def _send(client: httpx.AsyncClient, kind: str, model: str, texts: list[str], labels: set[str]) -> str:
    """Send one request; return `ok`, or what was wrong with the answer."""
    try:
        if kind == "predict":
            answer = await client.post("/v1/predict", json={"model": model, "inputs": texts})
            answer.raise_for_status()
            rows = answer.json()["data"]
            good = len(rows) == len(texts) and all(
                row["label"] in labels and abs(sum(row["probabilities"].values()) - 1) < 1e-3 for row in rows
            )
            return "ok" if good else "wrong answer"
        body = {"model": model, "messages": [{"role": "user", "content": texts[0]}], "stream": kind == "stream"}
        if kind == "stream":
            said = await _streamed(client, body)
        else:
            answer = await client.post("/v1/chat/completions", json=body)
            answer.raise_for_status()
            said = answer.json()["choices"][0]["message"]["content"]
    except httpx.HTTPStatusError as error:
        return f"status {error.response.status_code}"
    except httpx.HTTPError as error:
        return type(error).__name__
    return "ok" if said in labels else f"no label: {said[:30]!r}"


async def _streamed(client: httpx.AsyncClient, body: dict[str, Any]) -> str:
    """Collect the text of a streamed answer."""
    said = []
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line.removeprefix("data: "))["choices"]:
                    said.append(choice["delta"].get("content") or "")
    return "".join(said)


def memory_mib(process: psutil.Process) -> dict[str, float]:
    """Measure the memory of a process and of each descendant in MiB (proportional set size), and of all together."""
    every = [process, *process.children(recursive=True)]
    found = {f"{position} {_role(each)}": each.memory_full_info().pss / MIB for position, each in enumerate(every, 1)}
    return {name: round(value, 1) for name, value in {**found, "all": sum(found.values())}.items()}


def _role(process: psutil.Process) -> str:
    """Say what a process is, without paths."""
    line = " ".join(process.cmdline())
    known = ("vllm.entrypoints", "llmtl.serving.task_api.classifier_app", "VLLM::", "resource_tracker", "llmtl serve")
    keeper = "llmtl.serving.server.keeper" in line
    return "keeper" if keeper else next((name for name in known if name in line), process.name())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Put a long load on a served bundle.")
    parser.add_argument("--run", type=Path, default=Path("runs/quickstart"), help="run folder (default: %(default)s)")
    parser.add_argument("--strategy", help="which measured strategy to serve (default: the winner)")
    parser.add_argument("--requests", type=int, default=2000, help="requests after the warm-up (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, default=6000, help="requests before (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
