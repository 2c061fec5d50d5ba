"""The parity check: recorded test inputs through the live endpoint must give the recorded answers.

Answers are asked for as a client does, by chat to the task's name through the `openai` package; probabilities by
`/v1/predict`; and what `/v1/embeddings` gives, where there is such a route, must rank the bundle's corpus as was
measured. Where a failure was recorded (an input too long for the model, JSON that was cut off), the server must have no
answer either. Where answers have no probabilities nothing can be a near tie, and the required share alone decides. Not
covered: what to do about a failed check (`llmtl.serving.live`).
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai

from llmtl.errors import ServingError
from llmtl.measured.endpoint import Disagreement, Parity
from llmtl.progress import Advance, unwatched
from llmtl.serving.bundle.manifest import Recorded
from llmtl.serving.proof.reading import Reading
from llmtl.serving.proof.target import LiveEndpoint, reason

REQUIRED = 0.995
"""The least share of equal answers: one in 200 may fall the other way in a near tie."""
TOLERANCE = 0.01
"""Labels whose measured probabilities are this close may swap: other kernels and batch shapes round otherwise."""
TOLERANCE_WRITTEN = 0.05
"""The same of the confidence of a written answer: rounding adds up over its tokens."""
SEED = 0
_CONCURRENCY = 8
_REQUEST_SECONDS = 120.0
_ROUNDING = 1e-9
_REFUSALS = (400, 413, 422)
"""Statuses that say the input itself cannot be served."""
_NOT_ASKED = (402, 502)
"""Statuses that say the provider of a hosted model, or the limit on what it may cost, stands in the way."""


@dataclass(frozen=True)
class Replayed:
    """What the live server said about one input: the answer by chat, answer and probabilities by `/v1/predict`.

    None and {} where it refused the input or said what is not an answer. `embedded` is the answer that follows from the
    vector of `/v1/embeddings`, None where there is no such route. `abstain` is whether `/v1/predict` left it to
    a person, None where it did not say.
    """

    chat: str | None = None
    predict: str | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    abstain: bool | None = None
    embedded: str | None = None

    def against(self, recorded: str | None) -> str | None:
        """Return the answer that all routes gave, or one that differs from the recorded answer."""
        said = (self.chat, self.predict, *([self.embedded] if self.embedded is not None else []))
        return next((each for each in said if each != recorded), recorded)


def chosen(recorded: Sequence[Recorded], size: int | None) -> tuple[Recorded, ...]:
    """Return `size` of the recorded inputs by a seeded draw, in their order; all for None or when there are fewer."""
    if size is None or size >= len(recorded):
        return tuple(recorded)
    return tuple(recorded[index] for index in sorted(random.Random(SEED).sample(range(len(recorded)), size)))


def check_parity(
    endpoint: LiveEndpoint, recorded: Sequence[Recorded], reading: Reading, *, advance: Advance = unwatched
) -> Parity:
    """Return how far the live endpoint agrees with what was recorded.

    Raises `ServingError` when nothing was recorded, or when a request gets no answer at all.
    """
    if not recorded:
        raise ServingError("The bundle holds no recorded test inputs, so nothing can be checked; export it again.")
    answers = asyncio.run(_ask_all(_Question(endpoint, reading), recorded, advance))
    return judge(recorded, answers, ties=reading.has_probabilities, threshold=reading.threshold)


def judge(
    recorded: Sequence[Recorded], answers: Sequence[Replayed], *, ties: bool = True, threshold: float | None = None
) -> Parity:
    """Return the verdict over the answers to the recorded inputs, in the same order.

    With `ties` every disagreement must be a near tie. What is surer than `threshold`, and nothing else, must not be
    left to a person; an answer that was written otherwise has a confidence of its own, and counts as a disagreement.
    """
    pairs = list(zip(recorded, answers, strict=True))
    disagreements = tuple(
        _disagreement(row, answer, ties=ties)
        for row, answer in pairs
        if row.prediction != answer.against(row.prediction)
    )
    agreed = len(pairs) - len(disagreements)
    differ = (
        None if threshold is None else sum(_abstains_otherwise(row, answer, threshold, ties) for row, answer in pairs)
    )
    enough = agreed / len(pairs) >= REQUIRED - _ROUNDING
    return Parity(
        compared=len(pairs),
        agreed=agreed,
        required=REQUIRED,
        passed=enough and not differ and (not ties or all(item.close for item in disagreements)),
        largest_difference=max((_difference(row, answer) for row, answer in pairs), default=0.0),
        disagreements=disagreements,
        compared_probabilities=any(_both(row, answer) for row, answer in pairs),
        abstentions_differ=differ,
    )


def _abstains_otherwise(row: Recorded, answer: Replayed, threshold: float, ties: bool) -> bool:
    """Say whether an input was left to a person that should not have been, or the reverse, by more than rounding."""
    if row.prediction is None or answer.predict is None or not (ties or row.prediction == answer.predict):
        return False  # it failed here or there, or something else was written: the answers say so
    certainty = row.probabilities.get(row.prediction, row.confidence or 0.0)
    tolerance = TOLERANCE if ties else TOLERANCE_WRITTEN
    return answer.abstain != (certainty < threshold) and abs(certainty - threshold) > tolerance + _ROUNDING


def _disagreement(row: Recorded, answer: Replayed, *, ties: bool) -> Disagreement:
    served = answer.against(row.prediction)
    shown = [label for label in (row.prediction, served) if label is not None and ties]
    return Disagreement(
        id=row.id,
        text=row.text,
        recorded=row.prediction,
        served=served,
        recorded_probabilities={label: row.probabilities.get(label, 0.0) for label in shown},
        served_probabilities={label: answer.probabilities.get(label, 0.0) for label in shown},
        close=ties and _close(row, served),
    )


def _close(row: Recorded, served: str | None) -> bool:
    """Return whether the recorded and the served label are the two top ones and nearly tied in what was measured."""
    if row.prediction is None or served is None or not row.probabilities:
        return False
    top = max(row.probabilities.values())
    return all(top - row.probabilities.get(label, 0.0) <= TOLERANCE + _ROUNDING for label in (row.prediction, served))


def _difference(row: Recorded, answer: Replayed) -> float:
    """Return the largest absolute difference of a probability; 0 where one side has none."""
    return max(
        (abs(row.probabilities[label] - answer.probabilities[label]) for label in _both(row, answer)), default=0.0
    )


def _both(row: Recorded, answer: Replayed) -> set[str]:
    """Return the labels that have a probability on both sides."""
    return row.probabilities.keys() & answer.probabilities.keys()


@dataclass(frozen=True)
class _Question:
    """Whom to ask, and how to read what comes back."""

    endpoint: LiveEndpoint
    reading: Reading


async def _ask_all(question: _Question, recorded: Sequence[Recorded], advance: Advance) -> list[Replayed]:
    endpoint = question.endpoint
    limit = asyncio.Semaphore(_CONCURRENCY)
    chat = openai.AsyncOpenAI(
        base_url=endpoint.openai_url,
        api_key=endpoint.key,
        timeout=_REQUEST_SECONDS,
        http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
    )
    plain = httpx.AsyncClient(headers=endpoint.headers, timeout=_REQUEST_SECONDS, trust_env=False)

    async def ask(row: Recorded) -> Replayed:
        async with limit:
            answer = await _ask(question, chat, plain, row)
        advance(1)
        return answer

    async with chat, plain:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(row)) for row in recorded]
        except ExceptionGroup as errors:
            raise _first(errors) from None
    return [task.result() for task in tasks]


def _first(errors: ExceptionGroup) -> Exception:
    """Return the first failure of the group; a lost connection as a `ServingError`."""
    error = errors.exceptions[0]
    if isinstance(error, httpx.HTTPError | openai.APIConnectionError):
        return ServingError(f"The server stopped answering during the parity check ({error}); see its log.")
    return error


async def _ask(question: _Question, chat: openai.AsyncOpenAI, plain: httpx.AsyncClient, row: Recorded) -> Replayed:
    """Return the answer by chat, and answer and probabilities by `/v1/predict`."""
    content = await _by_chat(question.endpoint, chat, row.text)
    found = await _by_predict(question.endpoint, plain, row.text)
    return Replayed(
        chat=None if content is None else question.reading.chat(content, row),
        predict=None if found is None else question.reading.row(found),
        probabilities={} if found is None else found.get("probabilities", {}),
        abstain=None if found is None else found.get("abstain"),
        embedded=None if question.reading.vector is None else await _by_vector(question, chat, row.text),
    )


async def _by_vector(question: _Question, client: openai.AsyncOpenAI, text: str) -> str:
    """Rank the bundle's corpus by the vector of `/v1/embeddings`, as a client with an index of its own would."""
    assert question.reading.vector is not None
    try:
        found = await client.embeddings.create(model=question.endpoint.model, input=text)
    except openai.APIStatusError as error:
        _check_refusal(error.status_code, error.message)
        return ""
    return question.reading.vector(found.data[0].embedding)


async def _by_chat(endpoint: LiveEndpoint, client: openai.AsyncOpenAI, text: str) -> str | None:
    try:
        completion = await client.chat.completions.create(
            model=endpoint.model, messages=[{"role": "user", "content": text}]
        )
    except openai.APIStatusError as error:
        _check_refusal(error.status_code, error.message)
        return None
    return completion.choices[0].message.content


async def _by_predict(endpoint: LiveEndpoint, client: httpx.AsyncClient, text: str) -> dict[str, Any] | None:
    """Return the row of `/v1/predict`, or None where the input was refused."""
    response = await client.post(f"{endpoint.openai_url}/predict", json={"model": endpoint.model, "inputs": [text]})
    if response.is_error:
        _check_refusal(response.status_code, reason(response))
        return None
    row: dict[str, Any] = response.json()["data"][0]
    return row


def _check_refusal(status: int, why: str) -> None:
    """Return when the input itself was refused; raises `ServingError` for any other failure."""
    if status in _NOT_ASKED:
        raise ServingError(f"The hosted model cannot be asked: {why}")
    if status not in _REFUSALS:
        raise ServingError(f"The server failed during the parity check ({status}: {why}); see its log.")
