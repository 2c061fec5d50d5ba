"""Scores, differences and p-values in the words of the decision's sentences.

Not covered: the formats of tables and figures (`wording`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from llmtl.decision.evidence import Evidence
from llmtl.decision.outcome import Comparison, StrategyResult
from llmtl.numerals import with_minus
from llmtl.task import Metric

NAMES = {
    Metric.MACRO_F1: "macro-F1",
    Metric.MICRO_F1: "micro-F1",
    Metric.PARTIAL_F1: "partial F1",
    Metric.FIELD_F1: "field F1",
    Metric.CHRF: "chrF",
    Metric.BLEU: "BLEU",
    Metric.ROUGE_L: "ROUGE-L",
    Metric.NDCG_10: "nDCG@10",
    Metric.RECALL_10: "recall@10",
    Metric.MRR_10: "MRR@10",
}
_SPELT = (Metric.NDCG_10, Metric.MRR_10)
"""Names that begin with a letter which is spoken with a vowel first."""
SHARES = {Metric.ACCURACY: "right", Metric.EXACT_MATCH: "exactly right"}
"""Metrics that are a share of the examples, and of which."""


@dataclass(frozen=True)
class Words:
    """How numbers of one metric are written: shares of right answers in percent and points, others as they are."""

    metric: Metric

    def score(self, value: float) -> str:
        """Write a score: `91.0% right` or `a macro-F1 of 0.910`."""
        if self.metric in SHARES:
            return f"{100 * value:.1f}% {SHARES[self.metric]}"
        return f"{'an' if self.metric in _SPELT else 'a'} {NAMES[self.metric]} of {value:.3f}"

    def plain(self, value: float) -> str:
        """Write a score alone: `91.0%` or `0.910`."""
        return f"{100 * value:.1f}%" if self.metric in SHARES else f"{value:.3f}"

    def gap(self, value: float) -> str:
        """Write a difference: `2.0 points` or `0.020`."""
        if self.metric in SHARES:
            points = f"{100 * value:.1f}"
            return f"{points} point{'' if points == '1.0' else 's'}"
        return f"{value:.3f}"

    def about(self, value: float) -> str:
        """Write a positive difference, never as nothing: `about 2.0 points`, `less than 0.1 points`."""
        return f"less than {self.gap(0.001)}" if _is_zero(self.bare(value)) else f"about {self.gap(value)}"

    def bare(self, value: float) -> str:
        """Write a difference without its unit: `2.0` or `0.020`."""
        digits = f"{100 * value:.1f}" if self.metric in SHARES else f"{value:.3f}"
        return with_minus(digits) if float(digits) else digits.removeprefix("-")

    def better(self, evidence: Evidence, a: str, b: str) -> str:
        """Tell how a compares with b on test: `3.0 points better, 95% interval -1.2 to 7.2, p = 0.160`."""
        found, difference = evidence.about(a, b), evidence.difference(a, b)
        if found is None or difference is None:
            return "not compared"
        low, high = shown_ends(found)
        low, high = (low, high) if found.a == a else (-high, -low)
        shown = between(low, high, self.bare, open_at_zero=excludes_zero(found))
        word = "better" if difference >= 0 else "worse"
        gap = f"{self.gap(abs(difference))} {word}" if difference else "no difference"
        return f"{gap}, {interval_name(found)} {shown}, p {p_text(found.p_holm, evidence.alpha)}"

    def against(self, a: StrategyResult, b: StrategyResult, title: str = "") -> str:
        """Write two test scores side by side: `qlora gets 91.0% right against 72.0% for tfidf, the best baseline`."""
        first, second = (item.test.value if item.test else 0.0 for item in (a, b))
        verb = "gets" if self.metric in SHARES else "reaches"
        return f"{a.name} {verb} {self.score(first)} against {self.plain(second)} for {b.name}{title}"


def p_text(value: float, alpha: float = 0.05) -> str:
    """Write a p-value with its sign: `= 0.012`, `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"= {p_digits(value, alpha)}"


def p_digits(value: float, alpha: float = 0.05) -> str:
    """Write a p-value of at least 0.001 with three decimals, or two significant digits below 0.1: `0.160`, `0.0052`.

    Near `alpha` there are as many digits as it takes to see on which side it is.
    """
    decimals = 4 if value < 0.00995 else 3
    while decimals < 12 and value != alpha and _hides_side(round(value, decimals), value, alpha):
        decimals += 1
    return f"{value:.{decimals}f}"


def _hides_side(rounded: float, value: float, alpha: float) -> bool:
    return rounded == alpha or (rounded < alpha) != (value < alpha)


def shown_ends(found: Comparison) -> tuple[float, float]:
    """Pick the ends of the interval that is printed: simultaneous, but in what earlier versions wrote."""
    together = found.ci_simultaneous
    return found.ci95 if together is None else (together.low, together.high)


def excludes_zero(found: Comparison) -> bool:
    """Say whether an end at 0 of the printed interval does not belong to it."""
    return found.ci_simultaneous is not None and found.ci_simultaneous.excludes_zero


def interval_name(found: Comparison) -> str:
    """Say what the printed interval is: `95% simultaneous interval`; that of the only comparison is just one."""
    together = found.ci_simultaneous
    if together is None:
        return "95% interval"
    kind = "interval" if math.isclose(together.each, together.confidence) else "simultaneous interval"
    return f"{100 * together.confidence:g}% {kind}"


def between(low: float, high: float, write: Callable[[float], str], *, open_at_zero: bool = False) -> str:
    """Write the ends of an interval; one that rounds to 0 and excludes it is told: `above 0 to 7.2`."""
    first, last = write(low), write(high)
    if open_at_zero and low >= 0 and _is_zero(first):
        return f"above 0 to {last}"
    if open_at_zero and high <= 0 and _is_zero(last):
        return f"{first} to below 0"
    return f"{first} to {last}"


def _is_zero(digits: str) -> bool:
    return not any(digit in "123456789" for digit in digits)


def usd(value: float) -> str:
    """Write an amount in USD with two significant digits below 1 and cents above: `0.0012`, `12.50`."""
    if value == 0:
        return "0"
    if abs(value) >= 1:
        return f"{value:,.2f}"
    return f"{value:.{1 - math.floor(math.log10(abs(value)))}f}"


def listed(names: list[str]) -> str:
    """Write names in a row: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
