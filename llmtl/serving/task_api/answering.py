"""Who answers where the server has no language model of its own: a baseline in this process, or a model's provider.

Not covered: the routes (`llmtl.serving.task_api.classifier_app`).
"""

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from llmtl.errors import HostedError, SpendLimitError
from llmtl.measured.endpoint import Paid
from llmtl.serving.bundle.manifest import Bundle
from llmtl.serving.bundle.provider import LIMIT_VARIABLE, HostedWinner, load_hosted
from llmtl.serving.task_api.asgi import together
from llmtl.serving.task_api.batching import Batching
from llmtl.serving.task_api.interface import RequestLimits
from llmtl.serving.task_api.requests import RequestError
from llmtl.serving.task_api.sure_answers import SureAnswers
from llmtl.strategy import Prediction, Predictor


class Answering(Protocol):
    """What the routes ask."""

    def predict(self, texts: Sequence[str]) -> Coroutine[None, None, list[Prediction]]:
        """Predict in order, one prediction per text, once awaited."""

    def prompt(self, text: str) -> str | None:
        """Write what a language model is given for a text; None where there is no language model."""

    @property
    def paid(self) -> Paid | None:
        """Add up what a provider was paid so far; None where there is no provider."""

    def close(self) -> None:
        """Close connections; nothing may be asked afterwards."""


class Local:
    """A predictor of this process, which answers what waits at once together."""

    def __init__(self, predictor: Predictor, limits: RequestLimits) -> None:
        self._batching = Batching(predictor.predict, waiting_inputs=limits.max_waiting, seconds=limits.max_wait_seconds)

    async def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Predict; raises `RequestError` (503) where more waits than may."""
        return await self._batching.answer(texts)

    def prompt(self, text: str) -> str | None:
        """Give None: nothing is prompted."""
        return None

    @property
    def paid(self) -> Paid | None:
        """Give None: nobody is paid."""
        return None

    def close(self) -> None:
        """Refuse what waits."""
        self._batching.close()


class PassingOn:
    """A cascade: what the first strategy is not sure of is passed on to the one who answers the rest."""

    def __init__(self, first: SureAnswers, then: Answering) -> None:
        self._first = first
        self._then = then

    async def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Predict; only what is passed on can fail for want of a provider."""
        found = await self._first.of(texts)
        left = [text for text, answer in zip(texts, found, strict=True) if answer is None]
        rest = iter(await self._then.predict(left) if left else ())
        return [next(rest) if answer is None else answer for answer in found]

    def prompt(self, text: str) -> str | None:
        """Say what a language model is given for a text; None for one that the first strategy is sure of."""
        return self._then.prompt(text) if self._first.now([text]) == [None] else None

    @property
    def paid(self) -> Paid | None:
        """Say what a provider was paid so far for what was passed on."""
        return self._then.paid

    def close(self) -> None:
        """Close connections."""
        self._then.close()


class Provider:
    """A hosted model; raises `HostedError` without its key.

    The questions of all clients together keep to its limits: so many at once, so many a minute, so much money.
    """

    def __init__(self, bundle: Bundle, winner: HostedWinner) -> None:
        self._asking = load_hosted(bundle, winner)
        self._predictor = self._asking.predictor()
        self._most = winner.endpoint.max_usd
        self._pool = ThreadPoolExecutor(max_workers=winner.endpoint.concurrency, thread_name_prefix="llmtl-provider")

    async def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Predict through the provider.

        Raises `RequestError`: 402 when the spend limit is reached, which clients do not try again, 502 when the
        provider fails.
        """
        try:
            return await together(self._ask(text) for text in texts)
        except SpendLimitError as error:
            raise RequestError(
                f"The spend limit of {self._most:g} USD of this server is reached; whoever runs it can start it again, "
                f"with another limit in {LIMIT_VARIABLE}.",
                status=402,
                code="spend_limit_reached",
                kind="insufficient_quota",
            ) from error
        except HostedError as error:
            raise RequestError(str(error), status=502, code="hosted_model_failed", kind="server_error") from error

    def prompt(self, text: str) -> str | None:
        """Write the messages that the provider gets."""
        return self._asking.shown(text)

    @property
    def paid(self) -> Paid | None:
        """Add up what the provider was paid since this process started."""
        return self._asking.paid

    def close(self) -> None:
        """Close the connections to the provider."""
        self._pool.shutdown(cancel_futures=True)
        self._asking.engine.close()

    async def _ask(self, text: str) -> Prediction:
        """Return one prediction."""
        [prediction] = await asyncio.get_running_loop().run_in_executor(self._pool, self._predictor.predict, [text])
        return prediction
