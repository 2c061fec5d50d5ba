"""The interface of one server as an OpenAPI 3.1 document: the routes that it has, with its own models and answers.

Not covered: the routes of vLLM that are passed on as they are, but for completions of the base model.
"""

from typing import Any

from llmtl.serving.bundle.manifest import Weights
from llmtl.serving.task_api.answer_format import AnswerFormat
from llmtl.serving.task_api.catalogue import Catalogue
from llmtl.serving.task_api.interface import (
    CHAT,
    COMPLETIONS,
    DOCS,
    EMBEDDINGS,
    HEALTH,
    LIVE,
    METRICS,
    MODELS,
    OPENAPI,
    PREDICT,
    READY,
    TASK,
    RequestLimits,
)
from llmtl.serving.task_api.requests import MOST_ANSWERS, MOST_STOPS, ROLES
from llmtl.version import __version__

Json = dict[str, Any]
_PROBES = (
    (HEALTH, "200 when the server can answer, else 503; says starting, ready, degraded or stopping.", True),
    (READY, "The same, for probes that ask whether to send requests here.", True),
    (LIVE, "200 while anything runs here, for probes that ask whether to start all of it again.", False),
)

_CHAT_WORDS = """Answers the last message, which must be a user's. Earlier messages, those of the system included, are \
checked and left out: the task brings its own instruction and was measured on one message at a time.

Ignored, since decoding is the measured one: `temperature`, `top_p`, `max_tokens`, `max_completion_tokens`, penalties, \
`logit_bias`, and all fields that are not listed. Refused: `tools`, `functions` and calls of them."""
_FORMAT_WORDS = """The JSON in which the answer is written. A schema has to allow every answer that the task can give, \
under whatever name; otherwise 400 with the code `schema_cannot_be_met`."""
_REFUSALS = {
    400: "The request is wrong; the message says how to fix it.",
    401: "The API key is missing or wrong.",
    402: "The spend limit at the provider is reached.",
    403: "The Host of the request is not allowed.",
    404: "There is no such model.",
    408: "The request took too long to arrive.",
    413: "The body is too large.",
    415: "The body is not called application/json.",
    422: "What the model gave cannot be read as an answer.",
    502: "The provider failed.",
    503: "The server is full, starts, or failed meanwhile; Retry-After says when to try again.",
}


def openapi(catalogue: Catalogue, answers: AnswerFormat, limits: RequestLimits) -> Json:
    """Write the document of a server."""
    bundle = catalogue.bundle
    hosted = (402, 502) if bundle.winner.weights is Weights.HOSTED else ()
    statuses = (400, 404, 408, 413, 415, 503, *hosted)
    paths = {
        CHAT: {"post": _chat(catalogue, (*statuses, 422))},
        PREDICT: {"post": _predict(catalogue, limits, statuses)},
        **({EMBEDDINGS: {"post": _embeddings(catalogue, limits, statuses)}} if bundle.output.embeds else {}),
        **({COMPLETIONS: {"post": _completions(catalogue)}} if catalogue.base else {}),
        TASK: {"get": _get("What is served: the task, its labels, its models, its limits.")},
        MODELS: {"get": _get("All models that can be asked.")},
        f"{MODELS}/{{model}}": {"get": _get("One of the models.", 404) | {"parameters": [_model_parameter(catalogue)]}},
        OPENAPI: {"get": _get("This document.")},
        DOCS: {"get": _get("This document as a page.", kind="text/html")},
        **{path: {"get": _probe(words, fails=fails)} for path, words, fails in _PROBES},
        METRICS: {"get": {**_get("Metrics for Prometheus.", kind="text/plain"), "security": []}},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": bundle.task.name,
            "version": __version__,
            "description": f"{bundle.task.kind.does(len(bundle.task.labels))}; llmtl serves '{bundle.winner.name}'.",
        },
        "security": [{}, {"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "Where one is set."}},
            "schemas": {"Error": _ERROR, "Answer": dict(answers.allowed), "Row": _row(answers), "Usage": _USAGE},
        },
    }


