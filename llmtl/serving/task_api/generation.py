"""Answers that are no labels, JSON spans or text: one in-process chat request an input.

Not covered: labels (`llmtl.serving.task_api.scoring`).
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from starlette.types import ASGIApp, Scope

from llmtl.serving.bundle.manifest import Output, ServedStrategy
from llmtl.serving.task_api.asgi import call, together
from llmtl.serving.task_api.responses import Predicted
from llmtl.serving.task_api.routes import CHAT
from llmtl.serving.task_api.scoring import REQUESTS_AT_ONCE, UpstreamError


class Generator:
    """Answers of a task's form by asking `app`; `word` turns a text into the body of its chat request."""

    def __init__(self, app: ASGIApp, output: Output, word: Callable[[ServedStrategy, str, str], bytes]) -> None:
        self._app = app
        self._output = output
        self._word = word
        self._turns = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def predict(self, scope: Scope, strategy: ServedStrategy, texts: Sequence[str]) -> list[Predicted]:
        """Return one answer a text, in order.

        Raises `RequestError` for a text that does not fit the context, before anything is asked, and `UpstreamError`.
        """
        bodies = [self._word(strategy, text, f"inputs[{position}]") for position, text in enumerate(texts)]
        return await together(self._ask(scope, body) for body in bodies)

    async def _ask(self, scope: Scope, body: bytes) -> Predicted:
        """Return the answer to one chat request."""
        async with self._turns:
            answer = await call(self._app, scope, CHAT, body)
        if answer.status != 200:
            raise UpstreamError(answer)
        completion = json.loads(answer.body)
        said = completion["choices"][0]["message"]["content"] or ""
        return Predicted({"output": self._parsed(said)}, completion["usage"]["prompt_tokens"])

    def _parsed(self, said: str) -> Any:
        """Return JSON as its value, and as text where it was cut off by `max_tokens`."""
        if self._output.form != "json":
            return said
        try:
            return json.loads(said)
        except ValueError:
            return said
