"""What answering costs, as tables, charts and notes say it: a month at the expected volume, as on the verdict card.

Runs of earlier versions kept the cost of 1,000 requests alone, and are shown with that. Not covered: whole bills
(`money`), limits, which a recipe states per 1,000 requests (`sentences`).
"""

from collections.abc import Iterable

from llmtl.costs import PriceConfig
from llmtl.decision.outcome import StrategyResult
from llmtl.measured.endpoint import Served
from llmtl.report import serving, wording


def by_month(results: Iterable[StrategyResult]) -> bool:
    """Say whether the cost of a month is known wherever a cost is."""
    return all(item.usd_per_month is not None for item in results if item.usd_per_1k_requests is not None)


def unit(month: bool) -> str:
    """Name what a cost is for: `per month` or `per 1,000 requests`."""
    return "per month" if month else "per 1,000 requests"


def cost(result: StrategyResult, *, month: bool) -> float | None:
    """Give the cost in USD that is compared; None where it is not known."""
    return result.usd_per_month if month else result.usd_per_1k_requests


def said(result: StrategyResult, *, month: bool) -> str:
    """Write that cost."""
    value = cost(result, month=month)
    return wording.readable_usd(value) if month else wording.usd(value)


def as_served(served: Served, prices: PriceConfig | None, *, month: bool) -> str:
    """Write what the live endpoint costs, in the same unit."""
    if month and prices is not None:
        return wording.readable_usd(serving.usd_per_month(served, prices))
    return wording.usd(served.usd_per_1k_requests)
