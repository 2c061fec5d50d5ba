"""Test whether a served bundle withstands a long load: `python evals/soak_serving.py --run runs/quickstart`.

10,000 requests, 128 at a time, of which one in ten is malformed and one in a hundred is dropped by its client, beside
100 clients that send theirs too slowly; after a fifth of them the engine is killed. The others are chats, some
streamed, and predictions of four inputs, all of recorded inputs that are not near ties, so that their right answers are
known: what the same server says when it is asked one at a time. A client that gets 503 waits as long as `Retry-After`
says and goes on to its next request.

Bars: every good request is answered right or with 503; every malformed one with 4xx, or with 503 while there is no
engine to look at it; none is lost (no answer, or half of one); every slow client is ended by the server; the endpoint
is ready again after the kill; and the memory of all processes does not grow by more than 2% during the last two fifths
(proportional set size: shared pages are counted once). Before these, further requests warm the new engine up until a
thousand of them change the memory by less than 0.2%, or `--warm-up` were sent: a spare is imported meanwhile, and vLLM
touches the pages that it holds for keys and values one after the other, as requests come.
Not covered: hours; a leak of less than about 1 kB per request stays below the bar.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from live_server import Server, connections, end_cleanly_on_sigterm, exported, served_by_llmtl
from written_results import circumstances, write_result

CONCURRENCY = 128
SLOW_CLIENTS = 100
GROWTH_BAR = 0.02
SETTLE_SECONDS = 5.0
SETTLED, SETTLED_WITHIN_SECONDS = 0.001, 300.0
"""The change of memory in `SETTLE_SECONDS` below which it is read, and the longest wait for that."""
WARM, WARMED = 1000, 0.002
"""The requests of one round of warming up, and the growth of memory in such a round after which there is no other."""
SLOW_SECONDS = 120.0
MOST_TEXTS = 200
CLEAR = 0.05
"""The least distance between the two likeliest labels of an input whose label is clear."""
MIB = 2**20
RIGHT, BUSY, LOST = "right", "503", "lost"


def main() -> int:
    """Run the test; exit code 0 if all bars are met."""
    options = _options()
    end_cleanly_on_sigterm()
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    with exported(options.run, options.strategy) as bundle:
        before = circumstances(sys.argv)
        manifest = json.loads((bundle / "bundle.json").read_text())
        rows = [json.loads(line) for line in (bundle / "recorded.jsonl").read_text(encoding="utf-8").splitlines()]
        with served_by_llmtl(bundle) as server:
            server.wait()
            soak = Soak(server, manifest["winner"]["model"], options.requests, most_to_warm_up=options.warm_up)
            found = asyncio.run(soak.run([row["text"] for row in rows][:MOST_TEXTS]))
    bars = bars_of(found)
    result = {
        "what": f"{options.requests} requests at concurrency {CONCURRENCY} against llmtl serve, one engine kill",
        **before,
        "strategy": manifest["winner"]["name"],
        **found,
        "bars": bars,
    }
    path = write_result(f"soak_serving-{manifest['winner']['name']}", result)
    print(json.dumps({**found, "bars": bars}, indent=1), path, sep="\n")
    return 0 if all(bars.values()) else 1


def bars_of(found: dict[str, Any]) -> dict[str, bool]:
    """Say which bars are met."""
    outcomes = found["outcomes"]
    return {
        "good ones right or 503": set(outcomes["good"]) <= {RIGHT, BUSY},
        "bad ones 4xx, or 503 without an engine": set(outcomes["malformed"]) <= {"4xx", BUSY},
        "slow ones ended": set(outcomes["slow"]) <= {"408", "ended", BUSY},
        "ready again": found["seconds_until_ready"] is not None,
        "memory flat": found["growth"] <= GROWTH_BAR,
    }


@dataclass
class Soak:
    """One soak: what is asked, and what became of it."""

    server: Server
    model: str
    requests: int
    most_to_warm_up: int
    outcomes: dict[str, Counter[str]] = field(
        default_factory=lambda: {kind: Counter() for kind in ("good", "malformed", "dropped", "slow")}
    )
    answers: dict[str, str] = field(default_factory=dict)
    seconds_until_ready: float | None = None

    async def run(self, texts: Sequence[str]) -> dict[str, Any]:
        """Ask everything; return what became of it."""
        limits = connections(CONCURRENCY)
        async with httpx.AsyncClient(base_url=self.server.url, timeout=300, limits=limits, trust_env=False) as client:
            self.answers = await self._right_answers(client, texts)
            memory = {"at the start": memory_mib(self.server.process)}
            begun = time.perf_counter()
            slow = asyncio.gather(*(self._slow(number) for number in range(SLOW_CLIENTS)))
            fifth = self.requests // 5
            await self._batch(client, range(fifth))
            killing = asyncio.create_task(self._kill(client))
            await self._batch(client, range(fifth, 3 * fifth))
            await killing
            await slow
            rounds = await self._warm_up(client)
            memory["warmed up"] = await self._settled()
            await self._batch(client, range(3 * fifth, self.requests))
            memory["at the end"] = await self._settled()
            seconds = time.perf_counter() - begun
        growth = memory["at the end"]["all"] / memory["warmed up"]["all"] - 1
        return {
            "inputs": len(self.answers),
            "outcomes": {kind: dict(sorted(counts.items())) for kind, counts in self.outcomes.items()},
            "seconds_until_ready": self.seconds_until_ready,
            "seconds": round(seconds, 1),
            "memory_mib": memory,
            "memory_mib_warming_up": rounds,
            "growth": round(growth, 4),
            "processor_seconds": processor_seconds(self.server.process),
        }

    async def _right_answers(self, client: httpx.AsyncClient, texts: Sequence[str]) -> dict[str, str]:
        """Ask one at a time what each input's answer is; near ties, which a batch may turn, are left out."""
        found = {}
        for text in dict.fromkeys(texts):
            answer = await client.post("/v1/predict", json={"model": self.model, "inputs": [text]})
            answer.raise_for_status()
            [row] = answer.json()["data"]
            likeliest = sorted(row.get("probabilities", {}).values(), reverse=True)
            if len(likeliest) < 2 or likeliest[0] - likeliest[1] > CLEAR:
                found[text] = row["label"]
        return found

    async def _warm_up(self, client: httpx.AsyncClient) -> list[float]:
        """Send further requests until the memory stays as it is; return it after every round, in MiB."""
        found = [(await self._settled())["all"]]
        for begun in range(self.requests, self.requests + self.most_to_warm_up, WARM):
            await self._batch(client, range(begun, begun + WARM))
            found.append((await self._settled())["all"])
            print(f"Warming up: {found[-1]:.0f} MiB after {begun + WARM - self.requests:,} requests", flush=True)
            if abs(found[-1] / found[-2] - 1) < WARMED:
                break
        return found

    async def _settled(self) -> dict[str, float]:
        """Measure the memory once it stays as it is without requests: a spare may be importing vLLM."""
        found, begun = memory_mib(self.server.process), time.monotonic()
        while time.monotonic() - begun < SETTLED_WITHIN_SECONDS:
            await asyncio.sleep(SETTLE_SECONDS)
            before, found = found, memory_mib(self.server.process)
            if abs(found["all"] / before["all"] - 1) < SETTLED:
                break
        return found

    async def _batch(self, client: httpx.AsyncClient, numbers: range) -> None:
        """Send the numbered requests, `CONCURRENCY` at a time."""
        waiting = iter(numbers)

        async def work() -> None:
            for number in waiting:
                kind = "dropped" if number % 100 == 55 else "malformed" if number % 10 == 3 else "good"
                send: Callable[[httpx.AsyncClient, int], Any] = getattr(self, f"_{kind}")
                outcome = await send(client, number)
                self.outcomes[kind][outcome] += 1

        await asyncio.gather(*(work() for _ in range(CONCURRENCY)))

    async def _good(self, client: httpx.AsyncClient, number: int) -> str:
        """Send a good request, and compare its answer."""
        draw = random.Random(number)
        texts = draw.sample(sorted(self.answers), 4 if number % 5 == 0 else 1)
        wanted = [self.answers[text] for text in texts]
        try:
            if len(texts) > 1:
                answer = await client.post("/v1/predict", json={"model": self.model, "inputs": texts})
                said = answer.is_success and [row["label"] for row in answer.json()["data"]]
            elif number % 10 == 1:
                answer, told = await _streamed(client, self._chat(texts[0]))
                said = [told]
            else:
                answer = await client.post("/v1/chat/completions", json=self._chat(texts[0]))
                said = answer.is_success and [answer.json()["choices"][0]["message"]["content"]]
        except (httpx.HTTPError, KeyError, ValueError) as error:
            return f"{LOST}: {type(error).__name__}"
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            await asyncio.sleep(float(answer.headers["retry-after"]))
            return (
                BUSY if set(answer.json()["error"]) == {"message", "type", "param", "code"} else "503 of another form"
            )
        if answer.is_error:
            return f"status {answer.status_code}"
        return RIGHT if said == wanted else f"wrong: {said}"[:60]

    def _chat(self, text: str) -> dict[str, Any]:
        return {"model": self.model, "messages": [{"role": "user", "content": text}]}

    async def _malformed(self, client: httpx.AsyncClient, number: int) -> str:
        """Send what is not a request, in one of several ways."""
        chat, json_type = "/v1/chat/completions", {"Content-Type": "application/json"}
        way = number // 10 % 8
        try:
            if way == 0:
                return await self._raw(b"\x16\x03\x01\x00\xa5not http at all\r\n\r\n", seconds=30)
            if way == 1:
                return await self._raw(b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n", 30)
            answer = await {
                2: lambda: client.post(chat, content=b'{"model": ', headers=json_type),
                3: lambda: client.post(chat, json={**self._chat("x"), "model": "no such model"}),
                4: lambda: client.post("/v1/predict", json={"inputs": 7}),
                5: lambda: client.post(
                    "/v1/predict", content=b'{"inputs": ["x"]}', headers={"Content-Type": "text/plain"}
                ),
                6: lambda: client.post(chat, json={"model": self.model, "messages": [{"role": "user", "content": 1}]}),
                7: lambda: client.post("/v1/predict", json={"inputs": ["y" * 500_000, "z" * 600_000]}),
            }[way]()
        except httpx.HTTPError as error:
            return f"{LOST}: {type(error).__name__}"
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            await asyncio.sleep(float(answer.headers["retry-after"]))
        return _class(answer.status_code)

    async def _dropped(self, _client: httpx.AsyncClient, number: int) -> str:
        """Send a request, or a part of it, and leave."""
        body = json.dumps(self._chat("my card")).encode()
        request = self._head(len(body)) + body
        _, writer = await self._connection()
        writer.write(request if number % 200 < 100 else request[:-9])
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.transport.abort()
        return "left"

    async def _slow(self, number: int) -> str:
        """Send the headers, or the body, byte by byte, until the server has enough."""
        head = self._head(1000)
        reader, writer = await self._connection()
        slowly = head if number % 2 else b"x" * 1000
        if not number % 2:
            writer.write(head)
        reading = asyncio.create_task(reader.read())
        begun = time.monotonic()
        for byte in slowly:
            if reading.done() or time.monotonic() - begun > SLOW_SECONDS:
                break
            writer.write(bytes([byte]))
            await asyncio.wait({reading}, timeout=1.0)
        outcome = "never ended"
        if reading.done():
            said = b"" if reading.exception() else reading.result()
            outcome = said[9:12].decode(errors="replace") or "ended"
        reading.cancel()
        writer.transport.abort()
        self.outcomes["slow"][outcome] += 1
        return outcome

    async def _raw(self, request: bytes, seconds: float) -> str:
        """Send bytes; return the class of the status that comes back."""
        reader, writer = await self._connection()
        writer.write(request)
        try:
            said = await asyncio.wait_for(reader.read(), seconds)
        except (TimeoutError, OSError) as error:
            return f"{LOST}: {type(error).__name__}"
        finally:
            writer.close()
        return _class(int(said.split()[1])) if said.startswith(b"HTTP/1.1 ") else f"{LOST}: {said[:20]!r}"

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        url = httpx.URL(self.server.url)
        return await asyncio.open_connection(url.host, url.port)

    def _head(self, length: int) -> bytes:
        return (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {length}\r\n\r\n"
        ).encode()

    async def _kill(self, client: httpx.AsyncClient) -> None:
        """Kill what runs the model, and note when the endpoint is ready again."""
        every = [(process, " ".join(process.cmdline())) for process in self.server.processes()]
        names = ("VLLM::EngineCore", "llmtl.serving.task_api.classifier_app")
        [engine] = [each for each, line in every if any(name in line for name in names) and "server.keeper" not in line]
        engine.kill()
        begun, gone = time.monotonic(), False
        while time.monotonic() - begun < 600:
            status = (await client.get("/ready")).status_code
            gone |= status != httpx.codes.OK
            if gone and status == httpx.codes.OK:
                self.seconds_until_ready = round(time.monotonic() - begun, 1)
                return
            await asyncio.sleep(0.1)


def _class(status: int) -> str:
    """Name a status as it is counted."""
    return "4xx" if 400 <= status < 500 else BUSY if status == 503 else f"status {status}"


async def _streamed(client: httpx.AsyncClient, body: dict[str, Any]) -> tuple[httpx.Response, str]:
    """Ask for a stream; return the response and the text of its pieces."""
    said = []
    async with client.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as answer:
        if answer.is_error:
            await answer.aread()
            return answer, ""
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                chunk = json.loads(line.removeprefix("data: "))
                if "error" in chunk:
                    return httpx.Response(503, json=chunk, headers={"Retry-After": "5"}), ""
                said += [choice["delta"].get("content") or "" for choice in chunk["choices"]]
    return answer, "".join(said)


def memory_mib(process: psutil.Process) -> dict[str, float]:
    """Measure the memory of a process and of each descendant in MiB (proportional set size), and of all together."""
    every = [process, *process.children(recursive=True)]
    found = {f"{position} {_role(each)}": each.memory_full_info().pss / MIB for position, each in enumerate(every, 1)}
    return {name: round(value, 1) for name, value in {**found, "all": sum(found.values())}.items()}


def processor_seconds(process: psutil.Process) -> dict[str, float]:
    """Measure the processor seconds that a process and each living descendant have used."""
    every = [process, *process.children(recursive=True)]
    times = [each.cpu_times() for each in every]
    roles = [f"{position} {_role(each)}" for position, each in enumerate(every, 1)]
    return {role: round(used.user + used.system, 1) for role, used in zip(roles, times, strict=True)}


def _role(process: psutil.Process) -> str:
    """Say what a process is, without paths."""
    line = " ".join(process.cmdline())
    known = ("imported_vllm", "vllm.entrypoints", "classifier_app", "front_proxy", "VLLM::", "resource_tracker")
    known += ("llmtl serve",)
    keeper = "llmtl.serving.server.keeper" in line
    return "keeper" if keeper else next((name for name in known if name in line), process.name())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Put a long load on a served bundle.")
    parser.add_argument("--run", type=Path, default=Path("runs/quickstart"), help="run folder (default: %(default)s)")
    parser.add_argument("--strategy", help="which measured strategy to serve (default: the winner)")
    parser.add_argument("--requests", type=int, default=10_000, help="how many (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, default=30_000, help="how many more at most (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
