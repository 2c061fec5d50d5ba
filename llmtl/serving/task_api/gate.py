"""What every request to the classifier app passes: the API key, and the counting for Prometheus.

    llmtl_requests_total{route, status}    requests answered
    llmtl_request_errors_total{route}      of these, the ones with a status from 400
    llmtl_request_seconds{route}           time to the end of the answer, as a histogram

Not covered: answers by model and label (`llmtl.serving.task_api.answer_metrics`), vLLM's own metrics.
"""

from collections.abc import Collection
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmtl.serving.task_api.asgi import ApiKey
from llmtl.serving.task_api.interface import MODELS, OPEN
from llmtl.serving.task_api.requests import RequestError
from llmtl.serving.task_api.responses import error_response

_OTHER = "other"
"""The route under which unknown paths are counted: one series, however many paths are tried."""

BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Gate:
    """A pure ASGI middleware around the application."""

    def __init__(self, app: ASGIApp, *, key: ApiKey, registry: CollectorRegistry, routes: Collection[str]) -> None:
        self._app = app
        self._key = key
        self._routes = frozenset(routes)
        self._requests = Counter("llmtl_requests", "Requests answered.", ("route", "status"), registry=registry)
        self._errors = Counter("llmtl_request_errors", "Requests refused or failed.", ("route",), registry=registry)
        self._seconds = Histogram(
            "llmtl_request_seconds", "Time to answer.", ("route",), registry=registry, buckets=BUCKETS_SECONDS
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        route = self._route(path)
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        start = perf_counter()
        try:
            await self._admit(path, scope, receive, noting)
        finally:
            self._seconds.labels(route).observe(perf_counter() - start)
            self._requests.labels(route, status).inc()
            if status >= 400:
                self._errors.labels(route).inc()

    def _route(self, path: str) -> str:
        """Name the route under which a path is counted."""
        one_model = f"{MODELS}/{{model}}"
        if path.startswith(f"{MODELS}/") and one_model in self._routes:
            return one_model
        return path if path in self._routes else _OTHER

    async def _admit(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if its client may ask."""
        try:
            if path not in OPEN:
                self._key.check(scope)
        except RequestError as error:
            await error_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)
