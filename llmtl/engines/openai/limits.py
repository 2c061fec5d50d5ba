"""Limit how fast a hosted model is asked, and what asking it may cost.

Not covered: pauses after a refusal (429 and 5xx), which the `openai` package makes and which Retry-After governs.
"""

import time
from collections.abc import Iterable
from threading import Lock
from typing import Protocol

from llmtl.engines.openai.replies import Reply
from llmtl.errors import SpendLimitError

SECONDS_PER_MINUTE = 60.0


class Prices(Protocol):
    """What tokens cost; an engine does not know how a recipe states it."""

    def usd(self, *, prompt: int, cached: int, completion: int) -> float:
        """Price one request in USD; `cached` tokens are part of `prompt`."""


def usd_of(replies: Iterable[Reply], prices: Prices) -> float:
    """Add up the USD of the requests that brought these replies."""
    return sum(
        prices.usd(prompt=reply.prompt_tokens, cached=reply.cached_tokens, completion=reply.completion_tokens)
        for reply in replies
    )


def tokens_of(replies: Iterable[Reply]) -> tuple[int, int, int]:
    """Add up the tokens of prompts, those of them that were cached, and those of completions."""
    prompt = cached = completion = 0
    for reply in replies:
        prompt += reply.prompt_tokens
        cached += reply.cached_tokens
        completion += reply.completion_tokens
    return prompt, cached, completion


class Pace:
    """Starts requests at even intervals, at most `per_minute`; None starts each at once."""

    def __init__(self, per_minute: float | None) -> None:
        self._distance_seconds = SECONDS_PER_MINUTE / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = Lock()

    def wait(self) -> None:
        """Block until the next request may start."""
        with self._lock:
            start = max(time.monotonic(), self._next)
            self._next = start + self._distance_seconds
        time.sleep(max(0.0, start - time.monotonic()))


class Meter:
    """Counts requests and USD, and refuses a request that could pass the limit.

    What a request can cost at most is set aside before it is sent, so that requests under way together cannot pass the
    limit either. Without `prices` nothing is priced or limited. `section` names the part of the recipe with the limit.
    """

    def __init__(self, prices: Prices | None, max_usd: float | None, *, section: str = "strategies.hosted") -> None:
        self._prices, self._max_usd, self._section = prices, max_usd, section
        self._lock = Lock()
        self._reserved = 0.0
        self.requests = 0
        self.usd = 0.0

    def reserve(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Set aside the most that a request can cost and return it in USD; raise `SpendLimitError` at the limit."""
        if self._prices is None:
            return 0.0
        most = self._prices.usd(prompt=prompt_tokens, cached=0, completion=completion_tokens)
        with self._lock:
            if self._max_usd is not None and self.usd + self._reserved + most > self._max_usd:
                raise SpendLimitError(
                    f"The spend limit of {self._max_usd:g} USD is reached ({self.usd:.4f} USD spent, and the next "
                    f"request may cost {most:.4f}); raise {self._section}.max_usd, and what was answered is not paid "
                    "again."
                )
            self._reserved += most
        return most

    def settle(self, reserved: float, reply: Reply | None) -> None:
        """Replace what was set aside by what the reply cost; None for a request that brought none."""
        with self._lock:
            self._reserved -= reserved
            if reply is None:
                return
            self.requests += 1
            if self._prices is not None:
                self.usd += self._prices.usd(
                    prompt=reply.prompt_tokens, cached=reply.cached_tokens, completion=reply.completion_tokens
                )
