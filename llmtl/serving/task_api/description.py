"""What a server says of itself, whatever runs the winner: its task, its models, its interface and a page of that.

    GET /v1/task    GET /v1/models    GET /v1/models/{model}    GET /openapi.json    GET /docs

Not covered: health and metrics.
"""

from time import time
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response

from llmtl.serving.bundle.manifest import Weights
from llmtl.serving.task_api.answer_format import AnswerFormat
from llmtl.serving.task_api.catalogue import Catalogue
from llmtl.serving.task_api.docs_page import docs_page
from llmtl.serving.task_api.interface import DOCS, MODELS, OPENAPI, TASK, RequestLimits
from llmtl.serving.task_api.openapi import openapi
from llmtl.serving.task_api.requests import unknown_model

DESCRIBED = (TASK, MODELS, f"{MODELS}/{{model}}", OPENAPI, DOCS)


class Description:
    """Answers to questions about one server; `engine` is its name with its version."""

    def __init__(self, catalogue: Catalogue, engine: str, limits: RequestLimits) -> None:
        self._catalogue = catalogue
        self._task = catalogue.describe(engine, limits)
        self._started = int(time())
        self._openapi = openapi(catalogue, AnswerFormat.of(catalogue.bundle), limits)
        self._page = docs_page(self._openapi)

    def answer(self, path: str) -> Response | None:
        """Answer a request for `path`, None where that describes nothing; raises `RequestError` (404)."""
        if path == TASK:
            return JSONResponse(self._task)
        if path == MODELS:
            return JSONResponse({"object": "list", "data": [self._model(name) for name in self._catalogue.names]})
        if path.startswith(f"{MODELS}/"):
            return JSONResponse(self._model(path.removeprefix(f"{MODELS}/")))
        if path == OPENAPI:
            return JSONResponse(self._openapi)
        if path == DOCS:
            # nothing is loaded from anywhere, and no script runs
            return HTMLResponse(
                self._page, headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
            )
        return None

    def _model(self, name: str) -> dict[str, Any]:
        """Describe one model as OpenAI does, with the strategy behind it."""
        catalogue = self._catalogue
        card: dict[str, Any] = {
            "id": name,
            "object": "model",
            "created": self._started,
            "owned_by": "llmtl",
            "root": name,
        }
        if catalogue.bundle.base is not None:
            card["max_model_len"] = catalogue.bundle.base.context_length
        if name in catalogue.strategies:
            strategy = catalogue.strategies[name]
            return {**card, "strategy": strategy.name, "weights": str(strategy.weights)}
        if name == catalogue.base:
            return {**card, "strategy": None, "weights": str(Weights.BASE)}
        raise unknown_model(name, catalogue.names)
