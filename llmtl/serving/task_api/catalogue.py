"""The names a server answers to: the winner's, those of the other measured strategies, the base model's.

Not covered: how requests to them are answered (`llmtl.serving.task_api.middleware`,
`llmtl.serving.task_api.classifier_app`).
"""

from typing import Any

from llmtl.serving.bundle.manifest import Bundle, ServedStrategy, Weights
from llmtl.serving.task_api.interface import EMBEDDINGS, OF_A_REQUEST, RequestLimits
from llmtl.serving.task_api.requests import unknown_model

_ABSTAINS = ("threshold", "max_error", "text")
"""What clients are told of when inputs are left to a person."""


class Catalogue:
    """What a bundle serves, by the names that clients ask for.

    `base` is the base model's name, or None where it cannot be reached: a merged checkpoint is not the base model any
    more, and a classifier has none. `names` lists every name, the winner's first.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.strategies = {each.model: each for each in bundle.strategies}
        reachable = bundle.base is not None and bundle.winner.weights in (Weights.BASE, Weights.ADAPTER)
        self.base = bundle.base.name if bundle.base is not None and reachable else None
        self.names = (*self.strategies, *([self.base] if self.base else []))

    def strategy(self, model: str | None) -> ServedStrategy:
        """Return the strategy that answers to `model`, the winner for None; raises `RequestError` (404)."""
        if model is None:
            return self.bundle.winner
        if model not in self.strategies:
            raise unknown_model(model, tuple(self.strategies))
        return self.strategies[model]

    def describe(self, engine: str, limits: RequestLimits) -> dict[str, Any]:
        """Return the answer to `GET /v1/task`; `engine` is the server's name with its version."""
        bundle, abstains = self.bundle, self.bundle.winner.abstains
        told = {"schema": bundle.output.schema, "max_tokens": bundle.output.max_tokens}
        form = {name: value for name, value in told.items() if value is not None}
        first = bundle.first
        cascade = {"first": first.name, "threshold": first.threshold, "then": first.then} if first else {}
        context = {"context_length": bundle.base.context_length} if bundle.base else {}
        return {
            "object": "task",
            "task": bundle.task.name,
            "kind": bundle.task.kind.name,
            "labels": list(bundle.task.labels),
            **({"descriptions": dict(bundle.task.label_meanings)} if bundle.task.descriptions else {}),
            "instruction": bundle.winner.told(bundle.task).instruction,
            "model": bundle.winner.model,
            "strategy": bundle.winner.name,
            "engine": engine,
            "strategies": [
                {"model": each.model, "strategy": each.name, "weights": str(each.weights)} for each in bundle.strategies
            ],
            "base_model": self.base,
            "output": bundle.output.form,
            **form,
            **({"embeddings": EMBEDDINGS} if bundle.output.embeds else {}),
            **({"cascade": cascade} if cascade else {}),
            "limits": {**{name: getattr(limits, name) for name in OF_A_REQUEST}, **context},
            "verdict": bundle.verdict,
            "abstains": None if abstains is None else {name: getattr(abstains, name) for name in _ABSTAINS},
        }
