"""What test shows about the planned comparisons, Holm-corrected over all of them.

Not covered: what follows from it (`verdict`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from llmtl.decision.comparing import compare_evaluations
from llmtl.decision.config import DecisionConfig
from llmtl.decision.outcome import Choice, Comparison, Planned
from llmtl.errors import RunError
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.paired import PairedDifference, holm
from llmtl.task import Metric


@dataclass(frozen=True)
class Finding:
    """One comparison on test: the plan, the measured difference and its corrected p-value."""

    planned: Planned
    measured: PairedDifference
    p_holm: float

    def written(self) -> Comparison:
        """Return the comparison as `decision.json` holds it."""
        measured = self.measured
        return Comparison(
            a=self.planned.a,
            b=self.planned.b,
            why=self.planned.why,
            difference=measured.difference,
            ci95=(measured.low, measured.high),
            at_most=measured.at_most,
            p=measured.p,
            p_holm=self.p_holm,
            method=measured.method,
        )


@dataclass(frozen=True)
class Evidence:
    """All comparisons on test and the questions that a verdict asks of them."""

    findings: tuple[Finding, ...]
    margin: float
    alpha: float
    n: int

    def about(self, a: str, b: str) -> Finding | None:
        """Return the comparison of two strategies in either order, or None where none was planned."""
        pair = {a, b}
        return next((item for item in self.findings if {item.planned.a, item.planned.b} == pair), None)

    def difference(self, a: str, b: str) -> float | None:
        """Return the observed score(a) - score(b), or None where they were not compared."""
        finding = self.about(a, b)
        if finding is None:
            return None
        return finding.measured.difference if finding.planned.a == a else -finding.measured.difference

    def shown_better(self, a: str, b: str) -> bool:
        """Return whether a is shown better than b: a positive difference and a corrected p-value of at most alpha."""
        finding, difference = self.about(a, b), self.difference(a, b)
        return finding is not None and difference is not None and difference > 0 and finding.p_holm <= self.alpha

    def at_most(self, a: str, b: str) -> float | None:
        """Return the one-sided 95% upper bound of score(a) - score(b), or None where they were not compared."""
        finding = self.about(a, b)
        if finding is None:
            return None
        return finding.measured.at_most if finding.planned.a == a else -finding.measured.at_least

    def not_worth_more(self, a: str, b: str) -> bool:
        """Return whether a is shown not better than b by more than the margin, or b is shown better."""
        bound = self.at_most(a, b)
        return (bound is not None and bound <= self.margin) or self.shown_better(b, a)


def gather(choice: Choice, test: Mapping[str, Evaluation], *, metric: Metric, config: DecisionConfig) -> Evidence:
    """Return the evidence of the planned comparisons; raises `RunError` when a test result they need is missing."""
    planned = choice.comparisons
    for name in (name for item in planned for name in (item.a, item.b)):
        if name not in test:
            raise RunError(f"'{name}' has no evaluation on test, which its comparison needs; evaluate it.")
    measured = [compare_evaluations(test[item.a], test[item.b], metric, config) for item in planned]
    corrected = holm([item.p for item in measured])
    findings = tuple(Finding(*parts) for parts in zip(planned, measured, corrected, strict=True))
    n = next(iter(test.values())).n if test else 0
    return Evidence(findings, choice.margin, config.alpha, n)
