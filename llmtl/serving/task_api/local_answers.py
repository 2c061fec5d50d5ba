"""Answers of what is not asked through vLLM, in the form of both routes: rows of `/v1/predict`, chat completions.

Not covered: who gives them (`llmtl.serving.task_api.answering`), the routes.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from starlette.responses import JSONResponse, Response, StreamingResponse

from llmtl.kinds.kind import Read
from llmtl.serving.bundle.local import load_local
from llmtl.serving.bundle.manifest import BESIDE_FOLDER, Abstaining, Bundle, ServedStrategy, Weights
from llmtl.serving.task_api.answer_format import Saying
from llmtl.serving.task_api.answering import Local
from llmtl.serving.task_api.interface import RequestLimits
from llmtl.serving.task_api.label_completions import LabelCompletion
from llmtl.serving.task_api.plain_answers import said
from llmtl.serving.task_api.requests import ChatRequest, RequestError
from llmtl.serving.task_api.responses import Predicted, labelled
from llmtl.strategy import Prediction


def beside(bundle: Bundle, folder: Path, limits: RequestLimits) -> dict[str, Local]:
    """Load what is served beside the winner and needs no model, by the names that clients ask for."""
    return {
        each.model: Local(load_local(folder / BESIDE_FOLDER / each.name, bundle.task, each.name), limits)
        for each in bundle.others
        if each.weights is Weights.CLASSIFIER
    }


def row_of(bundle: Bundle, prediction: Prediction, abstains: Abstaining | None) -> Predicted:
    """Return a prediction as a row of `/v1/predict`."""
    tokens = prediction.prompt_tokens
    if bundle.task.kind.one_label and prediction.answer is not None:
        return labelled(prediction.answer, dict(prediction.probabilities), tokens)
    fields = bundle.task.kind.fields(Read(prediction.answer, prediction.dropped_spans), error=prediction.failure or "")
    return Predicted(fields, tokens, certainty=prediction.certainty_by(abstains.calibration if abstains else None))


def completion_of(
    bundle: Bundle,
    strategy: ServedStrategy,
    prediction: Prediction,
    *,
    request: ChatRequest,
    saying: Saying,
    prompt: str | None = None,
) -> LabelCompletion:
    """Return a prediction as the answer to a chat; raises `RequestError` (422) for a failure."""
    text, probabilities = _said(bundle, prediction, strategy.abstains if request.abstain else None)
    return LabelCompletion(
        strategy.model,
        request,
        text,
        probabilities,
        saying,
        prompt=prompt,
        prompt_tokens=prediction.prompt_tokens,
    )


def respond(completion: LabelCompletion) -> Response:
    """Return a completion as its client wants it, whole or in pieces."""
    if completion.request.stream:
        return StreamingResponse(completion.events(), media_type="text/event-stream")
    return JSONResponse(completion.whole())


def outcomes(
    predictions: Sequence[Prediction], strategy: ServedStrategy, *, told: bool = True
) -> Iterable[tuple[str | None, bool]]:
    """Return what is counted of predictions; without `told` clients do not hear that a person should answer."""
    abstains = strategy.abstains if told else None
    for each in predictions:
        yield each.answer, abstains is not None and abstains.leaves(each.certainty_by(abstains.calibration))


def _said(bundle: Bundle, prediction: Prediction, abstains: Abstaining | None) -> tuple[str, Mapping[str, float]]:
    """Say what a chat says, with the probability of every label."""
    if abstains is not None and abstains.leaves(prediction.certainty_by(abstains.calibration)):
        return abstains.text, {}
    if prediction.failure is not None:
        raise RequestError(prediction.failure, status=422, param="messages", code="no_answer")
    told = prediction.probabilities if bundle.task.kind.one_label else {}
    return said(bundle.task, prediction.answer or ""), told
