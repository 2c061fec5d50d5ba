"""The Markdown report's section on a judge's second opinion."""

from collections.abc import Iterable

from llmtl.report import judging as shown
from llmtl.report.markdown_pieces import bullets, escape, table
from llmtl.report.view import View


def judge_section(view: View) -> Iterable[str]:
    """Return the judge's sentence, its verdicts on the comparisons and what they took; nothing without a judge."""
    judging = view.content.judging
    if judging is None:
        return
    yield "## Second opinion: a judge"
    yield escape(judging.sentence)
    if judging.opinion is not None:
        rows = [list(map(escape, shown.cells(item, judging))) for item in judging.opinion.comparisons]
        yield table(shown.HEADINGS, rows, numbers=shown.TEXT_COLUMNS)
        yield escape(shown.HOW)
        yield bullets([*(f"{name}: {value}" for name, value in shown.facts(judging)), *judging.notes])
    yield escape(shown.WHY_SECOND)
