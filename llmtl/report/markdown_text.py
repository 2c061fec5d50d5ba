"""The report as GitHub-flavoured Markdown, from the template beside it (`report.md.jinja`).

Not covered: the charts, which only the page has.
"""

import re
from statistics import median, stdev

from llmtl.report import forgetting_words, judging, layer_words, noise, pre_training_words, transfer_words, wording
from llmtl.report.content import ReportContent
from llmtl.report.left_to_it import left_to
from llmtl.report.metric_words import Words
from llmtl.report.money import NO_LIMITS
from llmtl.report.prompt_choices import choice_sentences
from llmtl.report.templates import markdown_templates
from llmtl.report.view import build_view
from llmtl.task import Metric

_EXAMPLES = 10
_CURVE_ROWS = 12


def markdown(content: ReportContent) -> str:
    """Write the report as Markdown; every text from outside is escaped."""
    templates = markdown_templates("llmtl", "report")
    templates.filters |= {"median": median, "stdev": stdev}
    written = templates.get_template("report.md.jinja").render(
        view=build_view(content),
        content=content,
        judge=judging,
        noise_words=noise,
        transfer_words=transfer_words,
        layer_words=layer_words,
        pre_training_words=pre_training_words,
        forgetting_words=forgetting_words,
        words=Words(Metric(content.decision.metric)),
        left=left_to(content),
        choice_sentences=choice_sentences,
        no_limits=NO_LIMITS,
        nothing=wording.NOTHING,
        most_examples=_EXAMPLES,
        curve_rows=_CURVE_ROWS,
    )
    return re.sub(r"\n{3,}", "\n\n", written).strip() + "\n"
