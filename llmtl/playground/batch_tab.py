"""The *Batch* tab: a file in, looked at first; the same rows with label, probability and error out, as CSV.

Not covered: the labelling itself (`batch`).
"""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gradio as gr

from llmtl.data.inputs import InputTable
from llmtl.errors import LlmtlError
from llmtl.kinds.kind import Kind
from llmtl.playground.batch import (
    MOST_AT_ONCE,
    MOST_BYTES,
    MOST_ROWS,
    SUFFIXES,
    BatchOutcome,
    Sheet,
    added_columns,
    label_texts,
    read_sheet,
    write_labelled,
)
from llmtl.playground.http_client import Endpoint
from llmtl.playground.page_content import PlaygroundContent
from llmtl.playground.pages import failure, html, note, render
from llmtl.report import wording
from llmtl.report.disagreement import shortened

LABELS_SHOWN = 20
ROWS_SHOWN = 5
COLUMNS_SHOWN = 4
CELL_SHOWN = 120
BAD_SHOWN = 5
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def build_batch(content: PlaygroundContent, endpoint: Endpoint) -> None:
    """Lay the tab out in the current Gradio context."""
    html(render("batch_intro", rows=MOST_ROWS, megabytes=MOST_BYTES // 2**20, sure=content.task.kind.one_label))
    upload = gr.File(label="File with the messages", file_types=list(SUFFIXES), elem_id="upload", height=150)
    said = html("", elem_id="file-notice")
    column = gr.Dropdown([], label="Column with the messages", visible=False, elem_id="column")
    preview = html("", elem_id="preview")
    with gr.Row(elem_classes="lt-buttons"):
        start = gr.Button("Label the file", variant="primary", interactive=False, elem_id="label-file")
        stop = gr.Button("Stop", visible=False, elem_id="stop")
    progress = html("", elem_id="progress")
    download = gr.DownloadButton("Download the labelled CSV", visible=False, elem_id="download")

    outputs = [said, column, preview, start, progress, download]
    gr.on([upload.upload, upload.clear], _uploading(content.task.kind), upload, outputs, **_QUIET)
    column.input(_chosen, [upload, column], [preview, start], **_QUIET)
    shown: list[Any] = [progress, download, start, stop]
    labelling = start.click(
        _labelling(content, endpoint, download),
        [upload, column],
        shown,
        concurrency_limit=2,
        concurrency_id="batch",
        **_QUIET,
    )
    stop.click(_stopped, None, shown, cancels=[labelling], queue=False, **_QUIET)


def _uploading(kind: Kind) -> Any:
    """Return the event handler for a chosen file."""

    def uploaded(path: str | None) -> tuple[Any, ...]:
        return _uploaded(path, kind)

    return uploaded


def _uploaded(path: str | None, kind: Kind) -> tuple[Any, ...]:
    """Return what the page says about a chosen file: its size, columns and first rows, or what is wrong with it."""
    gone, unready = gr.update(visible=False), gr.update(interactive=False)
    if path is None:
        return "", gone, "", unready, "", gone
    try:
        sheet = _read(path)
        page = preview_page(sheet, sheet.likeliest)
    except LlmtlError as error:
        return failure(str(error)), gone, "", unready, "", gone
    said = [wording.plural(len(sheet.rows), "row"), *sheet.table.detected]
    added = ", ".join(added_columns(sheet.columns, kind=kind))
    return (
        note(f"{sheet.name}: {', '.join(said)}. The columns {added} will be added."),
        gr.update(choices=list(sheet.columns), value=sheet.likeliest, visible=True),
        page,
        gr.update(interactive=True),
        "",
        gone,
    )


def _chosen(path: str | None, column: str | None) -> tuple[Any, Any]:
    """Return the first rows with another column of messages, and whether they can be labelled."""
    if path is None or column is None:
        return "", gr.update(interactive=False)
    try:
        return preview_page(_read(path), column), gr.update(interactive=True)
    except LlmtlError as error:
        return failure(str(error)), gr.update(interactive=False)


def preview_page(sheet: Sheet, column: str) -> str:
    """Show the first rows, the messages first, and name the rows without one; raises `DataError` where all are."""
    inputs = sheet.inputs(column)
    others = [name for name in sheet.columns if name != column][: COLUMNS_SHOWN - 1]
    index = {name: sheet.columns.index(name) for name in sheet.columns}
    rows = [
        (row.where, [shortened(cells[index[name]], CELL_SHOWN) for name in (column, *others)], row.problem)
        for row, cells in zip(inputs.rows[:ROWS_SHOWN], sheet.rows[:ROWS_SHOWN], strict=True)
    ]
    bad = [(row.where, row.problem) for row in inputs.rows if row.problem]
    return render(
        "preview",
        columns=[column, *others],
        rows=rows,
        more=len(inputs.rows) - len(rows),
        hidden=len(sheet.columns) - 1 - len(others),
        bad=bad[:BAD_SHOWN],
        n_bad=len(bad),
    )


def _read(path: str) -> Sheet:
    return read_sheet(Path(path), name=Path(path).name)


def _labelling(content: PlaygroundContent, endpoint: Endpoint, download: gr.DownloadButton) -> Any:
    """Return the event handler that labels a file and keeps the page informed."""
    limit = content.task.limits.get("max_inputs", MOST_AT_ONCE)

    def label_file(path: str | None, column: str | None) -> Iterator[tuple[Any, Any, Any, Any]]:
        idle, busy = gr.update(interactive=True), gr.update(interactive=False)
        gone, there = gr.update(visible=False), gr.update(visible=True)
        if path is None or column is None:
            yield note("Choose a file first."), gone, idle, gone
            return
        try:
            sheet = _read(path)
            inputs = sheet.inputs(column)
        except LlmtlError as error:
            yield failure(str(error)), gone, idle, gone
            return
        outcomes: dict[int, BatchOutcome] = {}
        started = time.monotonic()
        for more in _labelled(endpoint, inputs, model=content.task.model, at_once=limit):
            outcomes |= more
            yield _progress(len(outcomes), len(inputs.rows), seconds=time.monotonic() - started), gone, busy, there
        ordered = [outcomes[index] for index in range(len(inputs.rows))]
        labelled = _beside(Path(path))
        write_labelled(labelled, sheet, ordered, kind=content.task.kind)
        download.temp_files.add(str(labelled))  # so that Gradio deletes it with the upload beside it
        done = _summary(ordered, content.task.kind, seconds=time.monotonic() - started, corpus=content.corpus)
        yield done, gr.update(value=str(labelled), visible=True), idle, gone

    return label_file


def _labelled(endpoint: Endpoint, inputs: InputTable, *, model: str, at_once: int) -> Iterator[dict[int, BatchOutcome]]:
    texts = [row.text or "" for row in inputs.rows]
    problems = {index: row.problem for index, row in enumerate(inputs.rows) if row.problem}
    return label_texts(endpoint, texts, model=model, at_once=at_once, problems=problems)


def _beside(upload: Path) -> Path:
    """Return where to write: beside the upload, in a folder of its own, since visitors may upload the same file."""
    return Path(tempfile.mkdtemp(dir=upload.parent)) / f"{upload.stem}-labelled.csv"


def _stopped() -> tuple[Any, Any, Any, Any]:
    gone = gr.update(visible=False)
    return note("Stopped; nothing was written."), gone, gr.update(interactive=True), gone


def _progress(done: int, total: int, *, seconds: float) -> str:
    left = seconds / done * (total - done) if done and seconds > 2 else None
    return render("progress", done=done, total=total, left=left)


def _summary(
    outcomes: list[BatchOutcome], kind: Kind, *, seconds: float, corpus: Mapping[str, str] = MappingProxyType({})
) -> str:
    done = [outcome for outcome in outcomes if not outcome.error]
    labels = Counter(label for outcome in done for label in kind.counted(outcome.label))
    errors = Counter(outcome.error for outcome in outcomes if outcome.error)
    return render(
        "batch",
        n=len(outcomes),
        labelled=len(done),
        seconds=seconds,
        labels=[(shortened(corpus.get(label, label), CELL_SHOWN), n) for label, n in labels.most_common(LABELS_SHOWN)],
        most=max(labels.values(), default=1),
        errors=errors.most_common(5),
    )
