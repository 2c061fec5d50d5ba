"""Measure how long clients wait after an engine crash: `python evals/restart_serving.py --run runs/quickstart`.

For a winner that vLLM runs. Two kinds of start take turns: with a spare, which is the default, and with `--no-spare`,
where vLLM is started as a new interpreter. In each turn a server is started, and asked by `--clients` clients without
pause, who wait as `Retry-After` says on 503. After `--settle` seconds its engine process is killed, and it is noted how
long it takes until `/ready` says so again and until the first answer. The load of other programs is that of the
machine; it is noted for every turn, so that the two kinds can be compared at like loads.

Bar: ready again within 60 seconds, by the median of the turns with a spare.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
from live_server import connections, end_cleanly_on_sigterm, exported, served_by_llmtl
from written_results import circumstances, write_result

BAR_SECONDS = 60.0
MOST_SECONDS = 900.0
ENGINE = "VLLM::EngineCore"
KINDS: dict[str, tuple[str, ...]] = {"spare": (), "no_spare": ("--no-spare",)}


def main() -> int:
    """Run the measurement; exit code 0 if the bar is met."""
    options = _options()
    end_cleanly_on_sigterm()
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    before = circumstances(sys.argv)
    turns: list[dict[str, Any]] = []
    with exported(options.run, options.strategy) as bundle:
        manifest = json.loads((bundle / "bundle.json").read_text())
        [text, *_] = [json.loads(line)["text"] for line in (bundle / "recorded.jsonl").read_text().splitlines()]
        body = {"model": manifest["winner"]["model"], "messages": [{"role": "user", "content": text}]}
        for turn in range(options.turns):
            for kind in list(KINDS)[:: 1 if turn % 2 == 0 else -1]:
                begun = time.monotonic()
                with served_by_llmtl(bundle, *KINDS[kind]) as server:
                    server.wait()
                    started = round(time.monotonic() - begun, 1)
                    found = asyncio.run(crash(server, body, clients=options.clients, settle=options.settle))
                turns.append({"kind": kind, "announced_seconds": started, **found})
                print(json.dumps(turns[-1]), flush=True)
    medians = {
        kind: {name: statistics.median(each[name] for each in turns if each["kind"] == kind) for name in COMPARED}
        for kind in KINDS
    }
    met = medians["spare"]["ready_seconds"] <= BAR_SECONDS
    result = {
        "what": f"an engine crash under {options.clients} clients, with and without a spare",
        **before,
        "strategy": manifest["winner"]["name"],
        "settle_seconds": options.settle,
        "turns": turns,
        "medians": medians,
        "bars": {"ready_seconds": BAR_SECONDS, "met": met},
    }
    path = write_result(f"restart_serving-{manifest['winner']['name']}", result)
    print(json.dumps(medians, indent=1), f"Written to {path.name}.", sep="\n")
    return 0 if met else 1


COMPARED = ("announced_seconds", "ready_seconds", "first_answer_seconds", "load_average", "memory_mib")


async def crash(server: Any, body: dict[str, Any], *, clients: int, settle: float) -> dict[str, Any]:
    """Kill the engine under load; return how long it takes until the server is ready, and answers, again."""
    answered: list[float] = []
    limits = connections(clients + 1)
    async with httpx.AsyncClient(base_url=server.url, timeout=MOST_SECONDS, limits=limits, trust_env=False) as client:

        async def ask() -> None:
            while True:
                answer = await client.post("/v1/chat/completions", json=body)
                if answer.is_success:
                    answered.append(time.monotonic())
                else:
                    await asyncio.sleep(float(answer.headers.get("retry-after", 1)))

        asking = [asyncio.create_task(ask()) for _ in range(clients)]
        await asyncio.sleep(settle)
        memory = sum(each.memory_full_info().pss for each in server.processes()) / 2**20
        [engine] = [each for each in server.processes() if ENGINE in " ".join(each.cmdline())]
        load = psutil.getloadavg()[0]
        engine.kill()
        begun = time.monotonic()
        gone = False
        while time.monotonic() - begun < MOST_SECONDS:
            ready = (await client.get("/ready")).is_success
            gone |= not ready
            if gone and ready:
                break
            await asyncio.sleep(0.1)
        again = time.monotonic()
        while not any(each > again for each in answered):
            await asyncio.sleep(0.1)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    return {
        "ready_seconds": round(again - begun, 1),
        "first_answer_seconds": round(min(each for each in answered if each > again) - begun, 1),
        "answers_before": sum(each < begun for each in answered),
        "load_average": round(load, 2),
        "memory_mib": round(memory, 1),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how long clients wait after an engine crash.")
    parser.add_argument("--run", type=Path, default=Path("runs/quickstart"), help="run folder (default: %(default)s)")
    parser.add_argument("--strategy", default="zero-shot", help="which measured strategy (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=2, help="turns of both kinds (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=8, help="clients at a time (default: %(default)s)")
    parser.add_argument("--settle", type=float, default=60.0, help="seconds until the kill (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
