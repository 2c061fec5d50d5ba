"""Answers of the strategies that vLLM runs, on both routes: worded, asked in the measured way, said as a client wants.

What needs no model, the first strategy of a cascade and baselines beside the winner, answers here, too. Not covered:
other routes, and the base model by itself (`llmtl.serving.task_api.middleware`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

from starlette.types import ASGIApp, Receive, Scope, Send

from llmtl.serving.bundle.lookup import open_index
from llmtl.serving.bundle.manifest import ServedStrategy
from llmtl.serving.bundle.read import load_bundle_tokenizer
from llmtl.serving.task_api.answer_format import AnswerFormat, Saying
from llmtl.serving.task_api.answer_metrics import AnswerMetrics
from llmtl.serving.task_api.asgi import replay, unless_disconnected, with_json_body
from llmtl.serving.task_api.catalogue import Catalogue
from llmtl.serving.task_api.conversations import Conversations
from llmtl.serving.task_api.generator import Generator
from llmtl.serving.task_api.interface import RequestLimits
from llmtl.serving.task_api.label_completions import LabelCompletion
from llmtl.serving.task_api.local_answers import beside, completion_of, outcomes, respond, row_of
from llmtl.serving.task_api.requests import ChatRequest, PredictRequest, RequestError
from llmtl.serving.task_api.responses import Change, Parse, Predicted, labelled, predictions_response, rewriting
from llmtl.serving.task_api.rewriting import ChatRewriter
from llmtl.serving.task_api.scoring import Scorer
from llmtl.serving.task_api.sure_answers import SureAnswers
from llmtl.strategy import Prediction, Retrieval

_LONG_CHARACTERS = 20_000
"""Messages above this are tokenised in a thread: counting their tokens takes milliseconds."""


@dataclass(frozen=True)
class Chat:
    """A chat request with the strategy that it names, and how it is told the answer."""

    strategy: ServedStrategy
    request: ChatRequest
    saying: Saying


@dataclass(frozen=True)
class Client:
    """Who asks: the ASGI connection."""

    scope: Scope
    receive: Receive
    send: Send


class ModelAnswers:
    """The answers of one bundle in front of vLLM's application `app`."""

    def __init__(
        self, app: ASGIApp, catalogue: Catalogue, folder: Path, *, limits: RequestLimits, metrics: AnswerMetrics
    ) -> None:
        bundle = catalogue.bundle
        self._app = app
        self._bundle = bundle
        self._metrics = metrics
        self._conversations = Conversations(bundle, load_bundle_tokenizer(bundle, folder), open_index(bundle, folder))
        self._rewriter = ChatRewriter(bundle, self._conversations)
        self._predictor = self._make_predictor()
        self._first = SureAnswers.open(bundle, folder)
        self._beside = beside(bundle, folder, limits)
        self._parse = self._conversations.template.parse if self._conversations.parsed else None
        self.format = AnswerFormat.of(bundle)

    async def chat(self, chat: Chat, client: Client) -> None:
        """Answer a chat, by vLLM itself where its answer is the measured one."""
        strategy, request, begun = chat.strategy, chat.request, perf_counter()
        prediction = await self._without_model(strategy, request.text, client.receive)
        if prediction is not None:
            answers = outcomes([prediction], strategy, told=request.abstain)
            self._metrics.count(strategy, answers, seconds=perf_counter() - begun)
            completion = completion_of(self._bundle, strategy, prediction, request=request, saying=chat.saying)
            await respond(completion)(client.scope, client.receive, client.send)
            return
        await self._look_up(strategy, [request.text])
        await self._check_length(strategy, request.text, "messages")
        if strategy.by_scores or request.abstain:
            await self._scored(chat, client, begun)
        else:
            await self._decoded(chat, client, begun)

    async def predict(self, strategy: ServedStrategy, request: PredictRequest, client: Client) -> None:
        """Answer with the answer to each input; labels have the probability of every label."""
        begun = perf_counter()
        if strategy.model in self._beside:
            made = await unless_disconnected(client.receive, self._beside[strategy.model].predict(request.inputs))
            rows = [row_of(self._bundle, each, strategy.abstains) for each in made]
        else:
            rows = await self._rows(strategy, request.inputs, client)
        self._count(strategy, rows, begun)
        await predictions_response(strategy, rows)(client.scope, client.receive, client.send)

    async def _rows(self, strategy: ServedStrategy, inputs: Sequence[str], client: Client) -> list[Predicted]:
        """Return the answers of the first strategy of a cascade where it is sure, and of the model to the rest."""
        found = await self._sure(strategy, inputs)
        left = [position for position, sure in enumerate(found) if sure is None]
        texts = [inputs[position] for position in left]
        await self._look_up(strategy, texts)
        try:
            work = self._predictor.predict(client.scope, strategy, texts)
            rest = iter(await unless_disconnected(client.receive, work))
        except RequestError as error:
            _renumber(error, left)
            raise
        return [
            next(rest) if sure is None else labelled(str(sure.answer), dict(sure.probabilities), 0) for sure in found
        ]

    async def _decoded(self, chat: Chat, client: Client, begun: float) -> None:
        """Pass a chat on to vLLM, and its answer back as the client wants it."""
        strategy = chat.strategy
        inner = self._rewriter.body(strategy, chat.request)
        name = None if strategy is self._bundle.winner else strategy.model
        heard = partial(self._heard, chat, begun)
        send = rewriting(client.send, model=name, change=Change(self._parse, chat.saying, heard))
        await self._app(with_json_body(client.scope, inner), replay(inner, client.receive), send)

    async def _scored(self, chat: Chat, client: Client, begun: float) -> None:
        """Answer a chat with the label that its scores give, or not at all where it is not sure enough.

        Decoding one prompt knows of neither, and what is written is known to be sure only when all of it is there.
        """
        strategy, request = chat.strategy, chat.request
        work = self._predictor.predict(client.scope, strategy, [request.text])
        [row] = await unless_disconnected(client.receive, work)
        self._count(strategy, [row], begun, told=request.abstain)
        shown = self._conversations.demonstrations(strategy, request.text)
        completion = LabelCompletion(
            strategy.model,
            request,
            *_told(row, strategy, request, parse=self._parse),
            chat.saying,
            prompt=self._conversations.prompt(strategy, request.text, shown),
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
            finish_reason=row.finish_reason,
        )
        await respond(completion)(client.scope, client.receive, client.send)

    async def _without_model(self, strategy: ServedStrategy, text: str, receive: Receive) -> Prediction | None:
        """Answer without the language model where that is how it was measured; None where vLLM has to answer."""
        if strategy.model in self._beside:
            [made] = await unless_disconnected(receive, self._beside[strategy.model].predict([text]))
            return made
        [sure] = await self._sure(strategy, [text])
        return sure

    async def _sure(self, strategy: ServedStrategy, texts: Sequence[str]) -> list[Prediction | None]:
        """Say what the first strategy of a cascade is sure of; None for each text that vLLM has to answer."""
        if self._first is None or strategy is not self._bundle.winner:
            return [None] * len(texts)
        return await self._first.of(texts)

    def _heard(self, chat: Chat, begun: float, written: str) -> None:
        """Count what the model wrote to a chat."""
        answer = self._conversations.read(chat.strategy, written, chat.request.text).answer
        self._metrics.count(chat.strategy, [(answer, False)], seconds=perf_counter() - begun)

    def _count(self, strategy: ServedStrategy, rows: Sequence[Predicted], begun: float, *, told: bool = True) -> None:
        """Count rows; without `told` the client does not hear that a person should answer."""
        task, abstains = self._bundle.task, strategy.abstains if told else None
        answers = [
            (task.kind.answer_in(row.fields, task.labels), abstains is not None and abstains.leaves(row.certainty))
            for row in rows
        ]
        self._metrics.count(strategy, answers, seconds=perf_counter() - begun)

    async def _look_up(self, strategy: ServedStrategy, texts: Sequence[str]) -> None:
        """Find demonstrations in a thread where that takes an embedding: milliseconds each."""
        if strategy.retrieved and strategy.retrieval is not Retrieval.TFIDF:
            await asyncio.to_thread(self._conversations.look_up, strategy, texts)

    async def _check_length(self, strategy: ServedStrategy, text: str, param: str) -> None:
        """Raise `RequestError` when the prompt for `text` does not fit the context."""
        if len(text) > _LONG_CHARACTERS:
            await asyncio.to_thread(self._conversations.check_length, strategy, text, param)
        else:
            self._conversations.check_length(strategy, text, param)

    def _make_predictor(self) -> Scorer | Generator:
        """Return what the model answers `/v1/predict` by."""
        task = self._bundle.task
        if self._bundle.output.form == "label":
            return Scorer(self._app, self._conversations, task.labels)
        return Generator(self._app, task.kind, word=self._worded, read=self._conversations.read)

    def _worded(self, strategy: ServedStrategy, text: str, param: str) -> bytes:
        """Return the body of the chat request for one input."""
        self._conversations.check_length(strategy, text, param)
        return self._rewriter.body(strategy, ChatRequest(text, {"logprobs": True} if strategy.abstains else {}))


def _renumber(error: RequestError, positions: Sequence[int]) -> None:
    """Name a refused input by its place in the whole request, not among those that were passed on."""
    places = {f"inputs[{place}]": f"inputs[{position}]" for place, position in enumerate(positions)}
    error.param = places.get(error.param or "", error.param)


def _told(
    row: Predicted, strategy: ServedStrategy, request: ChatRequest, *, parse: Parse | None = None
) -> tuple[str, dict[str, float]]:
    """Return the label and the probability of each, or what is said instead of an answer that is not sure enough.

    A written answer is said as a chat says it that does not ask: as it stands or, with `parse`, what it means.
    """
    if request.abstain and strategy.abstains is not None and strategy.abstains.leaves(row.certainty):
        return strategy.abstains.text, {}
    if "label" in row.fields:
        return row.fields["label"], row.fields["probabilities"]
    return (parse and parse(row.written)) or row.written, {}
