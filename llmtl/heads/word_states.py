"""The hidden states of the words of inputs, as the zero-shot prompt shows them.

A causal model sees only what stands before: the state of a word's last token knows the word and its left context. Read
twice in the prompt, the second time every word has seen the whole text (Springer et al. 2024, "Repetition Improves
Language Model Embeddings"). What follows the input in the prompt is not read: no word would see it. Not covered: which
reading is better (chosen on dev), states of pieces of words, states of encoders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmtl.classical.words import Word, words_of
from llmtl.heads.prompt_states import prompt_head, state_reader
from llmtl.prompting.template import Template
from llmtl.strategy import FitContext

READINGS = ("once", "again")
"""The state of a word where the text is read for the first time, and where it is read again."""


@dataclass(frozen=True)
class WordReader:
    """Reads the states of words at some layers; `readings` are of `READINGS`, in this order."""

    context: FitContext
    layers: Sequence[int]
    readings: Sequence[str]

    def read(self, texts: Sequence[str]) -> tuple[list[Any], list[int]]:
        """Read the states, (words, readings, layers, width), of the texts that fit, and count all prompts' tokens."""
        engine, prompts, characters = state_reader(self.context), [], []
        for prompt, places in self._worded(texts):
            prompts.append(prompt)
            characters.append(places)
        tokens = [engine.count_tokens(prompt) for prompt in prompts]
        fitting = [at for at, count in enumerate(tokens) if count < engine.context_length]
        found = engine.states_at(
            [prompts[at] for at in fitting], [characters[at] for at in fitting], layers=tuple(self.layers)
        )
        # (readings times words, layers, width), one reading after the other -> (words, readings, layers, width)
        count = len(self.readings)
        return [each.reshape(count, -1, *each.shape[1:]).swapaxes(0, 1) for each in found], tokens

    def fits(self, texts: Sequence[str]) -> bool:
        """Say whether all texts fit the model's context in these readings."""
        engine = self.context.load_engine(None)
        return all(engine.count_tokens(prompt) < engine.context_length for prompt, _ in self._worded(texts))

    def width(self) -> int:
        """Say how many numbers a state has."""
        engine = state_reader(self.context)
        return int(engine.states_at(["a"], [[0]], layers=(0,))[0].shape[2])

    def _worded(self, texts: Sequence[str]) -> list[tuple[str, list[int]]]:
        """Write each text's prompt, and where the last characters of its words stand there."""
        template = Template(self.context.task, self.context.load_engine(None))
        head, found = prompt_head(template), []
        for text in texts:
            shown = template.shown(text)
            ends = _last_characters(shown, words_of(text))
            starts = {"once": len(head), "again": len(head) + len(shown) + 1}
            prompt = f"{head}{shown}\n{shown}" if "again" in self.readings else f"{head}{shown}"
            found.append((prompt, [starts[each] + end for each in self.readings for end in ends]))
        return found


def _last_characters(shown: str, words: Sequence[Word]) -> list[int]:
    """Find the last character of each word in `shown`, where only white space and broken control texts differ.

    A word that is itself broken there is taken to end where the word before does.
    """
    found, at = [], 0
    for word in words:
        begin = shown.find(word.text, at)
        at = begin + len(word.text) if begin >= 0 else at
        found.append(max(0, at - 1))
    return found
