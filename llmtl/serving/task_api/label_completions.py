"""A label as a chat completion, whole or streamed: one token, the label, with its log-probability.

Other answers of what is not a language model go the same way, and written ones that may be held back for not being
sure enough; they have no probabilities.

The same fields as vLLM's, so that clients notice no difference. Not covered: predicting the label, vLLM's own answers.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import time
from typing import Any
from uuid import uuid4

from llmtl.serving.task_api.answer_format import PLAINLY, Saying
from llmtl.serving.task_api.requests import ChatRequest

_LOWEST_LOGPROB = -9999.0  # what vLLM reports for a probability of zero, which JSON cannot say


@dataclass(frozen=True)
class LabelCompletion:
    """The answer to one chat request: the label, and the probability of every label.

    `saying` says how the label is told, and how often. `prompt` is the worded prompt with its `prompt_tokens`; without
    a language model it is the message, and has none.
    """

    model: str
    request: ChatRequest
    label: str
    probabilities: Mapping[str, float]
    saying: Saying = PLAINLY
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time()))
    prompt: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 1
    finish_reason: str = "stop"

    def whole(self) -> dict[str, Any]:
        """Return the chat completion."""
        message = {"role": "assistant", "content": self.saying.say(self.label)}
        choice = {"message": message, "logprobs": self._logprobs(), "finish_reason": self.finish_reason}
        choices = self._choices(choice)
        return {**self._head("chat.completion"), "choices": choices, "usage": self._usage(), **self._prompt()}

    def events(self) -> Iterator[str]:
        """Yield the server-sent events of the stream."""
        head = self._head("chat.completion.chunk")
        options = self.request.passed.get("stream_options") or {}
        continuous = {"usage": self._usage()} if options.get("continuous_usage_stats") else {}
        opening = {"delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
        yield _event({**head, "choices": self._choices(opening), **self._prompt(), **continuous})
        told = {"content": self.saying.say(self.label)}
        answer = {"delta": told, "logprobs": self._logprobs(), "finish_reason": self.finish_reason}
        yield _event({**head, "choices": self._choices(answer), **continuous})
        if options.get("include_usage"):
            yield _event({**head, "choices": [], "usage": self._usage()})
        yield "data: [DONE]\n\n"

    def _choices(self, choice: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the same choice as often as it was asked for: a task has one answer to a message."""
        return [{"index": index, **choice} for index in range(self.saying.n)]

    def _head(self, kind: str) -> dict[str, Any]:
        """Return the fields that the completion and all its chunks begin with."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _usage(self) -> dict[str, int]:
        """Return the tokens."""
        prompt, completion = self.prompt_tokens, self.completion_tokens
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def _prompt(self) -> dict[str, str]:
        """Return the prompt if it was asked for; the message where there is no other wording."""
        shown = self.request.text if self.prompt is None else self.prompt
        return {"prompt_text": shown} if self.request.passed.get("return_prompt_text") else {}

    def _logprobs(self) -> dict[str, Any] | None:
        """Return the log-probabilities if they were asked for."""
        if not self.request.passed.get("logprobs") or not self.probabilities:
            return None
        ranked = sorted(self.probabilities, key=lambda label: -self.probabilities[label])
        top = [self._token(label) for label in ranked[: self.request.passed.get("top_logprobs") or 0]]
        return {"content": [{**self._token(self.label), "top_logprobs": top}]}

    def _token(self, label: str) -> dict[str, Any]:
        """Return a label as a token with its log-probability."""
        probability = self.probabilities[label]
        logprob = max(math.log(probability), _LOWEST_LOGPROB) if probability > 0 else _LOWEST_LOGPROB
        return {"token": label, "logprob": logprob, "bytes": list(label.encode())}


def _event(chunk: dict[str, Any]) -> str:
    """Return a chunk as a server-sent event."""
    return f"data: {json.dumps(chunk)}\n\n"
