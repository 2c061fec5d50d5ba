"""A decision and an evaluation in a line, and as small cards for notebooks.

Styles stand in the elements, since notebooks strip style sheets. Not covered: the report (`html`).
"""

from functools import singledispatch
from pathlib import Path
from typing import Any

from llmtl.decision.outcome import Decision
from llmtl.measured.evaluation import Evaluation
from llmtl.report import wording
from llmtl.report.sentences import Summary, summarize
from llmtl.report.templates import html_templates


@singledispatch
def card(value: Any) -> str:
    """Draw the card of a value as HTML; raises `TypeError` for what has none."""
    raise TypeError(f"{type(value).__name__} has no card")


@singledispatch
def line(value: Any) -> str:
    """Say in one line what a value is; raises `TypeError` for what has none."""
    raise TypeError(f"{type(value).__name__} has no card")


@line.register
def decision_line(decision: Decision) -> str:
    """Say the verdict, the winner and its score on test."""
    test = decision.result(decision.winner).test
    score = f", {decision.metric} {wording.score(test.value)} ({_interval(test.ci95)})" if test else ""
    return f"<decision on {decision.task}: {decision.verdict.value}, {decision.winner}{score}>"


@line.register
def evaluation_line(evaluation: Evaluation) -> str:
    """Say every score of a strategy on a split."""
    scores = ", ".join(f"{name} {wording.score(score.value)}" for name, score in evaluation.scores.items())
    return f"<evaluation of {evaluation.strategy} on {evaluation.split}: {scores}, n={evaluation.n}>"


@card.register
def decision_card(decision: Decision, summary: Summary | None = None, report: Path | None = None) -> str:
    """Draw the verdict, the reason, and the test score of every strategy; `report` is linked where it is given."""
    if summary is None and decision.rule is not None:  # of an earlier version the file holds the sentences
        summary = summarize(decision)
    rows = [(each.name, each.name == decision.winner, each.test or each.dev, each.test) for each in decision.strategies]
    rows.sort(key=lambda row: (row[3] is not None, row[2].value), reverse=True)
    return _filled(
        title=wording.verdict(decision),
        lead=summary.below_verdict if summary else "",
        metric=wording.metric_name(decision.metric),
        rows=[
            (name, won, wording.score(score.value), _interval(score.ci95), bool(test))
            for name, won, score, test in rows
        ],
        target=f"Target {wording.target(decision.target)}: {wording.target_state(decision)}."
        if decision.target
        else "",
        report=report,
    )


@card.register
def evaluation_card(evaluation: Evaluation) -> str:
    """Draw every score of one strategy on one split, with its interval."""
    failed = f", {evaluation.failed} failed" if evaluation.failed else ""
    return _filled(
        title=f"{evaluation.strategy} on {evaluation.split}",
        lead=f"{wording.plural(evaluation.n, 'example')}{failed}.",
        metric="score",
        rows=[
            (wording.metric_name(name), False, wording.score(score.value), _interval((score.low, score.high)), True)
            for name, score in evaluation.scores.items()
        ],
        target="",
        report=None,
    )


def _interval(ends: tuple[float, float]) -> str:
    return wording.interval(*ends)


def _filled(**values: Any) -> str:
    return html_templates("llmtl", "report").get_template("notebook_card.jinja").render(**values)
