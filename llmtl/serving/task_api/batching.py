"""Answers to several requests at once: what waits while a batch is computed makes up the next one.

One worker thread computes; nobody waits for a batch to fill. Requests take turns within a batch, so that one of 256
inputs does not hold up those of one. Not covered: batches of vLLM (its own), models at a provider.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
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
    """A queue in front of what computes something for each text, and the thread that works it off.

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
        self._change = Condition()
        self._closed = False
        self._thread = Thread(target=self._work, name="llmtl-batches", daemon=True)
        self._thread.start()

    async def answer(self, texts: Sequence[str]) -> list[Made]:
        """Compute in order, one result per text; what nobody waits for any more is not computed.

        Raises `RequestError` (503): at once where too many inputs wait already, and after the longest wait.
        """
        if not texts:
            return []
        request: _Waiting[Made] = _Waiting(deque(texts), latest=monotonic() + self._seconds)
        with self._change:
            if self._closed or sum(len(each.texts) for each in self._queue) + len(texts) > self._room(texts):
                raise _busy()
            self._queue.append(request)
            self._change.notify()
        try:
            return await asyncio.wrap_future(request.answer)
        except asyncio.CancelledError:
            request.answer.cancel()
            raise

    def close(self) -> None:
        """Refuse what waits, and end the thread after the batch that it computes."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join()
        for request in self._queue:
            _refuse(request, _busy())

    def _room(self, texts: Sequence[str]) -> int:
        """Say how many inputs may wait; a request larger than the whole queue is let in when nobody else waits."""
        return max(self._waiting_inputs, len(texts))

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or self._queue)
                if self._closed:
                    return
                batch = self._next_batch()
            if batch:
                self._predict(batch)

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
                _refuse(request, _busy())
                continue
            kept.append(request)
        self._queue = deque(kept)

    def _predict(self, batch: Sequence[tuple[_Waiting[Made], list[str]]]) -> None:
        texts = [text for _, part in batch for text in part]
        try:
            made = iter(self._compute(texts))
        except Exception as error:  # noqa: BLE001 - it is that of the requests; the thread must go on
            for request, _ in batch:
                _refuse(request, error)
            return
        for request, part in batch:
            request.made += [next(made) for _ in part]
            if not request.texts and not request.answer.done():
                _settle(request)


def _settle(request: _Waiting[Made]) -> None:
    if request.answer.set_running_or_notify_cancel():
        request.answer.set_result(request.made)


def _refuse(request: _Waiting[Made], error: Exception) -> None:
    request.texts.clear()
    if not request.answer.done() and request.answer.set_running_or_notify_cancel():
        request.answer.set_exception(error)


def _busy() -> RequestError:
    return RequestError(
        "The server has more to answer than it can; try again in a second.",
        status=503,
        code="overloaded",
        kind="server_error",
    )