def _chat(catalogue: Catalogue, statuses: tuple[int, ...]) -> Json:
    """Describe chat completions."""
    turn = _object({"role": {"enum": list(ROLES)}, "content": _CONTENT}, "role", closed=False)
    yes, text = {"type": "boolean"}, {"type": "string"}
    asked = _object(
        {
            "model": _models(catalogue, base=True),
            "messages": {"type": "array", "items": turn, "minItems": 1},
            "response_format": {**_FORMAT, "description": _FORMAT_WORDS},
            "n": _whole(1, MOST_ANSWERS, "The one answer, so many times."),
            "stop": {
                "anyOf": [text, {"type": "array", "items": text, "maxItems": MOST_STOPS}],
                "description": "Where the answer ends; refused where it would cut a label or JSON short.",
            },
            "logprobs": {**yes, "description": "Of each token; without a language model of each label."},
            "top_logprobs": _whole(0, None, "With `logprobs`: so many of the likeliest."),
            "stream": yes,
            "stream_options": _object({"include_usage": yes}, closed=False),
            "abstain": {**yes, "description": "Say the task's text for that where a person should answer."},
            "return_prompt_text": {**yes, "description": "Tell the prompt, too, as `prompt_text`."},
            "seed": {"type": "integer"},
            "user": text,
        },
        "model",
        "messages",
        closed=False,
    )
    message = _object({"role": {"const": "assistant"}, "content": {"type": "string"}}, "role", "content", closed=False)
    choice = _object({"index": {"type": "integer"}, "message": message}, "index", "message", closed=False)
    told = _object(
        {"model": _models(catalogue), "choices": {"type": "array", "items": choice}, "usage": _ref("Usage")},
        "id",
        "choices",
        "usage",
        closed=False,
    )
    example = {"model": catalogue.bundle.winner.model, "messages": [{"role": "user", "content": "..."}]}
    made = _post("Ask for the answer to one message, as OpenAI's API does.", asked, told, statuses, example=example)
    made["description"] = _CHAT_WORDS
    made["responses"]["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    return made


def _predict(catalogue: Catalogue, limits: RequestLimits, statuses: tuple[int, ...]) -> Json:
    """Describe predictions."""
    inputs = {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": limits.max_inputs}
    asked = _object({"inputs": inputs, "model": _models(catalogue)}, "inputs", closed=False)
    told = _object(
        {"model": _models(catalogue), "data": {"type": "array", "items": _ref("Row")}, "usage": _ref("Usage")},
        "object",
        "model",
        "data",
        "usage",
        closed=False,
    )
    summary = "Ask for the answers to several inputs, labels with the probability of each."
    return _post(summary, asked, told, statuses, example={"inputs": ["..."]})


def _embeddings(catalogue: Catalogue, limits: RequestLimits, statuses: tuple[int, ...]) -> Json:
    """Describe embeddings."""
    texts = {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": limits.max_inputs}
    winner = catalogue.bundle.winner.model
    asked = _object(
        {
            "model": {"const": winner},
            "input": {"anyOf": [_TEXT, texts]},
            "encoding_format": {"enum": ["float", "base64"]},
            "dimensions": {"type": "integer", "description": "No other than the vectors have."},
        },
        "model",
        "input",
        closed=False,
    )
    vector = {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string"}]}
    row = _object({"index": {"type": "integer"}, "embedding": vector}, "index", "embedding", closed=False)
    told = _object({"data": {"type": "array", "items": row}, "usage": _ref("Usage")}, "data", "usage", closed=False)
    example = {"model": winner, "input": "..."}
    return _post("Ask for the vectors by which texts are compared.", asked, told, statuses, example=example)


def _completions(catalogue: Catalogue) -> Json:
    """Describe completions, which vLLM gives."""
    asked = _object({"model": {"const": catalogue.base}, "prompt": {"type": "string"}}, "model", "prompt", closed=False)
    told = _object({"choices": {"type": "array"}}, "choices", closed=False)
    example = {"model": catalogue.base, "prompt": "..."}
    return _post(
        "Ask the base model alone to go on; vLLM's own route.", asked, told, (400, 404, 413, 415), example=example
    )


def _row(answers: AnswerFormat) -> Json:
    """Describe a row of `/v1/predict`; spans have their places beside what a chat says."""
    value = {name: part for name, part in answers.allowed.items() if name not in ("items", "maxItems")}
    if "items" in answers.allowed:
        value["items"] = {
            name: part for name, part in answers.allowed["items"].items() if name != "additionalProperties"
        }
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return _object(
        {
            "index": {"type": "integer"},
            answers.key: {"anyOf": [value, {"type": "null"}]},
            **({"probabilities": {"type": "object", "additionalProperties": share}} if answers.labels else {}),
            "error": {"type": "string", "description": "Why there is no answer."},
            "confidence": {"anyOf": [share, {"type": "null"}]},
            "abstain": {"type": "boolean", "description": "Whether a person should answer instead."},
        },
        "index",
        answers.key,
        closed=False,
    )


def _post(summary: str, asked: Json, told: Json, statuses: tuple[int, ...], *, example: Json) -> Json:
    """Describe a POST of JSON."""
    body = {"required": True, "content": {"application/json": {"schema": asked, "example": example}}}
    answer = {"description": "The answer.", "content": {"application/json": {"schema": told}}}
    return {"summary": summary, "requestBody": body, "responses": {"200": answer, **_refusals(*statuses)}}


def _get(summary: str, *statuses: int, kind: str | None = "application/json") -> Json:
    """Describe a GET."""
    answer = {"description": "OK", **({"content": {kind: {}}} if kind else {})}
    return {"summary": summary, "responses": {"200": answer, **_refusals(*statuses)}}


def _probe(summary: str, *, fails: bool) -> Json:
    """Describe a route that needs no key and says how the server is."""
    state = {"content": {"application/json": {"schema": _object({"status": {"type": "string"}}, "status")}}}
    answers = {"200": {"description": "OK", **state}}
    if fails:
        answers["503"] = {"description": _REFUSALS[503], **state}
    return {"summary": summary, "responses": answers, "security": []}


def _refusals(*statuses: int) -> Json:
    """Describe refusals; a wrong key or Host can be any request's."""
    content = {"application/json": {"schema": _ref("Error")}}
    return {str(code): {"description": _REFUSALS[code], "content": content} for code in sorted({*statuses, 401, 403})}


def _models(catalogue: Catalogue, *, base: bool = False) -> Json:
    return {"enum": list(catalogue.names if base else catalogue.strategies)}


def _model_parameter(catalogue: Catalogue) -> Json:
    return {"name": "model", "in": "path", "required": True, "schema": _models(catalogue, base=True)}


def _object(fields: Json, *required: str, closed: bool = True) -> Json:
    return {"type": "object", "properties": fields, "required": list(required), "additionalProperties": not closed}


def _whole(least: int, most: int | None, words: str) -> Json:
    return {"type": "integer", "minimum": least, **({"maximum": most} if most else {}), "description": words}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Json = {"type": "string", "minLength": 1}
_PART = _object({"type": {"const": "text"}, "text": {"type": "string"}}, "type", "text", closed=False)
_CONTENT: Json = {"anyOf": [{"type": "string"}, {"type": "array", "items": _PART}, {"type": "null"}]}
_FORMAT = _object(
    {
        "type": {"enum": ["text", "json_object", "json_schema"]},
        "json_schema": _object({"name": {"type": "string"}, "schema": {"type": "object"}}, "schema", closed=False),
    },
    "type",
    closed=False,
)
_USAGE = _object(
    {name: {"type": "integer", "minimum": 0} for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
    "prompt_tokens",
    "total_tokens",
    closed=False,
)
_MAYBE: Json = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_ERROR = _object(
    {
        "error": _object(
            {"message": {"type": "string"}, "type": {"type": "string"}, "param": _MAYBE, "code": _MAYBE}, "message"
        )
    },
    "error",
)
