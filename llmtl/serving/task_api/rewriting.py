"""A client's message as the chat request that vLLM gets: the measured conversation, the constraint, greedy decoding.

The winner's wording is baked into the served chat template, so its message goes on as it is; other strategies, and
retrieving ones, send the whole conversation and turn the baked wording off. Not covered: what clients may send
(`llmtl.serving.task_api.requests`), responses (`llmtl.serving.task_api.responses`).
"""

import json
from typing import Any

from llmtl.serving.bundle.constraint import decoding
from llmtl.serving.bundle.manifest import RAW, Bundle, ServedStrategy
from llmtl.serving.task_api.conversations import Conversations
from llmtl.serving.task_api.requests import ChatRequest

_CHAT_TEMPLATE_ARGUMENTS = "chat_template_kwargs"


class ChatRewriter:
    """Chat requests of one bundle."""

    def __init__(self, bundle: Bundle, conversations: Conversations) -> None:
        self._winner = bundle.winner.model
        self._conversations = conversations
        self._answer_tokens_vary = bundle.output.form == "label" and not bundle.answer_tokens
        # as text that ends the JSON object: with many labels it is most of the body, and always the same
        self._decoding = decoding(bundle)
        self._ending = json.dumps(self._decoding)[1:].encode()
        self._open = bundle.output.form != "label"

    def body(self, strategy: ServedStrategy, request: ChatRequest) -> bytes:
        """Write the body of the request to vLLM."""
        fields: dict[str, Any] = {**request.passed, "model": strategy.engine_model}
        if strategy.model == self._winner and not strategy.retrieved:
            fields["messages"] = [{"role": "user", "content": request.text}]
        else:
            fields["messages"] = self._conversations.messages(strategy, request.text)
            fields[_CHAT_TEMPLATE_ARGUMENTS] = {RAW: True}
        if self._answer_tokens_vary:
            fields["allowed_token_ids"] = self._conversations.answer_tokens(strategy, request.text)
        if request.stop and self._open:  # where answers are a closed set, nothing of them is cut
            return json.dumps(
                {**fields, **self._decoding, "stop": [*self._decoding.get("stop", []), *request.stop]}
            ).encode()
        return json.dumps(fields).encode()[:-1] + b", " + self._ending


def without_wording(body: dict[str, Any]) -> bytes:
    """Turn the task's wording off in a request to the base model."""
    arguments = body.get(_CHAT_TEMPLATE_ARGUMENTS)
    if arguments is None or isinstance(arguments, dict):  # what is wrong about others, vLLM says
        body = {**body, _CHAT_TEMPLATE_ARGUMENTS: {**(arguments or {}), RAW: True}}
    return json.dumps(body).encode()
