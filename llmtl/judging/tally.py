"""Wins, losses and ties as a win rate with a 95% interval, an exact sign test and Holm's correction.

With ties half, the win rate is (1 + d) / 2 with d = (wins - losses) / n: a paired difference of proportions, whose
discordant pairs are the wins and the losses. So its interval is Tango's score interval of d, and its test the sign test
(a binomial test of wins against losses), which is the exact McNemar test of `llmtl.metrics.paired`. Failures are left
out of n and counted. Not covered: examples that are not independent; one of each group is judged.
"""

from collections.abc import Sequence
from dataclasses import replace

from llmtl.judging.pairs import Judged, PairOutcome
from llmtl.judging.result import JudgedComparison
from llmtl.metrics.paired import compare_counts, holm, mcnemar_exact


def tally(a: str, b: str, *, judged: Sequence[Judged]) -> JudgedComparison:
    """Count the outcomes of one comparison; its p-value is not corrected yet."""
    count = {outcome: sum(item.outcome is outcome for item in judged) for outcome in PairOutcome}
    wins, losses, ties = count[PairOutcome.A], count[PairOutcome.B], count[PairOutcome.TIE]
    settled = [item.outcome for item in judged if not item.asked]
    readable = [item for item in judged if item.readable]
    rate, ends = win_rate(wins, losses, ties)
    return JudgedComparison(
        a=a,
        b=b,
        wins=wins,
        losses=losses,
        ties=ties,
        failures=count[PairOutcome.FAILURE],
        identical=settled.count(PairOutcome.TIE),
        unanswered=len(settled) - settled.count(PairOutcome.TIE),
        consistency=sum(item.consistent for item in readable) / len(readable) if readable else None,
        win_rate=rate,
        ci95=ends,
        p=mcnemar_exact(wins, losses),
        p_holm=1.0,
    )


def win_rate(wins: int, losses: int, ties: int) -> tuple[float | None, tuple[float, float] | None]:
    """Compute the win rate, ties half, with its 95% interval; None for no outcome at all."""
    n = wins + losses + ties
    if n == 0:
        return None, None
    found = compare_counts(wins, losses, n)
    return (1 + found.difference) / 2, ((1 + found.low) / 2, (1 + found.high) / 2)


def corrected(comparisons: Sequence[JudgedComparison]) -> tuple[JudgedComparison, ...]:
    """Correct the p-values of the comparisons for their number (Holm)."""
    adjusted = holm([item.p for item in comparisons])
    return tuple(replace(item, p_holm=p) for item, p in zip(comparisons, adjusted, strict=True))
