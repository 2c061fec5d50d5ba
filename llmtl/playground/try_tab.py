"""The *Try* tab: a message in, the answer out (a label with all probabilities), beside another strategy on request.

Not covered: labelling many messages (`batch_tab`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from llmtl.errors import ServingError
from llmtl.playground.http_client import Endpoint
from llmtl.playground.page_content import PlaygroundContent
from llmtl.playground.pages import failure, html, note, render
from llmtl.playground.shown_answers import shown

EXAMPLES_SHOWN = 5
BARS_SHOWN = 10
"""With more labels than this the least likely ones are folded away."""
ALONE = "nothing"
TRY_TAB = "try"
MESSAGE_CHARACTERS = 20_000
"""The most a visitor may type; the server has limits of its own."""

ASK: dict[str, Any] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "concurrency_limit": 4,
    "concurrency_id": "ask",
    "trigger_mode": "always_last",
}
"""How every event that asks the endpoint is wired: at most four visitors' questions at a time, hidden from the API.

What comes while an answer is on its way waits for it, the last wish counts; Gradio's default drops it in silence.
"""

ROW_CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-row]');
  if (button) trigger('click', {row: button.dataset.row});
});
"""
"""Reports clicks on elements that name a row; it listens on the component, so it survives new content."""


@dataclass(frozen=True)
class TryTab:
    """The parts of the tab that other tabs drive."""

    message: gr.Textbox
    compare: gr.Radio
    result: gr.HTML


def build_try(content: PlaygroundContent, endpoint: Endpoint) -> TryTab:
    """Lay out the tab's parts in the current Gradio context."""
    others = [served.strategy for served in content.task.strategies if served.model != content.task.model]
    first = gr.State(0)
    with gr.Row(elem_classes="lt-try"):
        with gr.Column(scale=5, min_width=300):
            message = gr.Textbox(
                label="Message",
                placeholder="Write a message, then press Enter",
                lines=1,
                max_lines=12,
                max_length=MESSAGE_CHARACTERS,
                elem_id="message",
                autofocus=True,
            )
            compare = gr.Radio(
                [ALONE, *others], value=ALONE, label="Compare with", visible=bool(others), elem_id="compare"
            )
            submit = gr.Button(
                "Label it" if content.task.kind.one_label else "Answer it",
                variant="primary",
                elem_id="submit",
            )
        with gr.Column(scale=6, min_width=300):
            result = html(note("The answer appears here."), elem_id="result")
        with gr.Column(scale=5, min_width=300):
            examples = html(_examples(content, 0), js_on_load=ROW_CLICKS, elem_id="examples")
    tab = TryTab(message, compare, result)
    answered = asking(content, endpoint)
    gr.on(
        [submit.click, message.submit, compare.input],
        answered,
        [message, compare],
        result,
        **ASK,
    )
    _wire_examples(content, tab, examples=examples, first=first, endpoint=endpoint)
    return tab


def asking(content: PlaygroundContent, endpoint: Endpoint) -> Any:
    """Make the event handler that turns a message and the strategy to compare with into result pages."""
    references = {row.text: row.reference for row in content.rows}

    def ask(text: str, beside: str) -> Iterator[str]:
        if not text.strip():
            yield note("Write a message first.")
            return
        yield from _answers(content, endpoint, text=text, beside=beside, reference=references.get(text))

    return ask


def _answers(
    content: PlaygroundContent, endpoint: Endpoint, *, text: str, beside: str, reference: str | None
) -> Iterator[str]:
    """Yield the result page each time one more strategy was asked or has answered."""
    asked = [(content.task.strategy, content.task.model)]
    asked += [(served.strategy, served.model) for served in content.task.strategies if served.strategy == beside]
    cards: list[dict[str, Any]] = []

    def page(waiting: str = "") -> str:
        return render("answer", cards=cards, waiting=waiting, meanings=content.task.descriptions)

    for strategy, model in asked:
        yield page(strategy)
        try:
            answer = endpoint.answer(text, model)
        except ServingError as error:
            yield (page() if cards else "") + failure(str(error))
            return
        bars, rest = split_bars(answer.probabilities)
        kind = content.task.kind
        cards.append(
            {
                "strategy": strategy,
                "answer": shown(kind, answer.label, text),
                "error": answer.error,
                "abstain": answer.abstain,
                "confidence": answer.confidence,
                "milliseconds": answer.milliseconds,
                "right": None if reference is None else answer.label == reference and not answer.error,
                "reference": None if reference is None else shown(kind, reference, text),
                "bars": bars,
                "rest": rest,
                "prompt": answer.prompt,
            }
        )
    yield page()


def split_bars(probabilities: Mapping[str, float]) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Split labels with probabilities, most likely first: those to show, and the rest."""
    ordered = sorted(probabilities.items(), key=lambda pair: -pair[1])
    return ordered[:BARS_SHOWN], ordered[BARS_SHOWN:]


def _examples(content: PlaygroundContent, first: int) -> str:
    rows = content.rows
    shown = [(index % len(rows), rows[index % len(rows)]) for index in range(first, first + _count(rows))]
    return render("examples", examples=shown, more=len(rows) > EXAMPLES_SHOWN)


def _count(rows: Sequence[object]) -> int:
    return min(EXAMPLES_SHOWN, len(rows))


def _wire_examples(
    content: PlaygroundContent, tab: TryTab, *, examples: gr.HTML, first: gr.State, endpoint: Endpoint
) -> None:
    rows = content.rows
    answered = asking(content, endpoint)

    def pick(shown: int, beside: str, event: gr.EventData) -> Iterator[tuple[Any, Any, Any, Any]]:
        named = str(event.row)
        if named == "more":
            following = (shown + EXAMPLES_SHOWN) % len(rows)
            yield following, _examples(content, following), gr.skip(), gr.skip()
        elif named.isdecimal() and int(named) < len(rows):
            text = rows[int(named)].text
            for page in answered(text, beside):
                yield gr.skip(), gr.skip(), text, page

    examples.click(
        pick,
        [first, tab.compare],
        [first, examples, tab.message, tab.result],
        **ASK,
    )
