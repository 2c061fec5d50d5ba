"""Winners that vLLM does not run, behind the same routes: what strategies load here, and models at a provider.

    python -m llmtl.serving.task_api.classifier_app --bundle F

Requests, answers and errors have the forms of vLLM with `llmtl.serving.task_api.middleware`, and the environment
variables are the same (LLMTL_BUNDLE, the limits, VLLM_API_KEY); a hosted model needs its own key, too. Not covered:
several processes (start it several times).
"""

import argparse
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from llmtl.classical.found_texts import GivesVectors
from llmtl.errors import BundleError, LlmtlError
from llmtl.redaction import hide_in_tracebacks, keep_secrets_of
from llmtl.serving.bundle.local import base_source, load_local
from llmtl.serving.bundle.manifest import CLASSIFIER_FOLDER, Bundle, ServedStrategy, Weights
from llmtl.serving.bundle.provider import read_hosted
from llmtl.serving.bundle.read import open_bundle
from llmtl.serving.task_api.access import Entrance
from llmtl.serving.task_api.answer_format import AnswerFormat
from llmtl.serving.task_api.answer_metrics import AnswerMetrics
from llmtl.serving.task_api.answering import Answering, Local, PassingOn, Provider
from llmtl.serving.task_api.asgi import ApiKey, DisconnectedError, read_body, unless_disconnected
from llmtl.serving.task_api.catalogue import Catalogue
from llmtl.serving.task_api.description import DESCRIBED, Description
from llmtl.serving.task_api.embedding_route import Embedding, embedding_request, embeddings_response
from llmtl.serving.task_api.gate import Gate
from llmtl.serving.task_api.interface import (
    BUNDLE_VARIABLE,
    CHAT,
    DRAIN_SECONDS,
    EMBEDDINGS,
    HEALTH,
    KEEP_ALIVE_SECONDS,
    KEY_VARIABLE,
    LIVE,
    METRICS,
    PREDICT,
    READY,
    RequestLimits,
)
from llmtl.serving.task_api.local_answers import beside, completion_of, outcomes, respond, row_of
from llmtl.serving.task_api.paid_metrics import PaidMetrics
from llmtl.serving.task_api.requests import (
    RequestError,
    chat_request,
    parse_object,
    predict_request,
    requested_model,
)
from llmtl.serving.task_api.responses import error_response, no_threshold, not_allowed, predictions_response
from llmtl.serving.task_api.sure_answers import SureAnswers
from llmtl.strategy import Prediction, Predictor


class ClassifierServer:
    """The routes over one bundle."""

    def __init__(self, folder: Path, limits: RequestLimits, environment: Mapping[str, str]) -> None:
        bundle = open_bundle(folder)
        if bundle.on_vllm:
            raise BundleError(f"vLLM runs the winner '{bundle.winner.name}'; serve it with `llmtl serve`.")
        self._limits = limits
        self._bundle = bundle
        self._catalogue = Catalogue(bundle)
        loaded = None if bundle.winner.weights is Weights.HOSTED else _loaded(bundle, folder)
        self._answering = _answering(bundle, folder, loaded, limits, environment)
        self._beside = beside(bundle, folder, limits)
        self._embedding: Embedding | None = Embedding(loaded, limits) if isinstance(loaded, GivesVectors) else None
        self._description = Description(self._catalogue, f"llmtl {version('llmtl')}", limits)
        self._format = AnswerFormat.of(bundle)
        self.registry = CollectorRegistry()
        self.registry.register(PaidMetrics(lambda: self._answering.paid))
        self._metrics = AnswerMetrics(bundle.task.kind, self.registry)

    async def described(self, request: Request) -> Response:
        """Say what the server is and does."""
        answer = self._description.answer(request.scope["path"].removeprefix(request.scope.get("root_path", "")))
        assert answer is not None
        return answer

    async def metrics(self, _request: Request) -> Response:
        """Return all metrics in Prometheus' text format."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

    async def chat(self, request: Request) -> Response:
        """Return the answer to one message as a chat completion, in the form that a language model would write."""
        fields = parse_object(await read_body(request.scope, request.receive, self._limits))
        strategy = self._catalogue.strategy(requested_model(fields, self._catalogue.names))
        asked = chat_request(fields, self._limits)
        if asked.abstain and strategy.abstains is None:
            raise no_threshold(strategy.model)
        saying = self._format.saying(asked, fields.get("response_format"))
        [prediction] = await self._answers(strategy, [asked.text], request, told=asked.abstain)
        shows = asked.passed.get("return_prompt_text") and strategy is self._bundle.winner
        prompt = self._answering.prompt(asked.text) if shows else None
        completion = completion_of(self._bundle, strategy, prediction, request=asked, saying=saying, prompt=prompt)
        return respond(completion)

    async def predict(self, request: Request) -> Response:
        """Return the answer to each input; labels with the probability of every label."""
        body = await read_body(request.scope, request.receive, self._limits)
        asked = predict_request(parse_object(body), self._limits)
        strategy = self._catalogue.strategy(asked.model)
        predictions = await self._answers(strategy, asked.inputs, request)
        return predictions_response(strategy, [row_of(self._bundle, each, strategy.abstains) for each in predictions])

    @property
    def embeds(self) -> bool:
        """Say whether the winner gives vectors."""
        return self._embedding is not None

    async def embeddings(self, request: Request) -> Response:
        """Return the vector of each text."""
        assert self._embedding is not None
        fields = parse_object(await read_body(request.scope, request.receive, self._limits))
        strategy = self._catalogue.strategy(requested_model(fields, self._catalogue.names))
        if strategy is not self._bundle.winner:
            raise RequestError(
                f"'{strategy.model}' gives no vectors; ask '{self._bundle.winner.model}'.",
                param="model",
                code="unsupported_route",
            )
        asked = embedding_request(fields, self._limits)
        vectors = await unless_disconnected(request.receive, self._embedding.vectors(asked))
        return embeddings_response(strategy.model, vectors, in_base64=asked.in_base64)

    @asynccontextmanager
    async def running(self, _app: Starlette) -> AsyncIterator[None]:
        """Return the context of the application's life."""
        yield
        for each in (self._answering, *self._beside.values()):
            each.close()
        if self._embedding is not None:
            self._embedding.close()

    async def _answers(
        self, strategy: ServedStrategy, texts: Sequence[str], request: Request, *, told: bool = True
    ) -> list[Prediction]:
        """Predict by the strategy that a client asked; with `told` it hears where a person should answer."""
        begun = perf_counter()
        work = self._beside.get(strategy.model, self._answering).predict(texts)
        # nobody is paid for answers that nobody waits for
        made = await unless_disconnected(request.receive, work)
        self._metrics.count(strategy, outcomes(made, strategy, told=told), seconds=perf_counter() - begun)
        return made


