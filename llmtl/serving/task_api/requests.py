"""What clients send, checked and reduced to what a task needs; every refusal says how to fix the request.

Pure functions over parsed JSON, shared by the middleware in vLLM and the app for winners that vLLM does not run.
Not covered: reading bodies (`llmtl.serving.task_api.asgi`), what needs tokens (`llmtl.serving.task_api.conversations`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmtl.errors import InputError
from llmtl.json_and_yaml import half_pair_in, parse_json
from llmtl.serving.task_api.interface import RequestLimits

PASSED = (
    "stream",
    "stream_options",
    "logprobs",
    "top_logprobs",
    "return_prompt_text",
    "return_token_ids",
    "return_tokens_as_token_ids",
    "user",
    "seed",
)
"""The fields of a chat request that reach vLLM as they are; what steers the sampling is the task's, not the client's.

`messages`, `n`, `stop` and `response_format` are honoured by llmtl itself, so that they mean the same whatever answers;
all other fields are ignored (docs/serve.md lists them)."""

ROLES = ("developer", "system", "user", "assistant", "tool", "function")
MOST_ANSWERS = 128
MOST_STOPS = 4
"""What OpenAI's API allows of `n` and `stop`."""

_BOOLEANS = ("abstain", "stream", "logprobs", "return_prompt_text", "return_token_ids", "return_tokens_as_token_ids")

_KINDS: tuple[tuple[str, type, str], ...] = (
    ("seed", int, "a whole number"),
    ("stream_options", dict, "an object"),
    ("user", str, "text"),
)
"""Options of other types: vLLM would refuse them in words of its validation library, and not every winner is vLLM's."""


class RequestError(InputError):
    """A request that is refused: the HTTP `status`, and the fields of OpenAI's error format."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.kind = kind


@dataclass(frozen=True)
class ChatRequest:
    """A chat request to a task: the message, and the fields of `PASSED` that the client set.

    With `abstain` an answer that is not sure enough is replaced by the task's text for that. The answer is told `n`
    times, up to the first of the texts in `stop` (`llmtl.serving.task_api.answer_format`).
    """

    text: str
    passed: dict[str, Any]
    abstain: bool = False
    n: int = 1
    stop: tuple[str, ...] = ()

    @property
    def stream(self) -> bool:
        """Say whether the client wants the answer in pieces."""
        return bool(self.passed.get("stream"))


@dataclass(frozen=True)
class PredictRequest:
    """A request to `/v1/predict`: N messages, and the task model or None for the winner."""

    inputs: tuple[str, ...]
    model: str | None


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse the JSON object in `body`; raises `RequestError` for anything else.

    What it holds can be written again, and told to whoever asked: no half surrogate pairs, no numbers without end.
    """
    try:
        parsed = parse_json(body, half_pairs=True, finite=True)
    except json.JSONDecodeError as error:
        raise RequestError(f"The body is not JSON ({error.msg}); send a JSON object.", code="invalid_json") from error
    if not isinstance(parsed, dict):
        raise RequestError(f"The body is {_kind(parsed)}; send a JSON object.", code="invalid_json")
    if (b"\\ud" in body or b"\\uD" in body) and (place := half_pair_in(parsed)) is not None:
        where = f"'{place:.100}'" if place else "A name in the body"
        raise RequestError(f"{where} has half of a surrogate pair; send valid Unicode.", param=place[:100] or None)
    return parsed


