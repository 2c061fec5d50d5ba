"""Winners that vLLM does not run, behind the same routes: what strategies load here, and models at a provider.

    python -m llmtl.serving.task_api.classifier_app --bundle F

Requests, answers and errors have the forms of vLLM with `llmtl.serving.task_api.middleware`, and the environment
variables are the same (LLMTL_BUNDLE, the limits, VLLM_API_KEY); a hosted model needs its own key, too. Not covered:
several processes (start it several times), CORS (off).
"""

import argparse
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from time import time

import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from llmtl.classical.found_texts import GivesVectors
from llmtl.errors import BundleError, LlmtlError
from llmtl.kinds.kind import Read
from llmtl.measured.endpoint import Paid
from llmtl.redaction import hide_in_tracebacks, keep_secrets_of
from llmtl.serving.bundle.local import base_source, load_local
from llmtl.serving.bundle.manifest import CLASSIFIER_FOLDER, Abstaining, Bundle, Weights
from llmtl.serving.bundle.provider import read_hosted
from llmtl.serving.bundle.read import open_bundle
from llmtl.serving.task_api.answering import Answering, Local, PassingOn, Provider
from llmtl.serving.task_api.asgi import ApiKey, DisconnectedError, read_body, unless_disconnected
from llmtl.serving.task_api.catalogue import Catalogue
from llmtl.serving.task_api.embedding_route import Embedding, embedding_request, embeddings_response
from llmtl.serving.task_api.gate import Gate
from llmtl.serving.task_api.interface import (
    BUNDLE_VARIABLE,
    CHAT,
    EMBEDDINGS,
    HEALTH,
    KEEP_ALIVE_SECONDS,
    KEY_VARIABLE,
    METRICS,
    MODELS,
    PREDICT,
    TASK,
    RequestLimits,
)
from llmtl.serving.task_api.label_completions import LabelCompletion
from llmtl.serving.task_api.paid_metrics import PaidMetrics
from llmtl.serving.task_api.plain_answers import said
from llmtl.serving.task_api.requests import (
    RequestError,
    chat_request,
    parse_object,
    predict_request,
    requested_model,
)
from llmtl.serving.task_api.responses import (
    Predicted,
    error_response,
    labelled,
    no_threshold,
    not_allowed,
    predictions_response,
)
from llmtl.serving.task_api.sure_answers import SureAnswers
from llmtl.strategy import Prediction, Predictor


