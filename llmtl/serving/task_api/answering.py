"""Who answers where the server has no language model of its own: a baseline in this process, or a model's provider.

Not covered: the routes (`llmtl.serving.task_api.classifier_app`).
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from llmtl.errors import HostedError
from llmtl.predictor import Prediction, Predictor
from llmtl.serving.bundle.hosted import HostedWinner, load_hosted
from llmtl.serving.bundle.manifest import Bundle
from llmtl.serving.task_api.asgi import together
from llmtl.serving.task_api.requests import RequestError


class Answering(Protocol):
    """What the routes ask."""

    async def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction a text, in order."""


class Local:
    """A predictor of this process."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    async def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return the predictions, made in a thread so that long texts do not hold the other clients up."""
        return await asyncio.to_thread(self._predictor.predict, texts)


class Provider:
    """A hosted model; raises `HostedError` without its key.

    The questions of all clients together keep to its limits: so many at once, so many a minute, so much money.
    """

    def __init__(self, bundle: Bundle, winner: HostedWinner) -> None:
        self._predictor = load_hosted(bundle, winner)
        self._pool = ThreadPoolExecutor(max_workers=winner.model.concurrency, thread_name_prefix="llmtl-provider")

    async def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return the predictions; raises `RequestError` (502) when the provider fails or the spend limit is reached."""
        try:
            return await together(self._ask(text) for text in texts)
        except HostedError as error:
            raise RequestError(str(error), status=502, code="hosted_model_failed", kind="server_error") from error

    async def _ask(self, text: str) -> Prediction:
        """Return one prediction."""
        [prediction] = await asyncio.get_running_loop().run_in_executor(self._pool, self._predictor.predict, [text])
        return prediction
