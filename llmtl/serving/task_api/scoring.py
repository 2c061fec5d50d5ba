"""Labels and the probability of every label, by in-process requests to vLLM's completions route.

Every branch of the answer trie is one request for one token among the branch's children, for many inputs at once; the
tokens are those of measuring (`llmtl.serving.task_api.conversations`), so that label and probabilities are the measured
ones; a strategy that lists the labels in several orders is asked in each. A branch is asked after its parent, whose
prompt vLLM then has in its prefix cache, and not at all where it cannot matter. Not covered: answers that are not
labels (`llmtl.serving.task_api.generator`), errors of vLLM, which are passed on.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Scope

from llmtl.engines.trie import Trie
from llmtl.engines.vllm.branches import Descent, path_to
from llmtl.prompting.rotations import likeliest, mean_probabilities
from llmtl.serving.bundle.manifest import ServedStrategy
from llmtl.serving.task_api.asgi import WholeResponse, call, together
from llmtl.serving.task_api.conversations import Conversations, TokenPrompt
from llmtl.serving.task_api.interface import COMPLETIONS
from llmtl.serving.task_api.requests import RequestError
from llmtl.serving.task_api.responses import Predicted, labelled

AT_ONCE = 32
"""Inputs of one request to vLLM."""
REQUESTS_AT_ONCE = 8
"""Requests to vLLM that all clients of `/v1/predict` together may have under way, so that chats are not starved."""
_TOKEN = "token_id:{}"


class UpstreamError(RuntimeError):
    """vLLM refused a request; `answer` is its response."""

    def __init__(self, answer: WholeResponse) -> None:
        super().__init__(f"vLLM answered {answer.status}.")
        self.answer = answer


@dataclass(frozen=True)
class _Descending:
    """One prompt on its way down the trie."""

    prompt: TokenPrompt
    way: Descent


def _predicted(strategy: ServedStrategy, prompts: Sequence[_Descending], labels: Sequence[str]) -> Predicted:
    """Return the label and all probabilities of one input from its prompts, one per order of the labels.

    The label is the one decoded greedily, or the likeliest after averaging and after a calibration.
    """
    results = [each.way.result() for each in prompts]
    rows = [dict(zip(labels, row, strict=True)) for _, row in results]
    label, probabilities = labels[results[0][0]], rows[0]
    if len(rows) > 1:
        probabilities = mean_probabilities(rows)
        label = likeliest(probabilities)
    if strategy.calibration is not None:
        label, probabilities = strategy.calibration.label(probabilities)
    return labelled(label, probabilities, sum(len(each.prompt.ids) for each in prompts))


class Scorer:
    """Labels by asking `app`, which is vLLM's own application."""

    def __init__(self, app: ASGIApp, conversations: Conversations, labels: Sequence[str]) -> None:
        self._app = app
        self._conversations = conversations
        self._labels = tuple(labels)
        self._turns = asyncio.Semaphore(REQUESTS_AT_ONCE)
        # one thread: wording and tokenising hundreds of inputs must not hold the event loop, and share one trie cache
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llmtl-wording")

    async def predict(self, scope: Scope, strategy: ServedStrategy, texts: Sequence[str]) -> list[Predicted]:
        """Predict in order, one prediction per text, for the client whose request is in `scope`.

        Raises `RequestError` for a text that does not fit the context, before anything is asked, and `UpstreamError`.
        """
        items: list[tuple[_Descending, ...]] = []
        for start in range(0, len(texts), AT_ONCE):
            chunk = texts[start : start + AT_ONCE]
            items += await asyncio.get_running_loop().run_in_executor(self._worker, self._word, strategy, chunk, start)
        # all inputs in one order of the labels, then in the next: neighbours share the longest prefix
        prompts = [prompt for order in zip(*items, strict=True) for prompt in order]
        while waiting := _grouped(prompts):
            await together(self._ask(scope, strategy, branch, group) for branch, group in waiting)
        return [_predicted(strategy, item, self._labels) for item in items]

    def _word(self, strategy: ServedStrategy, texts: Sequence[str], start: int) -> list[tuple[_Descending, ...]]:
        """Return the prompts of each text as tokens; `start` is the position of the first text."""
        worded = [
            self._conversations.tokens(strategy, text, f"inputs[{position}]")
            for position, text in enumerate(texts, start)
        ]
        return [tuple(_Descending(prompt, Descent(prompt.trie)) for prompt in prompts) for prompts in worded]

    async def _ask(self, scope: Scope, strategy: ServedStrategy, branch: int, group: Sequence[_Descending]) -> None:
        """Note what the model says at one branch for a group of items with the same trie."""
        trie = group[0].prompt.trie
        body = _question(strategy.engine_model, trie, branch, group)
        async with self._turns:
            answer = await call(self._app, scope, COMPLETIONS, body)
        if answer.status != 200:
            raise UpstreamError(answer)
        children = trie.branches[branch].children
        choices = sorted(json.loads(answer.body)["choices"], key=lambda choice: int(choice["index"]))
        for item, choice in zip(group, choices, strict=True):
            item.way.take(branch, _logprobs(choice, children))


def _grouped(items: Sequence[_Descending]) -> list[tuple[int, list[_Descending]]]:
    """Return the branches to ask now, each with up to `AT_ONCE` items of one trie."""
    groups: defaultdict[tuple[int, int], list[_Descending]] = defaultdict(list)
    for item in items:
        for branch in item.way.reached:
            groups[id(item.prompt.trie), branch].append(item)
    return [
        (branch, group[start : start + AT_ONCE])
        for (_, branch), group in groups.items()
        for start in range(0, len(group), AT_ONCE)
    ]


def _question(model: str, trie: Trie, branch: int, group: Sequence[_Descending]) -> bytes:
    """Return the request for the next token at a branch."""
    path = path_to(trie, branch)
    children = trie.branches[branch].children
    return json.dumps(
        {
            "model": model,
            "prompt": [[*item.prompt.ids, *path] for item in group],
            "max_tokens": 1,
            "temperature": 0,
            "allowed_token_ids": children,
            "logprobs": len(children),
            "return_tokens_as_token_ids": True,
        }
    ).encode()


def _logprobs(choice: dict[str, Any], children: Sequence[int]) -> list[float]:
    """Return the log-probability of each child; raises `RequestError` (500) where vLLM did not report it."""
    reported = choice["logprobs"]["top_logprobs"][0]
    try:
        return [float(reported[_TOKEN.format(child)]) for child in children]
    except KeyError as error:
        raise RequestError(
            "vLLM does not report the probabilities of all labels; start it with --logprobs-mode processed_logprobs "
            f"and --max-logprobs {len(children)} or more.",
            status=500,
            code="missing_logprobs",
            kind="server_error",
        ) from error
