"""Answers to several requests at once: what waits while a batch is computed makes up the next one.

One worker thread computes; nobody waits for a batch to fill. Requests take turns within a batch, so that one of 256
inputs does not hold up those of one. Not covered: batches of vLLM (its own), models at a provider.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar

from llmtl.serving.task_api.requests import RequestError

Made = TypeVar("Made")

BATCH_INPUTS = 32
"""The inputs of one batch, at most: what encoders and language models of a CPU gain by larger ones is little."""
TURN_INPUTS = 8
"""The inputs of one request in a batch, while others wait."""


@dataclass
class _Waiting(Generic[Made]):
    """A request: what is left to compute, and what was."""

    texts: deque[str]
    latest: float
    answer: Future[list[Made]] = field(default_factory=Future)
    made: list[Made] = field(default_factory=list)
    started: bool = False


class Batching(Generic[Made]):
    """A queue in front of what computes something for each text, and the one thread that works it off.

    At most `waiting_inputs` wait, all requests together, and a request waits at most `seconds` for its first batch. An
    exception of the computation is that of every request with an input in the batch.
    """

    def __init__(
        self, compute: Callable[[Sequence[str]], Sequence[Made]], *, waiting_inputs: int, seconds: float
    ) -> None:
        self._compute = compute
        self._waiting_inputs = waiting_inputs
        self._seconds = seconds
        self._queue: deque[_Waiting[Made]] = deque()
        self._turn = Lock()
        self._busy = False
        self._closed = False
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llmtl-batches")

    async def answer(self, texts: Sequence[str]) -> list[Made]:
        """Compute in order, one result per text; what nobody waits for any more is not computed.

        Raises `RequestError` (503): at once where too many inputs wait already, and after the longest wait.
        """
        if not texts:
            return []
        request = _Waiting[Made](deque(texts), latest=monotonic() + self._seconds)
        with self._turn:
            if self._closed or sum(len(each.texts) for each in self._queue) + len(texts) > self._room(texts):
                raise _overloaded()
            self._queue.append(request)
        self._begin()
        return await asyncio.wrap_future(request.answer)

    def close(self) -> None:
        """Refuse what waits, after the batch that is being computed."""
        with self._turn:
            self._closed = True
        self._worker.shutdown()
        for request in self._queue:
            _refuse(request, _overloaded())

    def _room(self, texts: Sequence[str]) -> int:
        """Say how many inputs may wait; a request larger than the whole queue is let in when nobody else waits."""
        return max(self._waiting_inputs, len(texts))

    def _begin(self) -> None:
        """Let the worker compute the next batch, unless it computes one or nothing waits."""
        with self._turn:
            batch = [] if self._busy or self._closed else self._next_batch()
            if not batch:
                return
            self._busy = True
            computed = self._worker.submit(self._compute, [text for _, part in batch for text in part])
        computed.add_done_callback(partial(self._end, batch))  # at once, in this thread, where it is done already

    def _end(self, batch: Sequence[tuple[_Waiting[Made], list[str]]], computed: Future[Sequence[Made]]) -> None:
        """Give each request its part of a batch, or what went wrong, and begin the next one."""
        error = computed.exception()
        made = iter(() if error else computed.result())
        for request, part in batch:
            if error:
                _refuse(request, error)
                continue
            request.made += [next(made) for _ in part]
            if not request.texts:
                _settle(request)
        with self._turn:
            self._busy = False
        self._begin()

    def _next_batch(self) -> list[tuple[_Waiting[Made], list[str]]]:
        """Take the next inputs from the queue, its requests in turns; whoever has more of them goes to its end."""
        self._drop_late()
        batch: list[tuple[_Waiting[Made], list[str]]] = []
        room = BATCH_INPUTS
        alone = len(self._queue) == 1
        for _ in range(len(self._queue)):
            if room == 0:
                break
            request = self._queue.popleft()
            count = min(len(request.texts), room if alone else min(room, TURN_INPUTS))
            batch.append((request, [request.texts.popleft() for _ in range(count)]))
            request.started = True
            room -= count
            if request.texts:
                self._queue.append(request)
        return batch

    def _drop_late(self) -> None:
        """Take out the requests that were given up, and refuse those that waited too long."""
        now, kept = monotonic(), []
        for request in self._queue:
            if request.answer.done():
                continue
            if not request.started and now > request.latest:
                _refuse(request, _overloaded())
                continue
            kept.append(request)
        self._queue = deque(kept)


def _settle(request: _Waiting[Made]) -> None:
    if not request.answer.done() and request.answer.set_running_or_notify_cancel():
        request.answer.set_result(request.made)


def _refuse(request: _Waiting[Made], error: BaseException) -> None:
    request.texts.clear()
    if not request.answer.done() and request.answer.set_running_or_notify_cancel():
        request.answer.set_exception(error)


def _overloaded() -> RequestError:
    return RequestError(
        "The server has more to answer than it can; try again in a second.",
        status=503,
        code="overloaded",
        kind="server_error",
    )
