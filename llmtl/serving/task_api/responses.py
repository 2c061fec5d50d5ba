"""What clients get back: errors in OpenAI's format, predictions, and the engine's answers under the client's names.

Responses are rewritten only where something has to change: the model's name by one substitution in the bytes, the
answer by reading the JSON. Not covered: making answers (`llmtl.serving.task_api.scoring`, vLLM).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Message, Send

from llmtl.serving.bundle.manifest import Abstaining, ServedStrategy
from llmtl.serving.task_api.answer_format import AS_IT_IS, PLAINLY, Saying
from llmtl.serving.task_api.requests import RequestError

Parse = Callable[[str], str | None]
"""From what the model wrote to the label it means, or None when it means none."""

Hear = Callable[[str], None]
"""Called with what the model wrote, once all of it is known."""

_MODEL = re.compile(rb'"model":"(?:[^"\\]|\\.)*"')
"""The model's name in compact JSON; inside a text its quotes would be escaped, so it matches nothing else."""

_EVENT = b"data: "
_EVENT_END = b"\n\n"


@dataclass(frozen=True)
class Predicted:
    """The answer to one input of `/v1/predict`: fields beside `index`, the tokens of its prompt, and how sure it is.

    Of an answer that a language model wrote `written` is the whole text, with its tokens and why it ended.
    """

    fields: dict[str, Any]
    prompt_tokens: int
    certainty: float | None = None
    written: str = ""
    completion_tokens: int = 1
    finish_reason: str = "stop"

    def row(self, abstains: Abstaining | None) -> dict[str, Any]:
        """Return the fields of the response, with whether a person should answer instead where that is known."""
        if abstains is None:
            return self.fields
        return {**self.fields, "confidence": self.certainty, "abstain": abstains.leaves(self.certainty)}


def labelled(label: str, probabilities: dict[str, float], prompt_tokens: int) -> Predicted:
    """Return a label with the probability of every label."""
    fields = {"label": label, "probabilities": probabilities}
    return Predicted(fields, prompt_tokens, certainty=probabilities.get(label))


def no_threshold(model: str) -> RequestError:
    """Return the error for a chat that asks to abstain where test showed no threshold."""
    return RequestError(
        f"'{model}' cannot abstain: test showed no confidence above which few enough answers are wrong; leave "
        "'abstain' out.",
        param="abstain",
        code="no_threshold",
    )


_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}
"""What a refusal says in its headers, by its status."""


def error_response(error: RequestError) -> JSONResponse:
    """Return a refusal in OpenAI's error format."""
    content = {"message": str(error), "type": error.kind, "param": error.param, "code": error.code}
    return JSONResponse({"error": content}, status_code=error.status, headers=_HEADERS.get(error.status))


def not_allowed(path: str, allowed: str) -> RequestError:
    """Return the error for the wrong HTTP method."""
    return RequestError(f"{path} takes {allowed} requests.", status=405, code="method_not_allowed")


