"""Ask an OpenAI-compatible server for chat completions: retries, pace, spend limit and a cache of replies.

The `openai` package retries connection errors, 408, 409, 429 and 5xx with exponential back-off and heeds Retry-After.
If a server refuses a feature (log-probabilities, JSON schemas), it is not asked for it again.
Not covered: streaming, other routes, tools.
"""

import math
import os
import re
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import openai
from openai.types.chat import ChatCompletion

from llmtl.engines.openai.config import HostedModel
from llmtl.engines.openai.limits import Meter, Pace
from llmtl.engines.openai.replies import Reply, ReplyCache, Step
from llmtl.errors import ContextLengthError, HostedError
from llmtl.progress import Advance
from llmtl.redaction import keep_secret, redacted, redacted_bytes
from llmtl.store import digest
from llmtl.values import Message

_MESSAGE_TOKENS = 8
"""Control tokens around one message, at most: an allowance for the spend limit."""
_NO_KEY = "none"
"""What the `openai` package gets if the server wants no key; it does not accept an empty one."""
_TOO_LONG = re.compile(r"context.{0,20}(length|window)|maximum.{0,20}(tokens|length)|too long", re.IGNORECASE)
_FEATURES = {
    "logprobs": ("logprobs", re.compile(r"logprob", re.IGNORECASE)),
    "schema": ("response_format", re.compile(r"schema|response_format", re.IGNORECASE)),
}
"""What a server may lack: the field that asks for it, and the words by which a refusal is recognised."""


@dataclass(frozen=True)
class Question:
    """One request: the conversation, the most tokens to write, a JSON schema of the answer or None.

    The text `stop` ends an answer. `logprobs` asks for the probabilities of the written tokens, `likeliest` for those
    of the likeliest ones at each place, too.
    """

    messages: Sequence[Message]
    max_tokens: int
    schema: Mapping[str, Any] | None = None
    stop: str | None = None
    logprobs: bool = False
    likeliest: bool = False


