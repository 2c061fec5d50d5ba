"""What the model is given for a message: the measured wording, the demonstrations, and whether it all fits.

The same template, retriever and rule for dropping demonstrations as in measuring (`llmtl.prompting.template`,
`llmtl.strategies.knn_few_shot`). Not covered: asking the model (`llmtl.serving.task_api.scoring`,
`llmtl.serving.task_api.middleware`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmtl.engines.tokenizer import TokenizerWording
from llmtl.engines.tokens import AnswerTries, continuations, encode
from llmtl.engines.trie import Trie
from llmtl.kinds.kind import Read
from llmtl.prompting.retrieval import Index
from llmtl.prompting.rotations import label_orders
from llmtl.prompting.template import Template
from llmtl.serving.bundle.manifest import Bundle, ServedStrategy
from llmtl.serving.task_api.requests import RequestError
from llmtl.task import Example, Message, Task

_END_TOKENS = 1
_SLACK_TOKENS = 16
"""Tokens by which a prompt may exceed the sum of its parts, a part: merges at the seams, a space in front."""
_WORST_TOKENS_PER_CHARACTER = 2
"""An ASCII character is one token at most; cleaning adds at most one space to each marker of two or more."""


@dataclass(frozen=True)
class TokenPrompt:
    """A prompt as token ids, and the trie of the answers after it."""

    ids: tuple[int, ...]
    trie: Trie


class Conversations:
    """Prompts and messages of every strategy in a bundle.

    `index` is what a retrieving strategy looks its demonstrations up in; it may be None when none retrieves.
    `room` is the most tokens a prompt may have, as `llmtl.prompting.predictors.PromptedPredictor.prompt_room`. Only one
    thread at a time may call `tokens`.
    """

    def __init__(self, bundle: Bundle, tokenizer: Any, index: Index | None = None) -> None:
        if bundle.base is None:
            raise ValueError("A classifier has no prompts.")
        self._wording = TokenizerWording(tokenizer)
        self._form = bundle.output.form
        self._tokenizer = tokenizer
        self._context = bundle.base.context_length
        # of each strategy one template per order of the labels, the task's order first
        self._templates = {each.model: self._orders(each.told(bundle.task), each) for each in bundle.prompted}
        self.template = self._templates[bundle.winner.model][0]
        # the closed set of answers; empty where the model writes JSON or text
        self._answers = self.template.answers() if bundle.output.form == "label" else ()
        self._tries = AnswerTries(tokenizer, self._wording.end_id)
        self._index = index
        self._fixed = {each.model: self._longest(each, "", each.demonstrations) for each in bundle.prompted}
        self._shown_tokens: dict[str, int] = {}
        longest = max(map(self._count, self._answers), default=0) + _END_TOKENS
        self.room = self._context - (bundle.output.max_tokens or longest)

    @property
    def parsed(self) -> bool:
        """Say whether a chat's answer is not what the model writes, but the label or text that this stands for.

        A label may be written with a space before it, and a model without chat template goes on after a text.
        """
        if self._form == "label":
            return self._answers != self.template.task.labels
        return self._form == "text" and self._wording.chat_template is None

    def prompt(self, strategy: ServedStrategy, text: str, shown: Sequence[Example]) -> str:
        """Write the finished prompt of a strategy, with its instruction and the demonstrations `shown`.

        The labels stand in the task's order.
        """
        return self._templates[strategy.model][0].prompt(text, shown)

    def read(self, strategy: ServedStrategy, written: str, text: str) -> Read:
        """Read what the model of a strategy wrote for `text` as a canonical answer."""
        return self._templates[strategy.model][0].read(written, text)

    def demonstrations(self, strategy: ServedStrategy, text: str) -> tuple[Example, ...]:
        """Choose the demonstrations for `text`: the strategy's own, or as many retrieved ones as fit."""
        if not strategy.retrieved or self._index is None:
            return strategy.demonstrations
        chosen = self._index.nearest(text, strategy.retrieved)
        if self._surely_fits(strategy, text, chosen):
            return chosen
        while chosen and self._longest(strategy, text, chosen) > self.room:
            chosen = chosen[1:]
        return chosen

    def look_up(self, strategy: ServedStrategy, texts: Sequence[str]) -> None:
        """Find the demonstrations for `texts`, so that asking for them is quick; any thread may call this."""
        if self._index is not None:
            for text in texts:
                self._index.nearest(text, strategy.retrieved)

    def messages(self, strategy: ServedStrategy, text: str) -> list[Message]:
        """Write the whole conversation for the model's own chat template.

        Of a model without one it is a single message that holds the finished prompt.
        """
        shown = self.demonstrations(strategy, text)
        if self._wording.chat_template is None:
            return [{"role": "user", "content": self.prompt(strategy, text, shown)}]
        return self._templates[strategy.model][0].messages(text, shown)

    def check_length(self, strategy: ServedStrategy, text: str, param: str) -> None:
        """Raise `RequestError` when the prompt for `text` does not fit the context."""
        if self._surely_fits(strategy, text):
            return
        self._check(self._longest(strategy, text, self.demonstrations(strategy, text)), param)

    def tokens(self, strategy: ServedStrategy, text: str, param: str) -> tuple[TokenPrompt, ...]:
        """Word the prompts for `text` as the measuring engine sees them, one per order of the labels.

        Raises `RequestError` when one does not fit.
        """
        prompts = self._prompts(strategy, text, self.demonstrations(strategy, text))
        encoded = encode(self._tokenizer, prompts)
        self._check(max(map(len, encoded)), param)
        return tuple(
            TokenPrompt(tuple(ids), self._tries.after(prompt, ids, self._answers))
            for prompt, ids in zip(prompts, encoded, strict=True)
        )

    def answer_tokens(self, strategy: ServedStrategy, text: str) -> tuple[int, ...]:
        """List the token ids that any answer may have after this very prompt, the end of the answer included."""
        prompt = self.prompt(strategy, text, self.demonstrations(strategy, text))
        paths = continuations(self._tokenizer, prompt, self._answers)
        return tuple(sorted({token for path in paths for token in path} | {self._wording.end_id}))

    def _orders(self, told: Task, strategy: ServedStrategy) -> tuple[Template, ...]:
        """Return the templates of a strategy."""
        orders = label_orders(told.labels, strategy.rotations) if strategy.rotations > 1 else (told.labels,)
        return tuple(Template(replace(told, labels=labels), self._wording) for labels in orders)

    def _prompts(self, strategy: ServedStrategy, text: str, shown: Sequence[Example]) -> list[str]:
        """Return the finished prompts of a strategy, one per order of the labels."""
        return [template.prompt(text, shown) for template in self._templates[strategy.model]]

    def _longest(self, strategy: ServedStrategy, text: str, shown: Sequence[Example]) -> int:
        """Return the tokens of the longest of the prompts."""
        return max(map(self._count, self._prompts(strategy, text, shown)))

    def _surely_fits(self, strategy: ServedStrategy, text: str, retrieved: Sequence[Example] = ()) -> bool:
        """Return whether the prompt fits whatever the tokens of a short plain text are: most are not tokenised here."""
        if not text.isascii():
            return False
        message = _WORST_TOKENS_PER_CHARACTER * len(text) + _SLACK_TOKENS
        shown = sum(self._tokens_shown(example) + _SLACK_TOKENS for example in retrieved)
        return self._fixed[strategy.model] + shown + message <= self.room

    def _tokens_shown(self, example: Example) -> int:
        """Return by how many tokens a retrieved demonstration makes a prompt longer."""
        if example.id not in self._shown_tokens:
            with_it, without = self.template.prompt("", [example]), self.template.prompt("")
            self._shown_tokens[example.id] = self._count(with_it) - self._count(without)
        return self._shown_tokens[example.id]

    def _check(self, length: int, param: str) -> None:
        """Raise `RequestError` when a prompt of `length` tokens does not fit."""
        if length <= self.room:
            return
        raise RequestError(
            f"The message makes a prompt of {length} tokens; the model's context of {self._context} tokens leaves room "
            f"for {self.room}; shorten the message.",
            param=param,
            code="context_length_exceeded",
        )

    def _count(self, text: str) -> int:
        """Return the number of tokens of `text`."""
        return self._wording.count_tokens(text)
