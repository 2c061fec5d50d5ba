"""Requests that are answered together: in turns, within bounds, and none lost."""

import asyncio
import threading

import pytest

from llmtl.progress import unwatched
from llmtl.serving.task_api.batching import BATCH_INPUTS, TURN_INPUTS, Batching
from llmtl.serving.task_api.requests import RequestError
from llmtl.strategy import Prediction


class Slow:
    """A predictor that echoes; it begins a batch only when it is let, and keeps the batches that it was given."""

    def __init__(self):
        self.let = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.batches = []

    def predict(self, inputs, *, advance=unwatched):
        self.batches.append(list(inputs))
        self.begun.release()
        assert self.let.acquire(timeout=600)
        if "broken" in inputs:
            raise ValueError("broken")
        return [Prediction(str(at), text) for at, text in enumerate(inputs)]


def run(scenario, *, waiting_inputs=1000, seconds=600.0):
    """Run a scenario with a predictor whose first batch, one input, has begun and waits."""

    async def whole():
        slow = Slow()
        batching = Batching(slow.predict, waiting_inputs=waiting_inputs, seconds=seconds)
        first = asyncio.create_task(batching.answer(["first"]))
        assert await asyncio.to_thread(slow.begun.acquire, timeout=600)
        try:
            await scenario(slow, batching)
        finally:
            slow.let.release(1000)
            assert [each.answer for each in await first] == ["first"]
            await asyncio.to_thread(batching.close)

    asyncio.run(whole())


async def waiting(batching, *requests):
    """Send requests, one after another, and come back when all of them are in the queue."""
    tasks = [asyncio.create_task(batching.answer(texts)) for texts in requests]
    await asyncio.sleep(0)
    return tasks


async def answers(task):
    return [each.answer for each in await task]


def test_what_waits_at_once_is_one_batch_and_everybody_gets_the_own_answers():
    async def scenario(slow, batching):
        tasks = await waiting(batching, ["a"], ["b", "c"], ["d"])
        slow.let.release(1000)
        assert [await answers(each) for each in tasks] == [["a"], ["b", "c"], ["d"]]
        assert slow.batches == [["first"], ["a", "b", "c", "d"]]

    run(scenario)


def test_a_large_request_shares_its_batches_with_small_ones():
    many = [f"m{at}" for at in range(100)]

    async def scenario(slow, batching):
        large, small = await waiting(batching, many, ["small"])
        slow.let.release(1000)
        assert await answers(small) == ["small"]
        assert await answers(large) == many
        assert slow.batches[1] == [*many[:TURN_INPUTS], "small"]
        assert max(map(len, slow.batches)) == BATCH_INPUTS

    run(scenario)


def test_more_than_may_wait_is_refused_at_once():
    async def scenario(slow, batching):
        tasks = await waiting(batching, ["a", "b"])
        with pytest.raises(RequestError) as refused:
            await batching.answer(["c", "d"])
        assert (refused.value.status, refused.value.code) == (503, "overloaded")
        slow.let.release(1000)
        assert await answers(tasks[0]) == ["a", "b"]
        assert await answers(asyncio.create_task(batching.answer(["later", "on", "many"]))) == ["later", "on", "many"]

    run(scenario, waiting_inputs=3)


def test_who_waited_too_long_is_refused_and_not_computed():
    async def scenario(slow, batching):
        [task] = await waiting(batching, ["late"])
        await asyncio.sleep(1.1)
        slow.let.release(1000)
        with pytest.raises(RequestError, match="try again"):
            await task
        assert slow.batches == [["first"]]

    run(scenario, seconds=1.0)


def test_nothing_is_computed_for_a_client_that_left():
    async def scenario(slow, batching):
        gone, stays = await waiting(batching, ["gone"], ["stays"])
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        slow.let.release(1000)
        assert await answers(stays) == ["stays"]
        assert slow.batches == [["first"], ["stays"]]

    run(scenario)


def test_a_failure_is_that_of_its_batch_and_the_next_one_is_answered():
    async def scenario(slow, batching):
        [broken] = await waiting(batching, ["broken"])
        slow.let.release(1000)
        with pytest.raises(ValueError, match="broken"):
            await broken
        assert await answers(asyncio.create_task(batching.answer(["whole"]))) == ["whole"]

    run(scenario)


def test_who_waits_when_the_server_stops_is_refused():
    async def scenario(slow, batching):
        [task] = await waiting(batching, ["left behind"])
        closing = asyncio.create_task(asyncio.to_thread(batching.close))
        while not batching._closed:
            await asyncio.sleep(0.01)
        slow.let.release(1000)
        await closing
        with pytest.raises(RequestError):
            await task
        with pytest.raises(RequestError):
            await batching.answer(["after"])

    run(scenario)
