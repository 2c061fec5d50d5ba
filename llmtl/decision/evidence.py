"""What test shows about the planned comparisons, Holm-corrected over all of them.

Not covered: what follows from it (`verdict`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmtl.decision.comparing import compare_evaluations
from llmtl.decision.config import DecisionConfig
from llmtl.decision.outcome import Choice, Comparison, Decision, Planned
from llmtl.decision.simultaneous import SimultaneousInterval, simultaneous
from llmtl.errors import RunError
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.paired import PairedDifference, holm
from llmtl.task import Metric


@dataclass(frozen=True)
class Evidence:
    """All comparisons on test and the questions that a verdict asks of them.

    `measured` has what each comparison was made from, in the same order; empty for what was read from a file.
    """

    comparisons: tuple[Comparison, ...]
    margin: float
    alpha: float
    n: int
    measured: tuple[PairedDifference, ...] = ()

    def about(self, a: str, b: str) -> Comparison | None:
        """Return the comparison of two strategies in either order, or None where none was planned."""
        pair = {a, b}
        return next((item for item in self.comparisons if {item.a, item.b} == pair), None)

    def difference(self, a: str, b: str) -> float | None:
        """Return the observed score(a) - score(b), or None where they were not compared."""
        found = self.about(a, b)
        if found is None:
            return None
        return found.difference if found.a == a else -found.difference

    def shown_better(self, a: str, b: str) -> bool:
        """Return whether a is shown better than b: a positive difference and a corrected p-value of at most alpha."""
        found, difference = self.about(a, b), self.difference(a, b)
        return found is not None and difference is not None and difference > 0 and found.p_holm <= self.alpha

    def at_most(self, a: str, b: str) -> float | None:
        """Return the one-sided 95% upper bound of score(a) - score(b), or None where they were not compared."""
        found = self.about(a, b)
        if found is None:
            return None
        if found.a == a:
            return found.at_most
        return None if found.at_least is None else -found.at_least

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
    measured = tuple(
        compare_evaluations(test[item.a], test[item.b], metric, config, comparisons=len(planned)) for item in planned
    )
    n = next(iter(test.values())).n if test else 0
    return corrected(choice, measured, n=n, alpha=config.alpha)


def corrected(choice: Choice, measured: Sequence[PairedDifference], *, n: int, alpha: float) -> Evidence:
    """Return the evidence of the planned comparisons as they were measured, each at alpha / m, corrected by Holm."""
    p_holm = holm([item.p for item in measured])
    together = simultaneous(measured, p_holm, alpha=alpha)
    made = tuple(_comparison(*parts) for parts in zip(choice.comparisons, measured, p_holm, together, strict=True))
    return Evidence(made, choice.margin, alpha, n, tuple(measured))


def evidence_of(decision: Decision) -> Evidence:
    """Return the evidence that a decision rests on."""
    return Evidence(decision.comparisons, decision.choice.margin, decision.alpha, decision.n_test)


def share_evidence_of(decision: Decision) -> Evidence:
    """Return the evidence on shares that a decision rests on where the goal is to automate."""
    return Evidence(decision.share_comparisons, decision.choice.margin, decision.alpha, decision.n_test)


def _comparison(
    planned: Planned, measured: PairedDifference, p_holm: float, together: SimultaneousInterval
) -> Comparison:
    return Comparison(
        a=planned.a,
        b=planned.b,
        purpose=planned.purpose,
        difference=measured.difference,
        ci95=(measured.low, measured.high),
        at_most=measured.at_most,
        p=measured.p,
        p_holm=p_holm,
        method=measured.method,
        at_least=measured.at_least,
        ci_simultaneous=together,
        draw_sd=measured.draw_error,
    )
