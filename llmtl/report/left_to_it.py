"""How much can be left to each strategy: the section of the report, with its table and its curves.

Not covered: working it out (`llmtl.decision.automation`), the sentences (`promises`), drawing (`charts/risk_coverage`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from llmtl.decision.automation import marked
from llmtl.decision.outcome import Decision
from llmtl.decision.promise import Automated, Promise, UnknownInputs
from llmtl.metrics.selective import risk_curve
from llmtl.report import wording
from llmtl.report.content import ReportContent
from llmtl.report.promises import as_chance, sentences, threshold, why
from llmtl.strategy import Role

_FEWEST = 20
"""A share of errors among fewer answers is not drawn: it jumps with each of them."""


_SHARED = 3
"""So many rows or more with the same reason are told together."""


@dataclass(frozen=True)
class LeftRow:
    """One strategy in the table: what was shown, in words, or `why` nothing can be promised."""

    name: str
    winner: bool
    shown: bool
    confidence: str = ""
    share: str = ""
    wrong: str = ""
    at_most: str = ""
    why: str = ""
    unknown: str = ""


@dataclass(frozen=True)
class RiskLine:
    """The share of errors among the answered (second) by the share that is answered (first), surest first.

    `stands` is the point where a promise was shown.
    """

    name: str
    role: Role
    points: tuple[tuple[float, float], ...]
    stands: tuple[float, float] | None


@dataclass(frozen=True)
class LeftToIt:
    """The section: the sentence on the winner, further ones, how it was found, a row and maybe a curve per strategy."""

    limit: float
    sentence: str
    further: tuple[str, ...]
    rows: tuple[LeftRow, ...]
    lines: tuple[RiskLine, ...]
    how: str

    @property
    def unknown(self) -> bool:
        """Say whether inputs without a right answer were tried."""
        return any(row.unknown for row in self.rows)


HOW = (
    "Confidence is the probability that a strategy gives its answer. {written}Dev fixed the thresholds to "
    "try; test says which hold, by exact binomial tests in a fixed order (Learn then Test, Angelopoulos et al. 2021). "
    "An answer is an error unless it is exactly right, and a failed one goes to a person. What is said holds with "
    "95% confidence for the strategy chosen on dev, and with 95% for all others together; it does not need confidences "
    "to be true chances."
)
WRITTEN = (
    "That of a written answer is the probability of all its tokens together, which dev turned into the chance that the "
    "whole answer is right (Platt scaling). "
)


def left_to(content: ReportContent) -> LeftToIt | None:
    """Return the section, or None for a decision that did not ask."""
    decision = content.decision
    if not decision.automation or decision.max_error_automated is None:
        return None
    order = {item.name: item.test.value if item.test else 0.0 for item in decision.strategies}
    found = sorted(decision.automation, key=lambda item: (item.share or 0.0, order[item.strategy]), reverse=True)
    return LeftToIt(
        limit=decision.max_error_automated,
        sentence=" ".join(sentences(decision)),
        further=tuple(_further(decision, found)),
        rows=_merged([_row(item, decision) for item in found]),
        lines=tuple(_lines(content, found)),
        how=HOW.format(written=WRITTEN if any(item.calibration for item in found) else ""),
    )


def _row(item: Automated, decision: Decision) -> LeftRow:
    winner, shown = item.strategy == decision.winner, item.promise is Promise.SHOWN
    unknown = "" if item.unknown is None else _unknown(item.unknown)
    if item.threshold is None or item.share is None or item.share_ci95 is None:
        reason = wording.capital(f"{why(item, decision.max_error_automated or 0)}.")
        return LeftRow(item.strategy, winner, shown, why=reason, unknown=unknown)
    low, high = (wording.percent(end) for end in item.share_ci95)
    of = f"{wording.count(item.errors or 0)} of {wording.count(item.answered or 0)}"
    return LeftRow(
        name=item.strategy,
        winner=winner,
        shown=shown,
        confidence="any" if item.threshold == 0 else f"{threshold(item.threshold)}",
        share=f"{wording.percent(item.share)} ({low} to {high})",
        wrong=of if item.error is None else f"{of} ({wording.small_share(item.error)})",
        at_most=wording.small_share(item.at_most or 0),
        unknown=unknown,
    )


def _merged(rows: Sequence[LeftRow]) -> tuple[LeftRow, ...]:
    """Say a reason that three or more share once: the winner, or the first of them, and how many others."""
    kept: list[LeftRow] = []
    for reason, same in groupby(sorted(rows, key=lambda row: row.why), key=lambda row: row.why):
        group = list(same)
        if not reason or len(group) < _SHARED or any(row.unknown for row in group):
            kept += group
            continue
        first = next((row for row in group if row.winner), group[0])
        kept += [first, LeftRow(f"{len(group) - 1} others", winner=False, shown=False, why="The same.")]
    return tuple(kept)


def _unknown(found: UnknownInputs) -> str:
    parts = []
    if found.rejected is not None and found.rejected_ci95 is not None:
        low, high = (wording.percent(end) for end in found.rejected_ci95)
        parts.append(f"{wording.percent(found.rejected)} ({low} to {high})")
    if found.auroc is not None:
        parts.append(f"AUROC {wording.score(found.auroc)}")
    return ", ".join(parts) or wording.NOTHING


def _further(decision: Decision, found: Sequence[Automated]) -> list[str]:
    """Say to whom more can be left than to the winner, and what becomes of inputs without a right answer."""
    lines = []
    shown = [item for item in found if item.promise is Promise.SHOWN]
    own = next((item for item in shown if item.strategy == decision.winner), None)
    most = max(shown, key=lambda item: item.share or 0, default=None)
    if most and most is not own and (own is None or (most.share or 0) > (own.share or 0)):
        share = wording.percent(most.share or 0)
        lines.append(f"Most can be left to {most.strategy}: {share} of inputs, on the same terms.")
    winner = next((item for item in found if item.strategy == decision.winner), None)
    if winner and winner.calibrated:
        lines.append(as_chance(winner.strategy, winner.calibrated))
    if winner and winner.unknown and winner.unknown.rejected is not None:
        lines.append(
            f"Of {wording.plural(winner.unknown.n, 'input')} without a right answer, {winner.strategy} leaves "
            f"{wording.percent(winner.unknown.rejected)} to a person."
        )
    return lines


def _lines(content: ReportContent, found: Sequence[Automated]) -> list[RiskLine]:
    drawn = []
    for item in found:
        if item.promise in (Promise.NO_CONFIDENCE, Promise.BY_DEGREES):
            continue
        test = next((e for e in content.evaluations if (e.strategy, e.split) == (item.strategy, "test")), None)
        if test is None:
            continue
        shown = item.promise is Promise.SHOWN and item.share is not None and item.error is not None
        stands = (item.share or 0.0, item.error or 0.0) if shown else None
        points = tuple(
            (share, risk) for share, risk in risk_curve(marked(test, item.calibration)) if share * test.n >= _FEWEST
        )
        drawn.append(RiskLine(item.strategy, test.role, points, stands))
    return [line for line in drawn if len(line.points) > 1]
