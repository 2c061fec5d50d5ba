"""What was answered, for Prometheus, in front of vLLM as without it.

    llmtl_answers_total{model, outcome}    inputs answered; outcome: answered, left (to a person), failed
    llmtl_labels_total{model, label}       labels among the answers; of extraction the type of each span
    llmtl_answer_seconds{model}            time to the answers of one request, as a histogram

`model` is the name that clients ask for. A chat counts as left to a person only where it asked to be told. Not covered:
requests by route and status (`llmtl.serving.task_api.gate`), vLLM's own metrics, requests to the base model.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from starlette.types import ASGIApp, Receive, Scope, Send

from llmtl.kinds.kind import Kind
from llmtl.serving.bundle.manifest import ServedStrategy
from llmtl.serving.task_api.asgi import fetch
from llmtl.serving.task_api.gate import BUCKETS_SECONDS

_PLAIN_TEXT = (b"accept", b"accept-encoding")


class AnswerMetrics:
    """Counts the answers to a kind of task, by the model that gave them."""

    def __init__(self, kind: Kind, registry: CollectorRegistry) -> None:
        self._kind = kind
        self._registry = registry
        self._answers = Counter("llmtl_answers", "Inputs answered.", ("model", "outcome"), registry=registry)
        self._labels = Counter("llmtl_labels", "Labels among the answers.", ("model", "label"), registry=registry)
        self._seconds = Histogram(
            "llmtl_answer_seconds", "Time to answer.", ("model",), registry=registry, buckets=BUCKETS_SECONDS
        )

    def count(self, strategy: ServedStrategy, answers: Iterable[tuple[str | None, bool]], *, seconds: float) -> None:
        """Count the answers to one request: each a canonical answer, or None, and whether a person should answer."""
        self._seconds.labels(strategy.model).observe(seconds)
        for answer, left in answers:
            outcome = "left" if left else "failed" if answer is None else "answered"
            self._answers.labels(strategy.model, outcome).inc()
            for label in () if answer is None else self._kind.counted(answer):
                self._labels.labels(strategy.model, label).inc()

    async def add_to(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for metrics with those of `app`, and these after them.

        They come as plain text, whatever the client would take: OpenMetrics and compressed texts have an end.
        """
        kept = [pair for pair in scope["headers"] if pair[0] not in _PLAIN_TEXT]
        answer = await fetch(app, {**scope, "headers": kept}, receive)
        if answer.status == 200:
            answer = answer.with_body(answer.body + generate_latest(self._registry))
        await answer.deliver(send)
