"""The *Errors* tab: what the served strategy mistakes for what on test, and every wrong prediction with a way to *Try*.

Not covered: errors of other strategies; the report lists where they disagree.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import gradio as gr

from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.kind import Kind
from llmtl.playground.decision_tab import NO_RUN
from llmtl.playground.http_client import Endpoint
from llmtl.playground.page_content import PlaygroundContent, TestRow
from llmtl.playground.pages import html, note, render
from llmtl.playground.shown_answers import Shown, shown
from llmtl.playground.try_tab import ASK, ROW_CLICKS, TRY_TAB, TryTab, asking
from llmtl.report.charts.matrices import heat_map
from llmtl.report.confusion import FAILED, confusion_of

ANY = "any"
ROWS_SHOWN = 60
HITS_SHOWN = 3
FOCUS_MESSAGE = "() => document.querySelector('#message textarea')?.focus()"
_CELL_CLICKS = """
element.addEventListener('click', (event) => {
  const cell = event.target.closest('[data-reference]');
  if (cell) trigger('click', {reference: cell.dataset.reference, predicted: cell.dataset.predicted});
});
"""


def build_errors(content: PlaygroundContent, endpoint: Endpoint, *, tabs: gr.Tabs, tried: TryTab) -> None:
    """Lay the tab out in the current Gradio context; a click on an error fills in `tried` and opens its tab."""
    rows = content.rows
    if not rows:
        html(note(NO_RUN.format(what="what it gets wrong")), elem_id="errors")
        return
    wrong = [row for row in rows if not row.right]
    kind = content.task.kind
    labels = kind.one_label  # other answers are too many to choose among
    matrix = html(_matrix(content) if labels else "", js_on_load=_CELL_CLICKS, elem_id="matrix")
    with gr.Row(elem_classes="lt-filters"):
        references, given = (
            [ANY, *_seen(seen)] if labels else [ANY]
            for seen in ((row.reference for row in wrong), map(predicted_label, wrong))
        )
        reference = gr.Dropdown(references, value=ANY, label="Right label", visible=labels)
        predicted = gr.Dropdown(given, value=ANY, label="Predicted label", visible=labels)
        text = gr.Textbox(label="Text contains", max_lines=1, elem_id="contains")
    listed = html(errors_page(rows, kind=kind, corpus=content.corpus), js_on_load=ROW_CLICKS, elem_id="errors")
    filters: list[Any] = [reference, predicted, text]

    def narrow(right: str, given: str, contains: str) -> str:
        filtered = {"reference": right, "predicted": given, "contains": contains}
        return errors_page(rows, kind=kind, corpus=content.corpus, **filtered)

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    gr.on([part.change for part in filters], narrow, filters, listed, trigger_mode="always_last", **quiet)

    def cell(event: gr.EventData) -> tuple[Any, Any]:
        chosen = (str(event.reference), str(event.predicted))
        known = any((row.reference, predicted_label(row)) == chosen for row in wrong)
        return chosen if known else (gr.skip(), gr.skip())

    matrix.click(cell, None, [reference, predicted], **quiet)
    _wire_rows(content, endpoint, listed=listed, tabs=tabs, tried=tried)


def errors_page(
    rows: Sequence[TestRow],
    *,
    kind: Kind = CLASSIFICATION,
    corpus: Mapping[str, str] = MappingProxyType({}),
    reference: str = ANY,
    predicted: str = ANY,
    contains: str = "",
) -> str:
    """List the wrong predictions that pass the filters, surest mistakes first; `any` lets every label pass.

    Answers that have no probabilities stay in test order.
    """
    wanted = contains.strip().casefold()
    found = [
        (index, row)
        for index, row in enumerate(rows)
        if not row.right
        and reference in (ANY, row.reference)
        and predicted in (ANY, predicted_label(row))
        and wanted in row.text.casefold()
    ]
    found.sort(key=lambda pair: -(pair[1].probability or 0.0))
    wrong = sum(not row.right for row in rows)

    def answer(stated: str) -> Shown:
        return shown(kind, stated, corpus=corpus, most=HITS_SHOWN)

    listed = [(index, row, answer(row.reference), answer(predicted_label(row))) for index, row in found[:ROWS_SHOWN]]
    return render(
        "errors",
        found=listed,
        matching=len(found),
        wrong=wrong,
        n=len(rows),
        sure=kind.one_label,
        ranked=kind.searches,
    )


def predicted_label(row: TestRow) -> str:
    """Write the predicted label, or the word for a failed prediction."""
    return FAILED if row.prediction is None else row.prediction


def _seen(labels: Any) -> list[str]:
    return sorted(set(labels))


def _matrix(content: PlaygroundContent) -> str:
    if content.measured is None:
        return ""
    confusion = confusion_of(content.measured, content.task.labels)
    large = None if confusion.small else heat_map(confusion, width=520.0, name="confusion-map")
    return render("matrix", confusion=confusion, mistakes=confusion.mistakes(), heat_map=large)


def _wire_rows(
    content: PlaygroundContent, endpoint: Endpoint, *, listed: gr.HTML, tabs: gr.Tabs, tried: TryTab
) -> None:
    rows = content.rows
    answered = asking(content, endpoint)

    def send(beside: str, event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        named = str(event.row)
        if named.isdecimal() and int(named) < len(rows):
            text = rows[int(named)].text
            for step in answered(text, beside):
                yield gr.Tabs(selected=TRY_TAB), text, *tried.shows(step)

    sent = listed.click(send, tried.compare, [tabs, tried.message, *tried.outputs], **ASK)
    sent.then(None, None, None, js=FOCUS_MESSAGE)
