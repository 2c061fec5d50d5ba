"""The `openai` engine: a hosted chat model behind any OpenAI-compatible endpoint.

A prompt is a conversation written as text: each turn as its role and content after control characters, which the server
never sees. Labels are read from the likeliest tokens if the server reports them, else from the text. Not covered: base
models without chat, the model's own tokens (a prompt's length is estimated; the server decides), embeddings.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llmtl.engines.openai.client import HostedClient, Question
from llmtl.engines.openai.config import HostedModel
from llmtl.engines.openai.labels import probabilities, stated
from llmtl.engines.openai.replies import Reply, ReplyCache
from llmtl.engines.protocol import Generation, LabelScores
from llmtl.errors import UnreadableAnswerError
from llmtl.json_and_yaml import parse_json
from llmtl.progress import Advance, unwatched
from llmtl.values import Message

_TURN, _CONTENT = "\x01", "\x02"
"""Start of heading and start of text; the template takes control texts like these out of what is inserted."""
BYTES_PER_TOKEN = 4
"""OpenAI's rule of thumb for English text: a token is about four characters."""
_ANSWER_TOKENS = 4
"""Tokens that an answer may have besides its bytes: quotes, the end of the turn."""
_WRAPPED = "answer"
"""The field of the object around a schema: OpenAI takes only objects as the root of a schema."""


class OpenAIEngine:
    """A hosted model; implements `llmtl.engines.Engine`."""

    name = "openai"
    remembers = True
    device = "hosted"
    chat_template: str | None = "hosted"
    bos = ""
    end_of_answer = ""
    special_tokens = (_TURN, _CONTENT)

    def __init__(self, model: HostedModel, cache: ReplyCache | None = None) -> None:
        self.context_length = model.endpoint.context_length
        self._client = HostedClient(model, cache if cache is not None else ReplyCache())

    @property
    def facts(self) -> dict[str, Any]:
        """JSON-able facts: the model, requests and USD so far, what the server does not support."""
        return self._client.facts

    def render(self, messages: Sequence[Message]) -> str:
        """Write the conversation as one text, which `score` and `generate` take apart again."""
        return "".join(f"{_TURN}{turn['role']}{_CONTENT}{turn['content']}" for turn in messages)

    def count_tokens(self, text: str) -> int:
        """Estimate the number of tokens: a quarter of the bytes."""
        return -(-len(text.encode()) // BYTES_PER_TOKEN)

    def score(
        self, prompts: Sequence[str], answers: Sequence[str], *, advance: Advance = unwatched
    ) -> list[LabelScores]:
        """Score the answers, one `LabelScores` per prompt, in order; without probabilities if the server reports none.

        Raises `ContextLengthError`, `HostedError`, and `UnreadableAnswerError` for the first answer that is not one of
        `answers`; replies are kept, so that asking for the others again costs nothing.
        """
        most = max(len(answer.encode()) for answer in answers) + _ANSWER_TOKENS
        questions = [Question(_turns(prompt), most, logprobs=True, likeliest=True) for prompt in prompts]
        return [_scores(reply, answers) for reply in self._client.ask(questions, advance)]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_tokens: int,
        schema: Mapping[str, Any] | None = None,
        stop: str | None = None,
        advance: Advance = unwatched,
    ) -> list[Generation]:
        """Ask for an answer to each prompt; one `Generation` per prompt, in order.

        A server that supports JSON schemas is asked to keep to `schema`; on others nothing holds the model to
        it. Raises `ContextLengthError` and `HostedError`.
        """
        wrapped = None if schema is None else _wrapped(schema)
        questions = [Question(_turns(prompt), max_tokens, wrapped, stop, logprobs=True) for prompt in prompts]
        replies = self._client.ask(questions, advance)
        return [_generation(reply, unwrap=schema is not None) for reply in replies]

    def close(self) -> None:
        """Close the connections; kept replies stay."""
        self._client.close()


def _turns(prompt: str) -> list[Message]:
    """Take apart the conversation that `render` wrote; any other text is one user message."""
    if not prompt.startswith(_TURN):
        return [{"role": "user", "content": prompt}]
    turns: list[Message] = []
    for turn in prompt[1:].split(_TURN):
        role, _, content = turn.partition(_CONTENT)
        turns.append({"role": role, "content": content})
    return turns


def _scores(reply: Reply, answers: Sequence[str]) -> LabelScores:
    """Read what a reply says about the answers; raise `UnreadableAnswerError` if it says nothing."""
    told = probabilities(reply.steps, answers)
    choice = stated(reply.text, answers)
    if choice is None and told is not None:
        choice = max(range(len(answers)), key=told.__getitem__)
    if choice is None:
        raise UnreadableAnswerError(
            f"The hosted model answered '{reply.text:.60}', which is not a label; say in task.instruction that only a "
            "label may be answered."
        )
    return LabelScores(
        choice=choice,
        probabilities=told or (),
        prompt_tokens=reply.prompt_tokens,
        cached_tokens=reply.cached_tokens,
        completion_tokens=reply.completion_tokens,
        seconds=reply.seconds,
    )


def _generation(reply: Reply, *, unwrap: bool) -> Generation:
    """Turn a reply into a generation; text that is not the requested object stays as it is."""
    return Generation(
        text=_unwrapped(reply.text) if unwrap else reply.text,
        finished=reply.finished,
        prompt_tokens=reply.prompt_tokens,
        cached_tokens=reply.cached_tokens,
        completion_tokens=reply.completion_tokens,
        seconds=reply.seconds,
        logprob=reply.logprob,
    )


def _wrapped(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Build the schema of an object whose only field follows `schema`."""
    return {
        "type": "object",
        "properties": {_WRAPPED: dict(schema)},
        "required": [_WRAPPED],
        "additionalProperties": False,
    }


def _unwrapped(text: str) -> str:
    """Take the JSON out of the object's only field; `text` itself if it is not such an object."""
    try:
        value = parse_json(text)
    except json.JSONDecodeError:
        return text
    if isinstance(value, dict) and set(value) == {_WRAPPED}:
        return json.dumps(value[_WRAPPED], ensure_ascii=False)
    return text
