"""What the playground asks of the endpoint, through the official `openai` client as any user would.

Every failure comes back as a `ServingError` of one line that can be shown to a visitor; nothing waits longer than its
time limit. Not covered: streaming, and retrying (a visitor asks again).
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import openai
from annotated_types import MinLen
from openai.types.chat import ChatCompletionUserMessageParam
from pydantic import TypeAdapter, ValidationError

from llmtl.address import is_loopback
from llmtl.answers import Span, write_ranking, write_spans
from llmtl.errors import ServingError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.table import KindByName
from llmtl.playground.shown_answers import labels_text

ANSWER_SECONDS = 30.0
"""How long one message may take; a cold grammar compiler needs up to 14 s."""
BATCH_SECONDS = 120.0
CONNECT_SECONDS = 5.0
_NO_KEY = "none"

T = TypeVar("T")


@dataclass(frozen=True)
class ServedModel:
    """A strategy that the server can run: `model` is the name to ask for, `weights` what computes the answer."""

    model: str
    strategy: str
    weights: str = ""


@dataclass(frozen=True)
class ServedTask:
    """What the server says about itself at GET /v1/task.

    `limits` may hold `inputs`, `characters` and `body_bytes`: the most that one request may carry. `descriptions` say
    what labels mean, where the task's owner said it.
    """

    task: str
    model: str
    strategy: str
    labels: tuple[str, ...]
    kind: KindByName = CLASSIFICATION
    instruction: str = ""
    engine: str = ""
    base_model: str | None = None
    verdict: str | None = None
    strategies: tuple[ServedModel, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ServedAnswer:
    """The answer to one message: `milliseconds` from sending to the whole answer, `prompt` as the engine saw it.

    `label`, `error`, `confidence` and `abstain` are as in `Labelled`.
    """

    label: str
    probabilities: Mapping[str, float]
    milliseconds: float
    prompt: str | None
    error: str = ""
    confidence: float | None = None
    abstain: bool | None = None


@dataclass(frozen=True)
class Labelled:
    """The label of one input and the probability of every label; for other kinds of task the canonical answer.

    Where there is none, `error` says why. `abstain` says whether a person should answer instead, because the confidence
    is too low; None where the server knows no threshold.
    """

    label: str
    probabilities: Mapping[str, float]
    error: str = ""
    confidence: float | None = None
    abstain: bool | None = None


@dataclass(frozen=True)
class _Row:
    """A row of `/v1/predict` of any kind of task."""

    label: str | None = None
    labels: tuple[str, ...] | None = None
    spans: tuple[Span, ...] | None = None
    text: str | None = None
    ranking: tuple[str, ...] | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    confidence: float | None = None
    abstain: bool | None = None

    @property
    def answer(self) -> str | None:
        """Return the canonical answer, or None where there is none."""
        if self.labels is not None:
            return labels_text(self.labels)
        if self.spans is not None:
            return write_spans(self.spans)
        if self.ranking is not None:
            return write_ranking(self.ranking)
        return self.text if self.label is None else self.label


@dataclass(frozen=True)
class _Predicted:
    data: tuple[_Row, ...]


@dataclass(frozen=True)
class _Message:
    content: str


@dataclass(frozen=True)
class _Choice:
    message: _Message


@dataclass(frozen=True)
class _Completion:
    """What is read of a chat completion; vLLM adds `prompt_text` on request."""

    choices: Annotated[tuple[_Choice, ...], MinLen(1)]
    prompt_text: str | None = None


class RefusedError(ServingError):
    """The server is well and refuses this one request, for instance because an input is too long."""


_TASK = TypeAdapter(ServedTask)
_PREDICTED = TypeAdapter(_Predicted)
_COMPLETION = TypeAdapter(_Completion)


class Endpoint:
    """A served task at `base_url`, to which /v1 is added where it is missing; safe to use from several threads."""

    def __init__(self, base_url: str, api_key: str | None = None) -> None:
        self.base_url = f"{base_url.rstrip('/').removesuffix('/v1')}/v1"
        # Without a key the client refuses to start; a server without a key ignores what is sent.
        self._client = openai.OpenAI(
            base_url=self.base_url,
            api_key=api_key or _NO_KEY,
            max_retries=0,
            timeout=_limit(ANSWER_SECONDS),
            http_client=_client(self.base_url),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def task(self) -> ServedTask:
        """Ask what is served; raises `ServingError` when nothing that llmtl serves answers there."""
        return self._checked(_TASK, self._sent(lambda: self._client.get("/task", cast_to=object)))

    def answer(self, text: str, model: str) -> ServedAnswer:
        """Ask for the answer to one message, with the probability of every label where it is a label."""
        create = self._client.chat.completions.with_raw_response.create
        asked = ChatCompletionUserMessageParam(role="user", content=text)
        started = time.perf_counter()
        raw = self._sent(lambda: create(model=model, messages=[asked], extra_body={"return_prompt_text": True}).content)
        milliseconds = 1000 * (time.perf_counter() - started)
        completion = self._checked(_COMPLETION, raw)
        [row] = self.predict([text], model)
        return ServedAnswer(
            label=completion.choices[0].message.content if row.probabilities else row.label,
            probabilities=row.probabilities,
            milliseconds=milliseconds,
            prompt=completion.prompt_text,
            error=row.error,
            confidence=row.confidence,
            abstain=row.abstain,
        )

    def predict(self, texts: Sequence[str], model: str) -> tuple[Labelled, ...]:
        """Ask for one answer per text, in order; a label has the probabilities of all."""
        body = {"inputs": list(texts), "model": model}
        limit = _limit(ANSWER_SECONDS if len(texts) == 1 else BATCH_SECONDS)
        raw = self._sent(lambda: self._client.post("/predict", body=body, cast_to=object, options={"timeout": limit}))
        predicted = self._checked(_PREDICTED, raw).data
        if len(predicted) != len(texts):
            raise ServingError(f"The server answered {len(predicted)} of {len(texts)} inputs; look at its log.")
        if any(row.answer is None and not row.error for row in predicted):
            raise self._stranger()
        return tuple(
            Labelled(row.answer or "", row.probabilities, row.error, row.confidence, row.abstain) for row in predicted
        )

    def _sent(self, request: Callable[[], T]) -> T:
        """Return what a request brings back; every failure becomes a `ServingError`."""
        try:
            return request()
        except openai.OpenAIError as error:
            raise self._explained(error) from error
        except json.JSONDecodeError as error:
            raise self._stranger() from error

    def _checked(self, adapter: TypeAdapter[T], raw: object) -> T:
        try:
            return adapter.validate_json(raw) if isinstance(raw, bytes) else adapter.validate_python(raw)
        except ValidationError as error:
            raise self._stranger() from error

    def _stranger(self) -> ServingError:
        return ServingError(
            f"What answers at {self.base_url} is not a task served by llmtl; give the address `llmtl serve` prints."
        )

    def _explained(self, error: openai.OpenAIError) -> ServingError:
        """Return the failure in one line that says what to do."""
        match error:
            case openai.APITimeoutError():
                return ServingError(f"The server at {self.base_url} did not answer in time; try again in a moment.")
            case openai.APIConnectionError():
                return ServingError(
                    f"No server answers at {self.base_url}; start it with `llmtl serve`, or check the address."
                )
            case openai.AuthenticationError():
                return ServingError(
                    f"The server at {self.base_url} wants another API key; set LLMTL_API_KEY to it and start again."
                )
            case openai.APIStatusError() if error.status_code < 500:
                return RefusedError(_said(error) or f"The server refused the request ({error.status_code}).")
            case openai.APIStatusError():
                said = _said(error) or "no reason given"
                return ServingError(f"The server failed ({error.status_code}: {said}); try again, or look at its log.")
        return self._stranger()


def _client(base_url: str) -> openai.DefaultHttpxClient | None:
    """Make a client that no proxy setting leads away from this machine; None for the package's own elsewhere."""
    return openai.DefaultHttpxClient(trust_env=False) if is_loopback(urlsplit(base_url).hostname or "") else None


def _limit(seconds: float) -> openai.Timeout:
    return openai.Timeout(seconds, connect=CONNECT_SECONDS)


def _said(error: openai.APIStatusError) -> str:
    """Return the server's own sentence: the message of an OpenAI-format error, or a bare text; empty without one."""
    body: Any = error.body
    if isinstance(body, dict):
        body = body.get("message", body.get("error", body.get("detail")))
    return " ".join(body.split()) if isinstance(body, str) else ""
