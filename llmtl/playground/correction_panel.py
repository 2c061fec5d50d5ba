"""The part of *Try* in which a person says that an answer is wrong, and what is right.

Not covered: reading and keeping what they give (`right_answers`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from llmtl.errors import InputError
from llmtl.kinds.kind import AnswerShape
from llmtl.playground.page_content import PlaygroundContent
from llmtl.playground.pages import failure, html, render
from llmtl.playground.right_answers import LONGEST, WasAsked, can_be_corrected, keep, to_edit
from llmtl.playground.shown_answers import shown

HINT = "One per line: a type, a colon, and the words as they stand in the message."


@dataclass(frozen=True)
class CorrectionPanel:
    """The components, in the order in which `shows` fills them."""

    content: PlaygroundContent
    outputs: tuple[Any, ...]

    def shows(self, asked: WasAsked | None) -> tuple[Any, ...]:
        """Show the panel for what was answered, folded; hide it where nothing was."""
        if asked is None:
            return None, gr.update(visible=False), gr.skip(), ""
        value = to_edit(self.content.kind, asked.answer)
        return asked, gr.update(visible=True, open=False), gr.update(value=value), ""


def build_corrections(content: PlaygroundContent) -> CorrectionPanel | None:
    """Lay the panel out in the current Gradio context; None where corrections cannot be given or kept."""
    if content.corrections is None or not can_be_corrected(content.kind):
        return None
    asked = gr.State(None)
    with gr.Accordion("Wrong? Give the right answer", open=False, visible=False, elem_id="correct") as panel:
        given = _input(content)
        save = gr.Button("Keep the correction", elem_id="keep-correction")
        said = html("", elem_id="correction-notice")

    def kept(answered: WasAsked | None, right: Any) -> str:
        if answered is None:
            return failure("Ask something first.")
        try:
            reference, in_test = keep(content, answered, right)
        except InputError as error:
            return failure(str(error))
        page = shown(content.kind, reference, answered.text)
        return render("corrected", right=page, file=_named(content.corrections), in_test=in_test)

    save.click(kept, [asked, given], said, show_progress="hidden", api_visibility="private", concurrency_limit=1)
    return CorrectionPanel(content, (asked, panel, given, said))


def _named(file: Path | None) -> str:
    """Name the file with its folder; where that is on the machine is nobody's business."""
    return f"{file.parent.name}/{file.name}" if file else ""


def _input(content: PlaygroundContent) -> Any:
    kind, labels = content.kind, list(content.task.labels)
    if kind.one_label or kind.shape is AnswerShape.LABELS:
        several = not kind.one_label
        label = f"The right {kind.noun}{'s' if several else ''}"
        return gr.Dropdown(labels, value=[] if several else None, multiselect=several, label=label, elem_id="right")
    hint = HINT if kind.shape is AnswerShape.SPANS else None
    return gr.Textbox(label="The right answer", info=hint, lines=3, max_lines=12, max_length=LONGEST, elem_id="right")
