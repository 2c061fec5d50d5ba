"""A client's message as the chat request that vLLM gets: the measured conversation, the constraint, greedy decoding.

The winner's wording is baked into the served chat template, so its message goes on as it is; other strategies, and
retrieving ones, send the whole conversation and turn the baked wording off. Not covered: what clients may send
(`llmtl.serving.task_api.requests`), responses (`llmtl.serving.task_api.responses`).
"""

import json
from typing import Any

from llmtl.serving.bundle.manifest import RAW, Bundle, Output, ServedStrategy
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
        self._ending = json.dumps(_decoding(bundle.output, bundle))[1:].encode()

    def body(self, strategy: ServedStrategy, request: ChatRequest) -> bytes:
        """Return the body of the request to vLLM."""
        fields: dict[str, Any] = {**request.passed, "model": strategy.engine_model}
        if strategy.model == self._winner and not strategy.retrieved:
            fields["messages"] = [{"role": "user", "content": request.text}]
        else:
            fields["messages"] = self._conversations.messages(strategy, request.text)
            fields[_CHAT_TEMPLATE_ARGUMENTS] = {RAW: True}
        if self._answer_tokens_vary:
            fields["allowed_token_ids"] = self._conversations.answer_tokens(strategy, request.text)
        return json.dumps(fields).encode()[:-1] + b", " + self._ending


def without_wording(body: dict[str, Any]) -> bytes:
    """Return a request to the base model with the task's wording turned off."""
    arguments = body.get(_CHAT_TEMPLATE_ARGUMENTS)
    if arguments is None or isinstance(arguments, dict):  # what is wrong about others, vLLM says
        body = {**body, _CHAT_TEMPLATE_ARGUMENTS: {**(arguments or {}), RAW: True}}
    return json.dumps(body).encode()


def _decoding(output: Output, bundle: Bundle) -> dict[str, Any]:
    """Return the fields that make vLLM decode as measured.

    For labels, the allowed tokens beside the choice keep the model from spelling a label in other tokens.
    """
    fields: dict[str, Any] = {"temperature": 0}
    if output.form == "label":
        fields["structured_outputs"] = {"choice": list(bundle.answers)}
        if bundle.answer_tokens:
            fields["allowed_token_ids"] = list(bundle.answer_tokens)
        if bundle.end_token is not None:  # it need not be what the checkpoint calls its end of sequence
            fields["stop_token_ids"] = [bundle.end_token]
    if output.form == "json":
        fields["structured_outputs"] = {"json": output.schema}
    if output.max_tokens is not None:
        fields["max_tokens"] = output.max_tokens
    return fields
