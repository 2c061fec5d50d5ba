"""What the test could find, how many more examples would settle it, and at what volume costs cross.

Not covered: the race on dev (`racing`), learning curves.
"""

from collections.abc import Sequence

from llmtl.costs import break_even
from llmtl.decision.evidence import Evidence
from llmtl.decision.outcome import BreakEven, Rule
from llmtl.decision.ranking import Ranking
from llmtl.decision.verdict import Ruling
from llmtl.metrics.paired import PairedDifference
from llmtl.metrics.power import (
    detectable_with_error,
    minimum_detectable_difference,
    required_examples,
    required_to_rule_out,
    scaled_examples,
)

ASSUMED_DISCORDANCE = 0.2
"""What is assumed before a run of how often exactly one of two strategies is right: 2 p (1 - p) (1 - r), for p = 0.85
right answers and correlation r = 0.2. The more alike two strategies are, the sharper the test."""


def detectable_before(n: int, *, alpha: float, discordance: float = ASSUMED_DISCORDANCE) -> float:
    """Return the smallest true difference that n test examples find with 80% power, before anything is measured.

    `discordance` is the share of examples that only one of the two strategies gets right. For metrics other than
    accuracy it is a rough guide: the power of a test of whether the answers are right.
    """
    return minimum_detectable_difference(n, discordance=discordance, alpha=alpha)


def detectable_difference(evidence: Evidence) -> float:
    """Return the smallest true difference that test finds with 80% power in its first, most important comparison.

    It uses that comparison's share of examples only one of the two gets right where the exact McNemar test was made, or
    else its standard error (normal approximation). Without a comparison it is the value for strategies that rarely
    differ.
    """
    if not evidence.measured:
        return minimum_detectable_difference(evidence.n, discordance=0.0, alpha=evidence.alpha)
    measured = evidence.measured[0]
    exact = minimum_detectable_difference(evidence.n, discordance=measured.discordance, alpha=evidence.alpha)
    if measured.exact or exact == 1.0:
        return exact
    return detectable_with_error(measured.standard_error, alpha=evidence.alpha)


def more_test_examples(ruling: Ruling, evidence: Evidence) -> int | None:
    """Return how many further test examples would settle every open pair at 80% power if observed differences are true.

    A pair is settled when a is shown better than b, at alpha divided by the number of comparisons, or shown not better
    by more than the margin: whichever takes fewer. Exact where the McNemar test was made, else a normal approximation
    from the standard error; more examples do not shrink the part of that which comes from training seeds, so with
    several seeds it is the least number. None when nothing is open or it takes more than 100,000.
    """
    if ruling.rule not in (Rule.OPEN, Rule.TIED):
        return None
    further = []
    for a, b in ruling.pairs:
        if evidence.not_worth_more(a, b):
            continue  # a tie: no better by more than the margin, which more examples would only repeat
        found = evidence.about(a, b)
        measured = None if found is None else evidence.measured[evidence.comparisons.index(found)]
        needed = None if found is None or measured is None else _needed(measured, evidence, reverse=found.a != a)
        if needed is None:
            return None
        further.append(max(1, needed - evidence.n))
    return max(further, default=None)


def _needed(measured: PairedDifference, evidence: Evidence, *, reverse: bool) -> int | None:
    """Return the total number of examples that settle one comparison, or None."""
    difference = -measured.difference if reverse else measured.difference
    alpha = evidence.alpha / len(evidence.measured)
    if measured.exact:
        shown = required_examples(difference=difference, discordance=measured.discordance, alpha=alpha)
        ruled_out = required_to_rule_out(
            difference=difference, discordance=measured.discordance, margin=evidence.margin
        )
    else:
        error = measured.standard_error
        shown = scaled_examples(evidence.n, standard_error=error, distance=difference, alpha=alpha)
        ruled_out = scaled_examples(
            evidence.n, standard_error=error, distance=evidence.margin - difference, one_sided=True
        )
    return min((needed for needed in (shown, ruled_out) if needed is not None), default=None)


def break_evens(ranking: Ranking, names: Sequence[str], winner: str) -> tuple[BreakEven, ...]:
    """Return, for each other strategy whose total cost crosses the winner's, the request volume where it does."""
    found = []
    for name in names:
        requests = _crossing(ranking, winner, name)
        if name != winner and requests is not None:
            below, above = sorted((winner, name), key=lambda item: ranking.usd_fitting(item) or 0.0)
            found.append(BreakEven(cheaper_below=below, cheaper_above=above, requests=requests))
    return tuple(found)


def _crossing(ranking: Ranking, a: str, b: str) -> float | None:
    """Return the number of requests at which both cost the same in all, or None, also where a cost is not known."""
    (fixed_a, per_1k_a), (fixed_b, per_1k_b) = (
        (ranking.usd_fitting(name), ranking.usd_per_1k(name)) for name in (a, b)
    )
    if fixed_a is None or fixed_b is None or per_1k_a is None or per_1k_b is None:
        return None
    return break_even(fixed_a, per_1k_a / 1000, fixed_b=fixed_b, per_request_b=per_1k_b / 1000)
