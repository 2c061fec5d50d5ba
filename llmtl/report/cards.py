"""Small cards of a decision and of an evaluation, for notebooks: the verdict, why, and a row per strategy.

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
        rows=[(name, won, f"{score.value:.3f}", _interval(score.ci95), bool(test)) for name, won, score, test in rows],
        target=f"Target {wording.target(decision.target)}: {wording.target_state(decision)}." if decision.target else "",
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
            (wording.metric_name(name), False, f"{score.value:.3f}", _interval((score.low, score.high)), True)
            for name, score in evaluation.scores.items()
        ],
        target="",
        report=None,
    )


def _interval(ends: tuple[float, float]) -> str:
    return wording.interval(*ends)


def _filled(**values: Any) -> str:
    return html_templates("llmtl", "report").get_template("notebook_card.jinja").render(**values)
