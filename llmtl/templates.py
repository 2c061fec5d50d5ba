"""The one place that turns an example into messages and a prompt, and a label into an answer and back.

Training, evaluation and serving all word their text here, so that a tuned model sees in service what it was trained
on. A model with a chat template gets a conversation; a base model gets a plain prompt::

    {instruction}
    Labels: {label}, {label}

    Message: {demonstration}
    Label: {label}

    Message: {input}
    Label:

Not covered: tokens (the engines turn text into tokens), tasks other than single-label classification.
"""

from collections.abc import Sequence
from typing import Protocol

from llmtl.errors import ModelError
from llmtl.task import Example, Message, Task

TURN_MARKERS = ("<|", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>")
"""Texts that open or close a turn in some chat templates although the tokenizer may not list them as special."""


class PromptModel(Protocol):
    """What wording a prompt needs to know of a model; every engine has it."""

    @property
    def chat_template(self) -> str | None:
        """Return the model's own chat template, or None for a base model."""

    @property
    def bos(self) -> str:
        """Return the text of the beginning-of-sequence token, or an empty string."""

    @property
    def end_of_answer(self) -> str:
        """Return the text of the token that ends an answer."""

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Return the texts that the tokenizer reads as control tokens."""

    def render(self, messages: Sequence[Message]) -> str:
        """Return the conversation as prompt text, generation prompt included."""


class Template:
    """The wording of one task for one model.

    Text from outside (inputs, demonstrations, labels, the instruction) cannot open or close a turn: each control text
    in it is broken by one space after its first character, by the plain replacements listed in `replacements`.
    """

    def __init__(self, task: Task, model: PromptModel) -> None:
        self.task = task
        self.end = model.end_of_answer
        self._model = model
        self.replacements = _replacements(model)
        self._spoken = {label: self.clean(label).strip() for label in task.labels}
        self._merge_system = False
        self._lead = " "
        if model.chat_template is not None:
            self._merge_system = not self._accepts_system_role()
            self._lead = self._answer_lead()

    @property
    def instruction(self) -> str:
        """Return the system turn: the instruction, and the labels in prompt order."""
        return self.clean(f"{self.task.instruction}\nLabels: {', '.join(self._spoken.values())}")

    def clean(self, text: str) -> str:
        """Return `text` with every control text in it broken by a space, so that it reads as ordinary words."""
        cleaned = text
        for marker, harmless in self.replacements:
            while marker in cleaned:
                cleaned = cleaned.replace(marker, harmless)
        return cleaned

    def messages(self, text: str, demonstrations: Sequence[Example] = ()) -> list[Message]:
        """Return the conversation: system turn, user and assistant turn a demonstration, the input as user turn."""
        turns: list[Message] = [{"role": "system", "content": self.instruction}]
        for demonstration in demonstrations:
            turns.append({"role": "user", "content": self.clean(demonstration.text)})
            turns.append({"role": "assistant", "content": self._spoken[demonstration.reference]})
        turns.append({"role": "user", "content": self.clean(text)})
        return _merged(turns) if self._merge_system else turns

    def prompt(self, text: str, demonstrations: Sequence[Example] = ()) -> str:
        """Return the finished prompt: special tokens included, ready for an answer to follow."""
        if self._model.chat_template is not None:
            return self._model.render(self.messages(text, demonstrations))
        blocks = [f"{self._model.bos}{self.instruction}"]
        blocks += [f"{self._block(each.text)}{self.answer(each.reference)}" for each in demonstrations]
        blocks.append(self._block(text))
        return "\n\n".join(blocks)

    def answer(self, label: str) -> str:
        """Return the text that follows the prompt when `label` is right, without the end of the answer.

        Raises `KeyError` for a label that is not the task's.
        """
        return self._lead + self._spoken[label]

    def answers(self) -> tuple[str, ...]:
        """Return the answer of every label, in the task's order."""
        return tuple(self.answer(label) for label in self.task.labels)

    def parse(self, completion: str) -> str | None:
        """Return the label that `completion` states, or None when it states something else.

        What follows the end of the answer, and white space around it, is ignored; nothing else is forgiven.
        """
        stated = (completion.split(self.end, maxsplit=1)[0] if self.end else completion).strip()
        return next((label for label, spoken in self._spoken.items() if spoken == stated), None)

    def _block(self, text: str) -> str:
        """Return one input of a plain prompt; its lines are joined, since a new line would start another block."""
        return f"Message: {' '.join(self.clean(text).split())}\nLabel:"

    def _accepts_system_role(self) -> bool:
        """Return whether the chat template takes a system turn and shows it; some raise, some drop it silently."""
        try:
            rendered = self._model.render(self.messages("?"))
        except ModelError:
            return False
        return self.instruction.strip() in rendered

    def _answer_lead(self) -> str:
        """Return the white space that the chat template puts before an assistant's words (Mistral: one space).

        A demonstration and an answer must look alike, and the generation prompt may or may not end with that space.
        """
        probe = Example("probe", "?", self.task.labels[0])
        before = self._model.render(self.messages(probe.text))
        whole = self._model.render(self.messages("?", [probe]))
        shared = whole.removeprefix(before)
        if shared == whole:
            return ""
        lead, found, _ = shared.partition(self._spoken[probe.reference])
        return lead if found and not lead.strip() else ""


def _replacements(model: PromptModel) -> tuple[tuple[str, str], ...]:
    """Return (control text, harmless text) pairs, longest first; plain enough to be repeated in a Jinja template."""
    written = model.chat_template or ""
    markers = {token for token in model.special_tokens if token.strip()} | {m for m in TURN_MARKERS if m in written}
    ordered = sorted(markers, key=lambda marker: (-len(marker), marker))
    return tuple((marker, f"{marker[0]} {marker[1:]}" if len(marker) > 1 else " ") for marker in ordered)


def _merged(turns: Sequence[Message]) -> list[Message]:
    """Return `turns` with the system turn put before the first user turn, a blank line between them."""
    system, first, *rest = turns
    return [{"role": "user", "content": f"{system['content']}\n\n{first['content']}"}, *rest]
