"""Answers that are not a single label, JSON or text: one in-process chat request per input, read as in measuring.

Not covered: labels (`llmtl.serving.task_api.scoring`).
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from math import fsum
from typing import Any

from starlette.types import ASGIApp, Scope

from llmtl.kinds.kind import Kind, Read
from llmtl.serving.bundle.manifest import ServedStrategy
from llmtl.serving.task_api.asgi import call, together
from llmtl.serving.task_api.interface import CHAT
from llmtl.serving.task_api.responses import Predicted
from llmtl.serving.task_api.scoring import REQUESTS_AT_ONCE, UpstreamError

_SHOWN = 60
"""Characters of an unreadable answer that are told."""

Reader = Callable[[ServedStrategy, str, str], Read]
"""Call it with a strategy, what its model wrote and the input."""


class Generator:
    """Answers of a task's kind by asking `app`; `word` turns a text into the body of its chat request."""

    def __init__(
        self, app: ASGIApp, kind: Kind, *, word: Callable[[ServedStrategy, str, str], bytes], read: Reader
    ) -> None:
        self._app = app
        self._kind = kind
        self._word = word
        self._read = read
        self._turns = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def predict(self, scope: Scope, strategy: ServedStrategy, texts: Sequence[str]) -> list[Predicted]:
        """Return one answer per text, in order; what cannot be read is an answer that says so.

        Raises `RequestError` for a text that does not fit the context, before anything is asked, and `UpstreamError`.
        """
        bodies = [self._word(strategy, text, f"inputs[{position}]") for position, text in enumerate(texts)]
        return await together(
            self._ask(scope, strategy, body=body, text=text) for body, text in zip(bodies, texts, strict=True)
        )

    async def _ask(self, scope: Scope, strategy: ServedStrategy, *, body: bytes, text: str) -> Predicted:
        """Return the answer to one chat request."""
        async with self._turns:
            answer = await call(self._app, scope, CHAT, body)
        if answer.status != 200:
            raise UpstreamError(answer)
        completion = json.loads(answer.body)
        [choice] = completion["choices"]
        written = choice["message"]["content"] or ""
        error = _unreadable(written, finished=choice["finish_reason"] != "length")
        read, usage = self._read(strategy, written, text), completion["usage"]
        return Predicted(
            self._kind.fields(read, error=error),
            usage["prompt_tokens"],
            certainty=None if read.answer is None else _certainty(strategy, choice),
            written=written,
            completion_tokens=usage.get("completion_tokens", 0),
            finish_reason=choice["finish_reason"],
        )


def _certainty(strategy: ServedStrategy, choice: Mapping[str, Any]) -> float | None:
    """Return how sure a written answer is, from the log-probabilities of all its tokens; None where nobody asked."""
    calibration = strategy.abstains.calibration if strategy.abstains else None
    told = (choice.get("logprobs") or {}).get("content")
    return calibration.chance(fsum(each["logprob"] for each in told)) if calibration and told else None


def _unreadable(written: str, *, finished: bool) -> str:
    """Say why what was written is not an answer, in case it is none."""
    if not written.strip():
        return "The model wrote nothing; try another wording of the message."
    why = "cannot be read" if finished else "was cut off at the task's longest"
    return f"The answer {why}; it began: {written:.{_SHOWN}}"
