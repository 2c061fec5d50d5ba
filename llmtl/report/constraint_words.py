"""Which limits of the recipe a strategy breaks, in words. Not covered: the table of all limits (`money`)."""

from collections.abc import Sequence

from llmtl.decision.broken_limits import Broken, Constraint
from llmtl.report.forgetting_words import percent

_TAKES = {
    Constraint.USD_PER_1K: ("cost", "USD per 1,000 requests"),
    Constraint.P95_MS: ("latency", "ms at the 95th percentile"),
    Constraint.MEMORY_GIB: ("memory", "GiB of memory"),
    Constraint.VRAM_GIB: ("GPU memory", "GiB of GPU memory"),
}
"""What each constraint limits, and in what unit."""


def constraints_broken(broken: Sequence[Broken]) -> str:
    """Say which constraints a strategy breaks, and by how much."""
    return "; ".join(map(_broken, broken))


def _broken(item: Broken) -> str:
    if item.constraint is Constraint.FORGETTING:
        return _forgot(item)
    name, unit = _TAKES[item.constraint]
    if item.value is None:
        return f"its {name} is not known, and decision.{item.constraint} is {item.limit:g}"
    return f"it takes {item.value:.3g} {unit}, and decision.{item.constraint} is {item.limit:g}"


def _forgot(item: Broken) -> str:
    limit = f"decision.{item.constraint} is {item.limit:g}"
    if item.value is None:
        return f"how much its model forgot is not known, and {limit}"
    return f"its model finds general English {percent(item.value)} harder to predict than before tuning, and {limit}"
