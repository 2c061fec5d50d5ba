"""What the live endpoint does under load: latency and throughput of single-message chat requests.

The inputs are spliced from recorded ones (the first half of one, the second half of another), so that lengths are real
and no prompt was seen before: the prefix cache helps with what all requests share, as in use, and with nothing else.
Not covered: open-loop arrivals, long runs (`evals/`).
"""

import asyncio
import itertools
import random
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httpx
import numpy as np

from llmtl.errors import ServingError
from llmtl.measured.endpoint import Load
from llmtl.report import wording
from llmtl.serving.proof.target import LiveEndpoint, reason
from llmtl.serving.server.notice import Notice

CONCURRENCIES = (1, 8, 64)
REQUESTS = {1: 100, 8: 400, 64: 1000}
"""At most this many requests at a concurrency, and at most `SECONDS` of them."""
SECONDS = 20.0
SEED = 0
PAID_ALONE = 10
"""Where requests are paid for, so many of them, at most half, go one at a time."""
_REQUEST_SECONDS = 120.0
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The server is reached without TLS; loading certificates for every client would take a second."""
_MOST_TEXTS = 200
"""Enough for 39,800 different pairs."""


@dataclass
class _Tally:
    """What one concurrency has done so far."""

    milliseconds: list[float] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""

    @property
    def done(self) -> int:
        return len(self.milliseconds) + self.errors

    def fail(self, why: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or why


def measure_load(
    endpoint: LiveEndpoint,
    texts: Sequence[str],
    *,
    notice: Notice,
    concurrencies: Sequence[int] = CONCURRENCIES,
    seconds: float = SECONDS,
) -> tuple[Load, ...]:
    """Measure each concurrency; raises `ServingError` when not one request succeeds.

    Latency is a client's wall time of one request. Throughput counts successful requests from the first start to the
    last end. As many requests as the concurrency go first and are not counted.
    """
    stream = spliced(texts)
    loads = []
    for concurrency in concurrencies:
        most = REQUESTS.get(concurrency, 10 * concurrency)
        loads.append(asyncio.run(_measure(endpoint, stream, concurrency, most=most, seconds=seconds, notice=notice)))
    notice.clear()
    return tuple(loads)


def measure_paid(
    endpoint: LiveEndpoint, texts: Sequence[str], *, notice: Notice, at_once: int, seconds: float = SECONDS
) -> tuple[Load, ...]:
    """Measure each concurrency where every request is paid for: each text is asked once, and no others.

    The first texts go one at a time, the others `at_once`, and nothing goes before them that is not counted. `texts`
    must be new to the server, which keeps replies. Raises `ServingError` when not one request succeeds.
    """
    alone = min(PAID_ALONE, -(-len(texts) // 2)) if at_once > 1 else len(texts)
    parts = [(1, texts[:alone]), (min(at_once, len(texts) - alone), texts[alone:])]
    loads = [
        asyncio.run(
            _measure(endpoint, iter(part), number, most=len(part), seconds=seconds, notice=notice, go_first=False)
        )
        for number, part in parts
        if part
    ]
    notice.clear()
    return tuple(loads)


def spliced(texts: Sequence[str]) -> Iterator[str]:
    """Make inputs without end, each the first half of one text and the second half of another, by words."""
    texts = texts[:_MOST_TEXTS]
    halves = [_halves(text) for text in texts]
    draw = random.Random(SEED)
    pairs = list(itertools.permutations(range(len(texts)), 2)) or [(0, 0)]
    while True:
        draw.shuffle(pairs)
        for first, second in pairs:
            yield f"{halves[first][0]} {halves[second][1]}".strip() or texts[first]


def _halves(text: str) -> tuple[str, str]:
    words = text.split()
    middle = (len(words) + 1) // 2
    return " ".join(words[:middle]), " ".join(words[middle:])


async def _measure(
    endpoint: LiveEndpoint,
    stream: Iterator[str],
    concurrency: int,
    *,
    most: int,
    seconds: float,
    notice: Notice,
    go_first: bool = True,
) -> Load:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(_client(endpoint)) for _ in range(concurrency)]
        if go_first:
            await asyncio.gather(*(_request(client, endpoint, next(stream), _Tally()) for client in clients))
        tally, start = _Tally(), time.perf_counter()
        requests = itertools.islice(stream, most)

        async def work(client: httpx.AsyncClient) -> None:
            for text in requests:
                await _request(client, endpoint, text, tally)
                passed = time.perf_counter() - start
                notice.status(f"Load: {concurrency} at a time", f"{tally.done} requests in {wording.duration(passed)}")
                if passed > seconds:
                    return

        await asyncio.gather(*(work(client) for client in clients))
        if tally.errors:
            notice.say(f"{tally.errors} of {tally.done} requests failed; the first: {tally.first_error}")
        return _load(concurrency, tally, time.perf_counter() - start)


def _client(endpoint: LiveEndpoint) -> httpx.AsyncClient:
    """Return a client with a connection of its own.

    In one pool, 64 requests wait for each other in the pool's bookkeeping, and it is httpx that is measured.
    """
    return httpx.AsyncClient(
        headers=endpoint.headers, timeout=_REQUEST_SECONDS, trust_env=False, verify=_NO_CERTIFICATES
    )


async def _request(client: httpx.AsyncClient, endpoint: LiveEndpoint, text: str, tally: _Tally) -> None:
    begin = time.perf_counter()
    try:
        response = await client.post(f"{endpoint.openai_url}/chat/completions", json=endpoint.chat(text))
    except httpx.HTTPError as error:
        tally.fail(f"{type(error).__name__} {error}".strip())
        return
    if response.is_success:
        tally.milliseconds.append(1000 * (time.perf_counter() - begin))
    else:
        tally.fail(f"{response.status_code}: {reason(response)}")


def _load(concurrency: int, tally: _Tally, seconds: float) -> Load:
    if not tally.milliseconds:
        raise ServingError(
            f"None of {tally.errors} requests succeeded, {concurrency} at a time ({tally.first_error}); see the log."
        )
    return Load(
        concurrency=concurrency,
        requests=tally.done,
        errors=tally.errors,
        p50_ms=float(np.percentile(tally.milliseconds, 50)),
        p95_ms=float(np.percentile(tally.milliseconds, 95)),
        requests_per_second=len(tally.milliseconds) / seconds,
    )
