"""The report stage: one decision as a web page, as Markdown and in the terminal.

    content.py        what a report is made from
    wording.py        numbers and verdicts in words
    sentences.py      a decision in plain sentences    rules.py         its reason, by the rule that led to it
    metric_words.py   scores and differences of one metric in running text
    decision_file.py  decision.json: values and sentences written out, read back, and their schema
    version_1.py      what the sentences of its first version stand for
    serving.py        what a live endpoint was measured to do, in words
    cost_words.py     what answering costs, in the unit that all costs are told in
    cascades.py       what a cascade is, in words
    view.py           what every form of the report shows, worked out once
    key_figures.py    the key numbers of the winner
    wrong_answers.py  which strategy is the best at which cost of an error
    money.py          what each strategy costs at the expected volume, and the limits it breaks
    disagreement.py   the test examples on which the strategies disagree
    by_label.py       precision, recall and F1 of each label, of the winner and its best rival
    mix_ups.py        what the winner takes for what, in sentences
    confusion.py      all pairs of labels that the winner mistakes for each other
    care_words.py     what to read with care, the most important line first
    reliability.py    whether the winner's probabilities can be trusted
    prompt_choices.py what several orders of the labels, and two ways to find examples, came to
    noise.py          the verdict without the labels that look wrong
    judging.py        a judge's second opinion
    draw_words.py     what strategies drawn once mean for the verdict
    svg.py, charts/   drawings, made by hand so that the page needs nothing from the network
    templates.py      how templates are filled; palette.py has the colours
    html.py           the page, from the templates beside it (*.jinja, charts.css, report.css, report.js)
    markdown_text.py  the same content with tables in place of charts, from report.md.jinja
    terminal.py       progress bars and the verdict in the terminal

Not covered: deciding anything. Whatever a report says was worked out by `llmtl.decision`, as codes and values.
"""

from llmtl.report.content import ReportContent
from llmtl.report.html import write_html
from llmtl.report.markdown_text import markdown
from llmtl.report.sentences import Summary, summarize
from llmtl.report.terminal import TerminalProgress, print_verdict

__all__ = ["ReportContent", "TerminalProgress", "Summary", "markdown", "print_verdict", "summarize", "write_html"]