def predictions_response(strategy: ServedStrategy, rows: Sequence[Predicted]) -> JSONResponse:
    """Return the answer of a strategy to `/v1/predict`."""
    tokens = sum(row.prompt_tokens for row in rows)
    return JSONResponse(
        {
            "object": "list",
            "model": strategy.model,
            "data": [{"index": index, **row.row(strategy.abstains)} for index, row in enumerate(rows)],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


@dataclass(frozen=True)
class Change:
    """How what a model wrote becomes what a client is told: what it means by `parse`, then said as the client wants.

    `hear` is called with what was written. None, or the default, leaves everything as it is.
    """

    parse: Parse | None = None
    saying: Saying = PLAINLY
    hear: Hear | None = None

    @property
    def holds(self) -> bool:
        """Say whether nothing can be told before all is written."""
        return self.parse is not None or self.saying.writing != AS_IT_IS

    @property
    def is_none(self) -> bool:
        """Say whether what was written is told as it is."""
        return self.parse is None and self.saying.changes_nothing

    def told(self, written: str) -> str:
        """Say what was written; the texts that end an answer have been left to the model."""
        return self.saying.writing.write((self.parse and self.parse(written)) or written)

    def all(self, choices: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the one choice of a response as often as it was asked for."""
        return [{**choice, "index": index} for choice in choices for index in range(self.saying.n)]


def rewriting(send: Send, *, model: str | None, change: Change | None = None) -> Send:
    """Return a `send` that names `model` in the response, None for the one that is there, and changes answers.

    Error responses pass unchanged.
    """
    return _Rewriter(send, model, change or Change()).send


class _Rewriter:
    """One response on its way to the client: its start is held back until its new length is known."""

    def __init__(self, send: Send, model: str | None, change: Change) -> None:
        self._send = send
        self._name = None if model is None else b'"model":' + json.dumps(model).encode()
        self._change = change
        self._start: Message = {}
        self._pieces: list[bytes] = []
        self._events: _Events | None = None

    async def send(self, message: Message) -> None:
        """Pass one ASGI message on, rewritten."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] != "http.response.body" or self._start.get("status") != 200:
            await self._send(message)
        elif self._events is not None:
            await self._send({**message, "body": self._named(self._events.feed(message.get("body", b"")))})
        else:
            await self._collect(message)

    async def _begin(self, start: Message) -> None:
        """Hold the start of a response in one piece back; pass that of a stream or an error on."""
        self._start = start
        kind = next((value for key, value in start["headers"] if key.lower() == b"content-type"), b"")
        if kind.startswith(b"text/event-stream"):
            self._events = _Events(self._change)
        if self._events is not None or start["status"] != 200:
            await self._send(start)

    async def _collect(self, message: Message) -> None:
        """Keep a piece of the body; after the last one, send the response."""
        self._pieces.append(message.get("body", b""))
        if message.get("more_body"):
            return
        body = self._named(_changed_body(b"".join(self._pieces), self._change))
        kept = [pair for pair in self._start["headers"] if pair[0].lower() != b"content-length"]
        await self._send({**self._start, "headers": [*kept, (b"content-length", b"%d" % len(body))]})
        await self._send({"type": "http.response.body", "body": body})

    def _named(self, body: bytes) -> bytes:
        """Return `body` with the client's name of the model."""
        name = self._name
        return body if name is None else _MODEL.sub(lambda match: name, body)


class _Events:
    """A stream of server-sent events in which what is not told as it is written comes in one piece, at the end."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._rest = b""
        self._answer = ""

    def feed(self, piece: bytes) -> bytes:
        """Return what can be sent after `piece` arrived."""
        if self._change == Change():
            return piece
        *events, self._rest = (self._rest + piece).split(_EVENT_END)
        return b"".join(self._event(event) + _EVENT_END for event in events)

    def _event(self, event: bytes) -> bytes:
        """Return one event with its part of the answer held back, or with all of it at the end."""
        if not event.startswith(_EVENT + b"{"):
            return event
        chunk = json.loads(event[len(_EVENT) :])
        for choice in chunk.get("choices", ()):
            delta = choice.get("delta", {})
            self._answer += delta.get("content") or ""
            if choice.get("finish_reason") and self._change.hear:
                self._change.hear(self._answer)
            if self._change.holds:
                self._hold_back(choice, delta)
        if self._change.is_none:
            return event
        if "choices" in chunk:
            chunk["choices"] = self._change.all(chunk["choices"])
        return _EVENT + _compact(chunk)

    def _hold_back(self, choice: Mapping[str, Any], delta: dict[str, Any]) -> None:
        """Tell nothing until the end, and then everything."""
        if "content" in delta:
            delta["content"] = ""
        if choice.get("finish_reason"):
            delta["content"] = self._change.told(self._answer)


def _changed_body(body: bytes, change: Change) -> bytes:
    """Return a chat completion with its answer as the client is told it."""
    if change == Change():
        return body
    completion = json.loads(body)
    for choice in completion.get("choices", ()):
        said = choice["message"]["content"]
        if change.hear:
            change.hear(said or "")
        choice["message"]["content"] = change.told(said) if said else said
    if change.is_none:
        return body
    completion["choices"] = change.all(completion.get("choices", ()))
    return _compact(completion)


def _compact(value: Any) -> bytes:
    """Return JSON as Starlette and vLLM write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