def create_app(folder: Path, *, environment: Mapping[str, str] | None = None) -> Starlette:
    """Return the application that serves the bundle in `folder`, with the limits and key that `environment` sets.

    Raises `BundleError` for a bundle that is incomplete, changed, or for vLLM.
    """
    environment = os.environ if environment is None else environment
    server = ClassifierServer(folder, RequestLimits.from_environment(environment), environment)
    routes = [
        *(Route(path, _health, methods=["GET"]) for path in (HEALTH, READY, LIVE)),
        Route(METRICS, server.metrics, methods=["GET"]),
        *(Route(path.replace("}", ":path}"), server.described, methods=["GET"]) for path in DESCRIBED),
        Route(CHAT, server.chat, methods=["POST"]),
        Route(PREDICT, server.predict, methods=["POST"]),
        *([Route(EMBEDDINGS, server.embeddings, methods=["POST"])] if server.embeds else []),
    ]
    known = tuple(route.path.replace(":path}", "}") for route in routes)
    return Starlette(
        routes=routes,
        lifespan=server.running,
        middleware=[
            Middleware(Entrance, environment=environment),
            Middleware(Gate, key=ApiKey(environment.get(KEY_VARIABLE)), registry=server.registry, routes=known),
        ],
        exception_handlers={
            RequestError: _refused,
            HTTPException: _http_error,
            DisconnectedError: _gone,
            HTTPStatus.INTERNAL_SERVER_ERROR: _failed,
        },
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped, and return the exit code."""
    parser = argparse.ArgumentParser(description="Serve a bundle whose winner vLLM does not run.")
    parser.add_argument("--bundle", type=Path, default=os.environ.get(BUNDLE_VARIABLE), help="default: $LLMTL_BUNDLE")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    parser.add_argument("--uds", help="Unix socket to listen at instead, for a proxy in front")
    given = parser.parse_args(arguments)
    if given.bundle is None:
        parser.error(f"no bundle is named; give --bundle or set {BUNDLE_VARIABLE}")
    keep_secrets_of(os.environ)
    hide_in_tracebacks()
    try:
        app = create_app(Path(given.bundle))
    except LlmtlError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    uvicorn.run(
        app,
        host=given.host,
        port=given.port,
        uds=given.uds,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    return 0


def _answering(
    bundle: Bundle, folder: Path, loaded: Predictor | None, limits: RequestLimits, environment: Mapping[str, str]
) -> Answering:
    """Say who answers: the winner or, of a cascade, both of its members; `loaded` is None for one at its provider."""
    winner = Provider(bundle, read_hosted(folder, environment)) if loaded is None else Local(loaded, limits)
    first = SureAnswers.open(bundle, folder)
    return winner if first is None else PassingOn(first, winner)


def _loaded(bundle: Bundle, folder: Path) -> Predictor:
    """Load the winner that this process runs."""
    return load_local(folder / CLASSIFIER_FOLDER, bundle.task, bundle.run_by_weights, base_source(bundle, folder))


async def _health(_request: Request) -> Response:
    """Say that it is ready: the classifier was loaded before the first request."""
    return JSONResponse({"status": "ready"})


async def _refused(_request: Request, error: Exception) -> Response:
    """Return a refusal."""
    assert isinstance(error, RequestError)
    return error_response(error)


async def _http_error(request: Request, error: Exception) -> Response:
    """Return what Starlette refuses, a wrong path or method, in OpenAI's error format."""
    assert isinstance(error, HTTPException)
    path = str(request.scope["path"])  # the URL, with the Host header in it, may be none that can be read
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return error_response(not_allowed(path, (error.headers or {}).get("Allow", "other")))
    return error_response(
        RequestError(f"There is no route {path}; use {CHAT} or {PREDICT}.", status=error.status_code, code="not_found")
    )


async def _failed(_request: Request, _error: Exception) -> Response:
    """Return that something unforeseen went wrong; the traceback goes to the log, not to the client."""
    return error_response(
        RequestError("The server failed; its log says why.", status=500, code="internal_error", kind="server_error")
    )


async def _gone(_request: Request, _error: Exception) -> Response:
    """Answer a client that has left; the response is never read."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


if __name__ == "__main__":
    sys.exit(main())
