"""The wording of one task for one model.

A model with a chat template gets a conversation; a base model gets a plain prompt::

    {instruction}
    Labels: {label}, {label}

    Message: {demonstration}
    Label: {label}

    Message: {input}
    Label:

Answers in JSON stand on a line of their own there, since a schema leaves no room for a space before them; inputs and
texts for generation are `Input` and `Output`. Where the task describes labels, each stands on a line of its own,
`- {label}: {what it means}`, and the answers stay the labels. Not covered: how answers are written (`llmtl.kinds`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from llmtl.errors import ModelError
from llmtl.kinds.kind import Read
from llmtl.task import Example, Message, Task

TURN_MARKERS = ("<|", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>")
"""Texts that open or close a turn in some chat templates although the tokenizer may not list them as special."""


class PromptModel(Protocol):
    """What wording a prompt needs to know of a model; every engine has it."""

    @property
    def chat_template(self) -> str | None:
        """Give the model's own chat template; None for a base model."""

    @property
    def bos(self) -> str:
        """Give the text of the beginning-of-sequence token, or an empty string."""

    @property
    def end_of_answer(self) -> str:
        """Give the text of the token that ends an answer."""

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """List the texts that the tokenizer reads as control tokens."""

    def render(self, messages: Sequence[Message]) -> str:
        """Write the conversation as prompt text, generation prompt included."""


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
        self._form = task.kind.form(
            {label: self.clean(label).strip() for label in task.labels},
            {label: " ".join(self.clean(meaning).split()) for label, meaning in task.descriptions},
        )
        self._is_chat = model.chat_template is not None
        self._merge_system = False
        self._lead = "" if self._form.is_json else " "
        if self._is_chat:
            self._merge_system = not self._accepts_system_role()
            self._lead = self._answer_lead()

    @property
    def instruction(self) -> str:
        """Write the system turn: the instruction, and the labels (extraction: types) in prompt order, as described."""
        heading = f"\n{self._form.heading}" if self._form.heading else ""
        return self.clean(f"{self.task.instruction}{heading}")

    def clean(self, text: str) -> str:
        """Break every control text in `text` by a space, so that it reads as ordinary words."""
        cleaned = text
        for marker, harmless in self.replacements:
            while marker in cleaned:
                cleaned = cleaned.replace(marker, harmless)
        return cleaned

    def messages(self, text: str, demonstrations: Sequence[Example] = ()) -> list[Message]:
        """Write the conversation: system turn, two turns per demonstration (user, assistant), and the input."""
        turns: list[Message] = [{"role": "system", "content": self.instruction}]
        for demonstration in demonstrations:
            turns.append({"role": "user", "content": self.clean(demonstration.text)})
            turns.append({"role": "assistant", "content": self._form.write(demonstration.reference, self.shown)})
        turns.append({"role": "user", "content": self.clean(text)})
        return _merged(turns) if self._merge_system else turns

    def prompt(self, text: str, demonstrations: Sequence[Example] = ()) -> str:
        """Write the finished prompt: special tokens included, ready for an answer to follow."""
        if self._is_chat:
            return self._model.render(self.messages(text, demonstrations))
        blocks = [f"{self._model.bos}{self.instruction}"]
        blocks += [f"{self._block(each.text)}{self.answer(each.reference)}" for each in demonstrations]
        blocks.append(self._block(text))
        return "\n\n".join(blocks)

    def shown(self, text: str) -> str:
        """Write a text from outside as a prompt has it: cleaned, and in a plain prompt on one line.

        A new line would start another block there.
        """
        return self.clean(text) if self._is_chat else " ".join(self.clean(text).split())

    def answer(self, reference: str) -> str:
        """Write the text that follows the prompt when the canonical `reference` is right, without its end.

        Raises `KeyError` for a label or type that is not the task's.
        """
        return self._lead + self._form.write(reference, self.shown)

    def answers(self) -> tuple[str, ...]:
        """List the answer of every label, in the task's order; raises `ValueError` where the set is open."""
        if not self.task.kind.one_label:
            raise ValueError(f"A task of kind {self.task.kind} has no closed set of answers.")
        return tuple(self.answer(label) for label in self.task.labels)

    def written_labels(self) -> tuple[str, ...]:
        """List how the model writes each label (extraction: type) of the task, in the task's order."""
        return tuple(self._lead + label for label in self._form.written_labels())

    def schema(self) -> Mapping[str, Any] | None:
        """Give the JSON schema that holds a model to answers of the task; None when they are not JSON."""
        return self._form.schema

    @property
    def stop(self) -> str | None:
        """Give the text that ends a written answer where no token does, or None.

        An answer of a plain prompt is one line, and a base model knows of no other end; JSON ends by its schema.
        """
        return None if self._is_chat or self._form.is_json else "\n"

    def parse(self, completion: str, text: str = "") -> str | None:
        """Read the canonical answer that `completion` states for the input `text`; None when it states none.

        What follows the end of the answer, and white space around it, is ignored; nothing else is forgiven.
        """
        return self.read(completion, text).answer

    def read(self, completion: str, text: str) -> Read:
        """Read the answer as `parse` does, and count the spans that were dropped because they are not in the input."""
        stated = (completion.split(self.end, maxsplit=1)[0] if self.end else completion).strip()
        if not self._is_chat and not self.task.kind.one_label:
            stated = stated.partition("\n")[0].strip()  # a base model goes on with the next block
        return self._form.read(stated, text, self.shown)

    def _block(self, text: str) -> str:
        """Return one input of a plain prompt, up to where its answer starts."""
        name, answer = self._form.names
        return f"{name}: {self.shown(text)}\n{answer}:" + ("\n" if self._form.is_json else "")

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
        JSON has none: a schema leaves no room for it, neither here nor in a server.
        """
        if self._form.is_json:
            return ""
        probe = Example("probe", "?", self._form.sample)
        before = self._model.render(self.messages(probe.text))
        whole = self._model.render(self.messages("?", [probe]))
        shared = whole.removeprefix(before)
        if shared == whole:
            return ""
        lead, found, _ = shared.partition(self._form.write(probe.reference, self.shown))
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
