"""Scores, differences and p-values in the words of the decision's sentences.

Not covered: the formats of tables and figures (`wording`).
"""

import math
from dataclasses import dataclass

from llmtl.decision.evidence import Evidence
from llmtl.decision.outcome import Comparison, StrategyResult
from llmtl.task import Metric

NAMES = {
    Metric.MACRO_F1: "macro-F1",
    Metric.MICRO_F1: "micro-F1",
    Metric.PARTIAL_F1: "partial F1",
    Metric.FIELD_F1: "field F1",
    Metric.CHRF: "chrF",
    Metric.BLEU: "BLEU",
    Metric.ROUGE_L: "ROUGE-L",
}
SHARES = {Metric.ACCURACY: "right", Metric.EXACT_MATCH: "exactly right"}
"""Metrics that are a share of the examples, and of which."""


@dataclass(frozen=True)
class Words:
    """How numbers of one metric are written: shares of right answers in percent and points, others as they are."""

    metric: Metric

    def score(self, value: float) -> str:
        """Return a score: `91.0% right` or `a macro-F1 of 0.910`."""
        if self.metric in SHARES:
            return f"{100 * value:.1f}% {SHARES[self.metric]}"
        return f"a {NAMES[self.metric]} of {value:.3f}"

    def plain(self, value: float) -> str:
        """Return a score alone: `91.0%` or `0.910`."""
        return f"{100 * value:.1f}%" if self.metric in SHARES else f"{value:.3f}"

    def gap(self, value: float) -> str:
        """Return a difference: `2.0 points` or `0.020`."""
        if self.metric in SHARES:
            points = f"{100 * value:.1f}"
            return f"{points} point{'' if points == '1.0' else 's'}"
        return f"{value:.3f}"

    def bare(self, value: float) -> str:
        """Return a difference without its unit: `2.0` or `0.020`."""
        return f"{100 * value:.1f}" if self.metric in SHARES else f"{value:.3f}"

    def better(self, evidence: Evidence, a: str, b: str) -> str:
        """Return how a compares with b on test: `3.0 points better, 95% interval -1.2 to 7.2, p = 0.160`."""
        found, difference = evidence.about(a, b), evidence.difference(a, b)
        if found is None or difference is None:
            return "not compared"
        low, high = _ends(found, a)
        word = "better" if difference >= 0 else "worse"
        if difference == 0:
            return f"no difference, 95% interval {self.bare(low)} to {self.bare(high)}, {p_value(found.p_holm)}"
        return (
            f"{self.gap(abs(difference))} {word}, 95% interval {self.bare(low)} to {self.bare(high)}, "
            f"{p_value(found.p_holm)}"
        )

    def against(self, a: StrategyResult, b: StrategyResult, title: str = "") -> str:
        """Return two test scores side by side: `qlora gets 91.0% right against 72.0% for tfidf, the best baseline`."""
        first, second = (item.test.value if item.test else 0.0 for item in (a, b))
        verb = "gets" if self.metric in SHARES else "reaches"
        return f"{a.name} {verb} {self.score(first)} against {self.plain(second)} for {b.name}{title}"


def p_value(value: float) -> str:
    """Return a corrected p-value: `p = 0.012`, `p < 0.001`."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def usd(value: float) -> str:
    """Return an amount in USD with two significant digits below 1 and cents above: `0.0012`, `12.50`."""
    if value == 0:
        return "0"
    if abs(value) >= 1:
        return f"{value:,.2f}"
    return f"{value:.{1 - math.floor(math.log10(abs(value)))}f}"


def listed(names: list[str]) -> str:
    """Return names in a row: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _ends(found: Comparison, a: str) -> tuple[float, float]:
    low, high = found.ci95
    return (low, high) if found.a == a else (-high, -low)
