"""The *Try* tab: a message in, the answer out (a label with all probabilities), beside another strategy on request.

An answer that is wrong can be corrected there and then (`correction_panel`).

Not covered: labelling many messages (`batch_tab`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from llmtl.errors import ServingError
from llmtl.playground.correction_panel import CorrectionPanel, build_corrections
from llmtl.playground.http_client import Endpoint, ServedAnswer
from llmtl.playground.page_content import PlaygroundContent, TestRow
from llmtl.playground.pages import failure, html, note, render
from llmtl.playground.right_answers import WasAsked
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
    panel: CorrectionPanel | None

    @property
    def outputs(self) -> tuple[Any, ...]:
        """List the components that show an answer."""
        return (self.result, *(self.panel.outputs if self.panel else ()))

    def shows(self, step: "AnswerStep") -> tuple[Any, ...]:
        """Give what these components show at a step of answering."""
        return (step.page, *(self.panel.shows(step.asked) if self.panel else ()))


@dataclass(frozen=True)
class AnswerStep:
    """A result page on the way to an answer; `asked` is what the served model answered, once it is there."""

    page: str
    asked: WasAsked | None = None


def build_try(content: PlaygroundContent, endpoint: Endpoint) -> TryTab:
    """Lay out the tab's parts in the current Gradio context."""
    named = [served.strategy for served in content.task.strategies if served.model != content.task.model]
    others = [(content.titled(strategy), strategy) for strategy in named]
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
                [(ALONE, ALONE), *others], value=ALONE, label="Compare with", visible=bool(others), elem_id="compare"
            )
            submit = gr.Button(
                "Label it" if content.task.kind.one_label else "Answer it",
                variant="primary",
                elem_id="submit",
            )
        with gr.Column(scale=6, min_width=300):
            result = html(note("The answer appears here."), elem_id="result")
            panel = build_corrections(content)
        with gr.Column(scale=5, min_width=300):
            examples = html(_examples(content, 0), js_on_load=ROW_CLICKS, elem_id="examples")
    tab = TryTab(message, compare, result, panel)
    answered = asking(content, endpoint)

    def submitted(text: str, beside: str) -> Iterator[tuple[Any, ...]]:
        for step in answered(text, beside):
            yield tab.shows(step)

    gr.on([submit.click, message.submit, compare.input], submitted, [message, compare], list(tab.outputs), **ASK)
    _wire_examples(content, tab, examples=examples, first=first, endpoint=endpoint)
    return tab


def asking(content: PlaygroundContent, endpoint: Endpoint) -> Callable[[str, str], Iterator[AnswerStep]]:
    """Make the function that turns a message and the strategy to compare with into result pages, step by step."""
    known = {row.text: row for row in content.rows}

    def ask(text: str, beside: str) -> Iterator[AnswerStep]:
        if not text.strip():
            yield AnswerStep(note("Write a message first."))
            return
        yield from _answers(content, endpoint, text=text, beside=beside, known=known.get(text))

    return ask


def _answers(
    content: PlaygroundContent, endpoint: Endpoint, *, text: str, beside: str, known: TestRow | None
) -> Iterator[AnswerStep]:
    """Yield the result page each time one more strategy was asked or has answered."""
    models = [(content.task.strategy, content.task.model)]
    models += [(served.strategy, served.model) for served in content.task.strategies if served.strategy == beside]
    cards: list[dict[str, Any]] = []
    asked = None

    def page(waiting: str = "") -> str:
        return render("answer", cards=cards, waiting=waiting, meanings=content.task.descriptions)

    for strategy, model in models:
        yield AnswerStep(page(content.titled(strategy)), asked)
        try:
            answer = endpoint.answer(text, model)
        except ServingError as error:
            yield AnswerStep((page() if cards else "") + failure(str(error)), asked)
            return
        asked = asked or WasAsked(text, "" if answer.error else answer.label)
        cards.append(_card(content, strategy, answer, text=text, known=known))
    yield AnswerStep(page(), asked)


def _card(
    content: PlaygroundContent, strategy: str, answer: ServedAnswer, *, text: str, known: TestRow | None
) -> dict[str, Any]:
    """Lay out one answer; `known` is the test example with this text, if there is one."""
    kind, corpus = content.kind, content.corpus
    bars, rest = split_bars(answer.probabilities)
    return {
        "strategy": strategy,
        "title": content.titled(strategy),
        "answer": shown(kind, answer.label, text, corpus=corpus),
        "error": answer.error,
        "abstain": answer.abstain,
        "confidence": answer.confidence,
        "milliseconds": answer.milliseconds,
        "right": None if known is None else not answer.error and known.agrees(answer.label),
        "reference": None if known is None else shown(kind, known.reference, text, corpus=corpus, most=3),
        "bars": bars,
        "outvoted": bool(bars) and kind.one_label and answer.probabilities.get(answer.label, 1.0) < bars[0][1],
        "rest": rest,
        "prompt": answer.prompt,
    }


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

    def pick(shown: int, beside: str, event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        named = str(event.row)
        if named == "more":
            following = (shown + EXAMPLES_SHOWN) % len(rows)
            yield following, _examples(content, following), gr.skip(), *(gr.skip() for _ in tab.outputs)
        elif named.isdecimal() and int(named) < len(rows):
            text = rows[int(named)].text
            for step in answered(text, beside):
                yield gr.skip(), gr.skip(), text, *tab.shows(step)

    examples.click(
        pick,
        [first, tab.compare],
        [first, examples, tab.message, *tab.outputs],
        **ASK,
    )
