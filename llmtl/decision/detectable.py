"""What the test could find, and at what volume costs cross.

Not covered: how many more examples would settle a result (`settling`), the race on dev (`racing`).
"""

from collections.abc import Sequence

from llmtl.costs import crossing
from llmtl.decision.evidence import Evidence
from llmtl.decision.outlook import BreakEven
from llmtl.decision.ranking import Ranking
from llmtl.metrics.power import detectable_with_error, minimum_detectable_difference

ASSUMED_DISCORDANCE = 0.2
"""What is assumed before a run of how often exactly one of two strategies is right: 2 p (1 - p) (1 - r), for p = 0.85
right answers and correlation r = 0.2. The more alike two strategies are, the sharper the test."""


def detectable_before(n: int, *, alpha: float) -> float:
    """Find the smallest true difference that n test examples find with 80% power, before anything is measured.

    One of the two strategies alone is assumed to be right in `ASSUMED_DISCORDANCE` of the examples. For metrics other
    than accuracy it is a rough guide: the power of a test of whether the answers are right.
    """
    return minimum_detectable_difference(n, discordance=ASSUMED_DISCORDANCE, alpha=alpha)


def detectable_difference(evidence: Evidence) -> float:
    """Find the smallest true difference that test finds with 80% power in its first, most important comparison.

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


def break_evens(ranking: Ranking, names: Sequence[str], winner: str) -> tuple[BreakEven, ...]:
    """Find, for each other strategy whose total cost crosses the winner's, the request volume where it does.

    Volumes are those of the whole horizon. A strategy of unknown cost has none.
    """
    mine, months = ranking.cost_line(winner), ranking.prices.months
    others = (ranking.cost_line(name) for name in names if name != winner)
    found = [crossing(mine, other, months=months) for other in others if mine and other]
    return tuple(
        BreakEven(item.cheaper_below, item.cheaper_above, months * item.requests_per_month) for item in found if item
    )
