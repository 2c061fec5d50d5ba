"""The route `/v1/embeddings`: the vectors by which the winner of a search compares texts, in OpenAI's format.

They have length 1. Not covered: shortened vectors (`dimensions`), inputs given as token ids.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.responses import JSONResponse

from llmtl.classical.found_texts import GivesVectors
from llmtl.serving.task_api.batching import Batching
from llmtl.serving.task_api.interface import RequestLimits
from llmtl.serving.task_api.requests import RequestError, check_text

Vector = NDArray[np.float32]
FORMATS = ("float", "base64")


@dataclass(frozen=True)
class EmbeddingRequest:
    """Texts to embed; with `in_base64`, OpenAI's client wants the bytes of little-endian float32 numbers."""

    texts: tuple[str, ...]
    in_base64: bool
    dimensions: int | None


@dataclass(frozen=True)
class EmbeddedText:
    """The vector of a text, and the tokens that were read of it."""

    vector: Vector
    tokens: int


class Embedding:
    """The vectors of a predictor of this process; what waits at once is embedded together."""

    def __init__(self, predictor: GivesVectors, limits: RequestLimits) -> None:
        self._batching: Batching[EmbeddedText] = Batching(
            lambda texts: list(map(EmbeddedText, predictor.embed(texts), predictor.count_tokens(texts))),
            waiting_inputs=limits.max_waiting,
            seconds=limits.max_wait_seconds,
        )

    async def vectors(self, asked: EmbeddingRequest) -> list[EmbeddedText]:
        """Embed; raises `RequestError` (503) where more waits than may, and for another width than there is."""
        made = await self._batching.answer(asked.texts)
        width = len(made[0].vector)
        if asked.dimensions not in (None, width):
            raise RequestError(
                f"The vectors have {width} numbers, not {asked.dimensions}; leave 'dimensions' out.",
                param="dimensions",
            )
        return made

    def close(self) -> None:
        """Refuse what waits."""
        self._batching.close()


def embedding_request(body: dict[str, Any], limits: RequestLimits) -> EmbeddingRequest:
    """Check a request to `/v1/embeddings`; raises `RequestError`."""
    given, wanted, dimensions = body.get("input"), body.get("encoding_format"), body.get("dimensions")
    inputs = [given] if isinstance(given, str) else given
    if not isinstance(inputs, list) or not all(isinstance(each, str) for each in inputs):
        raise RequestError("'input' must be a text or a list of texts; token ids are not taken.", param="input")
    if not 1 <= len(inputs) <= limits.max_inputs:
        raise RequestError(
            f"'input' has {len(inputs)} texts; send 1 to {limits.max_inputs} in one request.", param="input"
        )
    for position, text in enumerate(inputs):
        check_text(text, "input" if isinstance(given, str) else f"input[{position}]", limits)
    if wanted not in (None, *FORMATS):
        raise RequestError(f"'encoding_format' must be one of {', '.join(FORMATS)}.", param="encoding_format")
    if dimensions is not None and (not isinstance(dimensions, int) or isinstance(dimensions, bool)):
        raise RequestError("'dimensions' must be a whole number.", param="dimensions")
    return EmbeddingRequest(tuple(inputs), wanted == "base64", dimensions)


def embeddings_response(model: str, made: Sequence[EmbeddedText], *, in_base64: bool) -> JSONResponse:
    """Write vectors as OpenAI does."""
    rows = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _base64(each.vector) if in_base64 else each.vector.tolist(),
        }
        for index, each in enumerate(made)
    ]
    tokens = sum(each.tokens for each in made)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JSONResponse({"object": "list", "model": model, "data": rows, "usage": usage})


def _base64(vector: Vector) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