def requested_model(body: dict[str, Any], names: Sequence[str]) -> str:
    """Read the model that the request names; raises `RequestError` when it names none, with the `names` there are."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError(f"'model' must name a model: one of {_listed(names)}.", param="model", code="missing_model")
    return model


def unknown_model(model: str, names: Sequence[str]) -> RequestError:
    """Make the error for a model that is not served."""
    return RequestError(
        f"The model '{model:.200}' does not exist; ask for one of {_listed(names)}.",
        status=404,
        code="model_not_found",
        param="model",
    )


def chat_request(body: dict[str, Any], limits: RequestLimits) -> ChatRequest:
    """Check a chat request to a task model; raises `RequestError`."""
    _refuse_tools(body)
    _check_options(body)
    text = _message(body.get("messages"))
    check_text(text, "messages", limits)
    passed = {name: body[name] for name in PASSED if body.get(name) is not None}
    return ChatRequest(text, passed, abstain=bool(body.get("abstain")), n=_count(body), stop=_endings(body))


def predict_request(body: dict[str, Any], limits: RequestLimits) -> PredictRequest:
    """Check a request to `/v1/predict`; raises `RequestError`."""
    model, inputs = body.get("model"), body.get("inputs")
    if model is not None and not isinstance(model, str):
        raise RequestError(f"'model' must be text, not {_kind(model)}.", param="model")
    if not isinstance(inputs, list):
        raise RequestError(f"'inputs' must be a list of messages, not {_kind(inputs)}.", param="inputs")
    if not 1 <= len(inputs) <= limits.max_inputs:
        raise RequestError(
            f"'inputs' has {len(inputs)} messages; send 1 to {limits.max_inputs} in one request.", param="inputs"
        )
    for position, text in enumerate(inputs):
        if not isinstance(text, str):
            raise RequestError(f"'inputs[{position}]' must be text, not {_kind(text)}.", param=f"inputs[{position}]")
        check_text(text, f"inputs[{position}]", limits)
    return PredictRequest(tuple(inputs), model)


def check_text(text: str, param: str, limits: RequestLimits) -> None:
    """Raise `RequestError` for a message that is blank or too long; `param` says where it stands."""
    if not text or text.isspace():
        raise RequestError("The message is empty; send the text to be answered.", param=param, code="empty_message")
    if len(text) > limits.max_characters:
        raise RequestError(
            f"The message has {len(text)} characters and {limits.max_characters} are allowed; shorten it.",
            param=param,
            code="message_too_long",
        )


def too_big(limits: RequestLimits) -> RequestError:
    """Make the error for a body above the limit."""
    return RequestError(
        f"The body is larger than {limits.max_body_bytes} bytes; send fewer or shorter messages in one request.",
        status=413,
        code="request_too_large",
    )


def _message(messages: Any) -> str:
    """Return the text of the last message, which is a user's.

    What stands before it is left out: the task was measured with its own instruction, on one message at a time.
    """
    if not isinstance(messages, list) or not messages:
        given = "an empty list" if messages == [] else _kind(messages)
        raise RequestError(f"'messages' must be a list that ends with a user message, not {given}.", param="messages")
    for position, message in enumerate(messages):
        _check_turn(message, position)
    last = len(messages) - 1
    if messages[last]["role"] != "user":
        raise RequestError(
            f"'messages[{last}]' has the role '{messages[last]['role']}'; the last message must be the user's, which "
            "is the one that the task answers.",
            param=f"messages[{last}].role",
        )
    return _content(messages[last].get("content"), f"messages[{last}].content")


def _check_turn(message: Any, position: int) -> None:
    """Raise `RequestError` for what is not a turn of a conversation."""
    if not isinstance(message, dict):
        raise RequestError(
            f"'messages[{position}]' must be an object with 'role' and 'content', not {_kind(message)}.",
            param=f"messages[{position}]",
        )
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise RequestError(
            f"'messages[{position}]' has the role {json.dumps(role):.200}; it must be one of {_listed(ROLES)}.",
            param=f"messages[{position}].role",
        )


def _content(content: Any, param: str) -> str:
    """Return the text of a message's content, which is text or a list of text parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RequestError(
            f"The message's 'content' must be text or a list of text parts, not {_kind(content)}.",
            param=param,
        )
    texts = []
    for position, part in enumerate(content):
        text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
        if not isinstance(text, str):
            raise RequestError(
                'The task reads text only; send parts of the form {"type": "text", "text": "..."}.',
                param=f"{param}[{position}]",
            )
        texts.append(text)
    return "\n".join(texts)  # as vLLM joins them


def _refuse_tools(body: dict[str, Any]) -> None:
    """Raise `RequestError` for a request that offers tools."""
    for name in ("tools", "functions"):
        if body.get(name):
            raise RequestError(f"The task calls no tools; leave '{name}' out.", param=name)
    for name in ("tool_choice", "function_call"):
        if body.get(name) not in (None, "none", "auto"):
            raise RequestError(f"The task calls no tools; leave '{name}' out.", param=name)


def _check_options(body: dict[str, Any]) -> None:
    """Raise `RequestError` for options of the wrong type; vLLM would silently turn "yes" into true."""
    for name in _BOOLEANS:
        if body.get(name) is not None and not isinstance(body[name], bool):
            raise RequestError(f"'{name}' must be true or false, not {_kind(body[name])}.", param=name)
    for name, kind, meant in _KINDS:
        given = body.get(name)
        if given is not None and (not isinstance(given, kind) or isinstance(given, bool)):
            raise RequestError(f"'{name}' must be {meant}, not {_kind(given)}.", param=name)
    if body.get("stream_options") is not None and not body.get("stream"):
        raise RequestError("'stream_options' is for streams; set 'stream' to true.", param="stream_options")
    wanted = body.get("top_logprobs")
    if wanted is None:
        return
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 0:
        raise RequestError("'top_logprobs' must be a whole number from 0.", param="top_logprobs")
    if wanted and not body.get("logprobs"):
        raise RequestError("'top_logprobs' needs 'logprobs' set to true.", param="top_logprobs")


def _count(body: dict[str, Any]) -> int:
    """Return how many times the answer is wanted."""
    given = 1 if body.get("n") is None else body["n"]
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MOST_ANSWERS:
        raise RequestError(f"'n' must be a whole number from 1 to {MOST_ANSWERS}.", param="n")
    return given


def _endings(body: dict[str, Any]) -> tuple[str, ...]:
    """Return the texts that end an answer."""
    given = body.get("stop")
    stops = [given] if isinstance(given, str) else [] if given is None else given
    if (
        not isinstance(stops, list)
        or len(stops) > MOST_STOPS
        or not all(isinstance(each, str) and each for each in stops)
    ):
        raise RequestError(
            f"'stop' must be a text or a list of up to {MOST_STOPS} texts, none of them empty.", param="stop"
        )
    return tuple(stops)


def _listed(names: Sequence[str]) -> str:
    """Return the names, quoted, for a sentence."""
    return ", ".join(f"'{name}'" for name in names)


def _kind(value: Any) -> str:
    """Return what JSON calls the type of `value`, with its article."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"