class ClassifierServer:
    """The routes over one bundle; `started` is the time that `/v1/models` reports."""

    def __init__(self, folder: Path, limits: RequestLimits, environment: Mapping[str, str]) -> None:
        bundle = open_bundle(folder)
        if bundle.on_vllm:
            raise BundleError(f"vLLM runs the winner '{bundle.winner.name}'; serve it with `llmtl serve`.")
        self._limits = limits
        self._bundle = bundle
        self._catalogue = Catalogue(bundle)
        loaded = None if bundle.winner.weights is Weights.HOSTED else _loaded(bundle, folder)
        self._answering = _answering(bundle, folder, loaded, limits, environment)
        self._embedding: Embedding | None = Embedding(loaded, limits) if isinstance(loaded, GivesVectors) else None
        self._task = self._catalogue.describe(f"llmtl {version('llmtl')}", limits)
        self._started = int(time())

    async def models(self, _request: Request) -> Response:
        """Return the answer to `GET /v1/models`."""
        name = self._catalogue.bundle.winner.model
        card = {"id": name, "object": "model", "created": self._started, "owned_by": "llmtl", "root": name}
        return JSONResponse({"object": "list", "data": [card]})

    async def task(self, _request: Request) -> Response:
        """Return the answer to `GET /v1/task`."""
        return JSONResponse(self._task)

    async def chat(self, request: Request) -> Response:
        """Return the answer to one message as a chat completion, in the form that a language model would write."""
        fields = parse_object(await read_body(request.scope, request.receive, self._limits))
        strategy = self._catalogue.strategy(requested_model(fields, self._catalogue.names))
        asked = chat_request(fields, self._limits)
        if asked.abstain and strategy.abstains is None:
            raise no_threshold(strategy.model)
        [prediction] = await unless_disconnected(request.receive, self._answering.predict([asked.text]))
        completion = LabelCompletion(
            strategy.model,
            asked,
            *self._said(prediction, strategy.abstains if asked.abstain else None),
            prompt=self._answering.prompt(asked.text) if asked.passed.get("return_prompt_text") else None,
            prompt_tokens=prediction.prompt_tokens,
        )
        if asked.stream:
            return StreamingResponse(completion.events(), media_type="text/event-stream")
        return JSONResponse(completion.whole())

    async def predict(self, request: Request) -> Response:
        """Return the answer to each input; labels with the probability of every label."""
        body = await read_body(request.scope, request.receive, self._limits)
        asked = predict_request(parse_object(body), self._limits)
        strategy = self._catalogue.strategy(asked.model)
        # nobody is paid for answers that nobody waits for
        predictions = await unless_disconnected(request.receive, self._answering.predict(asked.inputs))
        return predictions_response(strategy, [self._row(each, strategy.abstains) for each in predictions])

    @property
    def embeds(self) -> bool:
        """Say whether the winner gives vectors."""
        return self._embedding is not None

    async def embeddings(self, request: Request) -> Response:
        """Return the vector of each text."""
        assert self._embedding is not None
        fields = parse_object(await read_body(request.scope, request.receive, self._limits))
        strategy = self._catalogue.strategy(requested_model(fields, self._catalogue.names))
        asked = embedding_request(fields, self._limits)
        vectors = await unless_disconnected(request.receive, self._embedding.vectors(asked))
        return embeddings_response(strategy.model, vectors, in_base64=asked.in_base64)

    @asynccontextmanager
    async def running(self, _app: Starlette) -> AsyncIterator[None]:
        """Return the context of the application's life."""
        yield
        self._answering.close()
        if self._embedding is not None:
            self._embedding.close()

    def paid(self) -> Paid | None:
        """Return what a provider was paid so far, if there is one."""
        return self._answering.paid

    def _said(self, prediction: Prediction, abstains: Abstaining | None) -> tuple[str, Mapping[str, float]]:
        """Say what a chat says, with the probability of every label; raises `RequestError` (422) for a failure."""
        if abstains is not None and abstains.leaves(prediction.certainty_by(abstains.calibration)):
            return abstains.text, {}
        if prediction.failure is not None:
            raise RequestError(prediction.failure, status=422, param="messages", code="no_answer")
        told = prediction.probabilities if self._bundle.output.form == "label" else {}
        return said(self._bundle.task, prediction.answer or ""), told

    def _row(self, prediction: Prediction, abstains: Abstaining | None) -> Predicted:
        """Return a prediction as a row of `/v1/predict`."""
        tokens = prediction.prompt_tokens
        if self._bundle.output.form == "label" and prediction.answer is not None:
            return labelled(prediction.answer, dict(prediction.probabilities), tokens)
        read = Read(prediction.answer, prediction.dropped_spans)
        fields = self._bundle.task.kind.fields(read, error=prediction.failure or "")
        return Predicted(fields, tokens, certainty=prediction.certainty_by(abstains.calibration if abstains else None))


@dataclass(frozen=True)
class Metrics:
    """The route for Prometheus."""

    registry: CollectorRegistry

    async def show(self, _request: Request) -> Response:
        """Return all metrics in Prometheus' text format."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)


def create_app(folder: Path, *, environment: Mapping[str, str] | None = None) -> Starlette:
    """Return the application that serves the bundle in `folder`, with the limits and key that `environment` sets.

    Raises `BundleError` for a bundle that is incomplete, changed, or for vLLM.
    """
    environment = os.environ if environment is None else environment
    server = ClassifierServer(folder, RequestLimits.from_environment(environment), environment)
    registry = CollectorRegistry()
    registry.register(PaidMetrics(server.paid))
    routes = [
        Route(HEALTH, _health, methods=["GET"]),
        Route(METRICS, Metrics(registry).show, methods=["GET"]),
        Route(MODELS, server.models, methods=["GET"]),
        Route(TASK, server.task, methods=["GET"]),
        Route(CHAT, server.chat, methods=["POST"]),
        Route(PREDICT, server.predict, methods=["POST"]),
        *([Route(EMBEDDINGS, server.embeddings, methods=["POST"])] if server.embeds else []),
    ]
    known = tuple(route.path for route in routes)
    return Starlette(
        routes=routes,
        lifespan=server.running,
        middleware=[Middleware(Gate, key=ApiKey(environment.get(KEY_VARIABLE)), registry=registry, routes=known)],
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
        log_level="warning",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
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
    """Return 200: the classifier was loaded before the first request."""
    return Response()


async def _refused(_request: Request, error: Exception) -> Response:
    """Return a refusal."""
    assert isinstance(error, RequestError)
    return error_response(error)


async def _http_error(request: Request, error: Exception) -> Response:
    """Return what Starlette refuses, a wrong path or method, in OpenAI's error format."""
    assert isinstance(error, HTTPException)
    path = request.url.path
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