class HostedClient:
    """Asks one model; raises `HostedError` if its key is not set."""

    def __init__(self, model: HostedModel, cache: ReplyCache) -> None:
        self._model, self._endpoint = model, model.endpoint
        self._cache = cache
        self._pace = Pace(self._endpoint.requests_per_minute)
        self._meter = Meter(model.prices, self._endpoint.max_usd, section=model.section)
        self._unsupported: set[str] = set() if model.top_logprobs else {"logprobs"}
        self._client = openai.OpenAI(
            api_key=_key(model),
            base_url=self._endpoint.base_url,
            timeout=self._endpoint.timeout_seconds,
            max_retries=self._endpoint.max_retries,
            http_client=_straight() if self._endpoint.on_this_machine else _Redacting(),
        )
        weakref.finalize(self, self._client.close)  # the package closes only the clients that it made itself

    @property
    def facts(self) -> dict[str, Any]:
        """JSON-able facts: the model, requests and USD of this process, what the server does not support."""
        return {
            "base_url": self._endpoint.base_url,
            "model": self._model.name,
            "requests": self._meter.requests,
            "spent_usd": self._meter.usd if self._model.prices is not None else None,
            "unsupported": sorted(self._unsupported),
        }

    def supports(self, feature: Literal["logprobs", "schema"]) -> bool:
        """Say whether the server supports a feature: true until it has refused it."""
        return feature not in self._unsupported

    def ask(self, questions: Sequence[Question], advance: Advance) -> list[Reply]:
        """Ask several questions at a time; one reply per question, in order.

        Raises `ContextLengthError` for a conversation that does not fit, and `HostedError` for a refusal, a server that
        does not answer after all retries, and the spend limit; earlier replies are kept.
        """
        pool = ThreadPoolExecutor(max_workers=self._endpoint.concurrency, thread_name_prefix="llmtl-hosted")
        try:
            replies = []
            for reply in pool.map(self._answer, questions):
                replies.append(reply)
                advance(1)
            return replies
        finally:
            pool.shutdown(cancel_futures=True)  # after a failure nothing further is sent

    def known(self, questions: Sequence[Question]) -> list[Reply]:
        """Look up the replies that are kept already; send nothing."""
        found = (self._cache.get(self._key(self._body(question))) for question in questions)
        return [reply for reply in found if reply is not None]

    def close(self) -> None:
        """Close the connections; kept replies stay."""
        self._client.close()

    def _answer(self, question: Question) -> Reply:
        """Take the reply from the cache, or ask the server, without what it does not support."""
        while True:
            body = self._body(question)
            try:
                return self._cached(body)
            except openai.BadRequestError as error:
                if not self._leave_out(body, error):
                    _refused(error, self._model)
            except openai.APIError as error:
                _failed(error, self._model)

    def _cached(self, body: dict[str, Any]) -> Reply:
        """Look a request body up in the cache; send it only if it is not there."""
        key = self._key(body)
        known = self._cache.get(key)
        if known is not None:
            return known
        reply = self._send(body)
        self._cache.put(key, reply)
        return reply

    def _key(self, body: Mapping[str, Any]) -> str:
        return digest({"url": self._endpoint.base_url, "body": body})

    def _send(self, body: dict[str, Any]) -> Reply:
        """Send a request body and read the reply."""
        bound = sum(len(turn["content"].encode()) + _MESSAGE_TOKENS for turn in body["messages"]) + _MESSAGE_TOKENS
        reserved = self._meter.reserve(bound, body[self._endpoint.token_field])  # a token has at least one byte
        reply = None
        try:
            self._pace.wait()
            start = time.perf_counter()
            completion = self._client.post("/chat/completions", cast_to=ChatCompletion, body=body)
            reply = _reply(completion, time.perf_counter() - start)
        finally:
            self._meter.settle(reserved, reply)
        return reply

    def _body(self, question: Question) -> dict[str, Any]:
        """Build the JSON of a request, without what the server does not support."""
        body: dict[str, Any] = {
            "model": self._model.name,
            "messages": [dict(message) for message in question.messages],
            self._endpoint.token_field: question.max_tokens,
        }
        if self._endpoint.temperature is not None:
            body["temperature"] = self._endpoint.temperature
        if question.stop is not None:
            body["stop"] = question.stop
        if question.logprobs and self.supports("logprobs"):
            body |= {"logprobs": True} | ({"top_logprobs": self._model.top_logprobs} if question.likeliest else {})
        if question.schema is not None and self.supports("schema"):
            form = {"name": "answer", "schema": dict(question.schema), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        return body

    def _leave_out(self, body: Mapping[str, Any], error: openai.BadRequestError) -> bool:
        """Stop asking for the feature that a refusal is about; False if it is about none."""
        for feature, (field, pattern) in _FEATURES.items():
            if field in body and pattern.search(error.message):
                self._unsupported.add(feature)
                return True
        return False


class _Redacting(openai.DefaultHttpxClient):
    """Takes the key out of every reply before anything reads, keeps or prints it."""

    def send(self, request: Any, **options: Any) -> Any:
        """Send a request and read the whole reply, a `Response` of the HTTP library that `openai` uses."""
        reply: Any = super().send(request, **options)
        content = redacted_bytes(reply.read())
        headers = [(name, redacted(value)) for name, value in reply.headers.items()]
        if content == reply.content and headers == list(reply.headers.items()):
            return reply
        decoded = ("content-encoding", "content-length", "transfer-encoding")
        kept = [(name, value) for name, value in headers if name not in decoded]
        clean = type(reply)(reply.status_code, headers=kept, content=content, request=reply.request)
        clean.elapsed = reply.elapsed
        return clean


def _straight() -> openai.DefaultHttpxClient:
    """Make a client that neither a proxy setting nor a redirection leads to another machine."""
    return _Redacting(trust_env=False, follow_redirects=False)


def _key(model: HostedModel) -> str:
    """Read the key from the environment; raise `HostedError` if it is not set."""
    variable = model.endpoint.api_key_env
    if variable is None:
        return _NO_KEY
    key = os.environ.get(variable, "").strip()
    if not key:
        raise HostedError(f"The key of '{model.name}' is missing; set the environment variable {variable}.")
    keep_secret(key)
    if not (key.isascii() and key.isprintable()) or " " in key:  # libraries print a header that they cannot send
        raise HostedError(f"The key in {variable} holds a character that no key has; copy it again.")
    return key


def _reply(completion: ChatCompletion, seconds: float) -> Reply:
    """Keep what we need of a chat completion."""
    choice, usage = completion.choices[0], completion.usage
    details = usage.prompt_tokens_details if usage else None
    content = (choice.logprobs.content if choice.logprobs else None) or ()
    listed = content if any(each.top_logprobs for each in content) else ()
    return Reply(
        text=choice.message.content or "",
        finished=choice.finish_reason != "length",
        steps=tuple(Step(each.token, {top.token: top.logprob for top in each.top_logprobs}) for each in listed),
        prompt_tokens=usage.prompt_tokens if usage else 0,
        cached_tokens=(details.cached_tokens or 0) if details else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
        seconds=seconds,
        logprob=math.fsum(each.logprob for each in content) if content else None,
    )


def _refused(error: openai.BadRequestError, model: HostedModel) -> NoReturn:
    """Raise the error that explains a refused request."""
    if error.code == "context_length_exceeded" or _TOO_LONG.search(error.message):
        raise ContextLengthError(
            f"The hosted model refuses a prompt ({error.message}); use fewer demonstrations or shorter inputs."
        ) from error
    raise HostedError(f"The hosted model refuses a request ({error.message}); fix {model.section}.") from error


def _failed(error: openai.APIError, model: HostedModel) -> NoReturn:
    """Raise the error that explains why a request failed for good."""
    endpoint = model.endpoint
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        where = endpoint.api_key_env or f"{model.section}.api_key_env"
        raise HostedError(f"'{endpoint.base_url}' refuses the key ({error.message}); check {where}.") from error
    if isinstance(error, openai.NotFoundError):
        raise HostedError(
            f"'{endpoint.base_url}' has no model '{model.name}' ({error.message}); check {model.section}."
        ) from error
    raise HostedError(
        f"'{endpoint.base_url}' did not answer after {endpoint.max_retries} retries ({error.message}); try again "
        "later: what was answered is kept."
    ) from error
