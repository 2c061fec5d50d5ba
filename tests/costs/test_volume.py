import pytest
from scipy.optimize import brentq

from llmtl.costs import CostLine, cheapest_by_volume, crossings

TUNED = CostLine("qlora", fixed_usd=120.0, usd_per_1k_requests=0.01)
PROMPTED = CostLine("few-shot", fixed_usd=0.0, usd_per_1k_requests=0.05)
CHEAP = CostLine("tfidf", fixed_usd=0.0, usd_per_1k_requests=0.0001)


def test_the_fixed_sum_is_spread_over_the_months() -> None:
    assert TUNED.usd_per_month(100_000, months=12) == pytest.approx(10 + 1)


def test_a_crossing_is_where_both_cost_the_same_a_month() -> None:
    [found] = crossings([CHEAP, TUNED, PROMPTED], "qlora", months=12)
    expected = brentq(lambda v: TUNED.usd_per_month(v, months=12) - PROMPTED.usd_per_month(v, months=12), 1, 1e9)
    assert found.requests_per_month == pytest.approx(expected)
    assert (found.cheaper_below, found.cheaper_above) == ("few-shot", "qlora")
    assert found.usd_per_month == pytest.approx(PROMPTED.usd_per_month(expected, months=12))


def test_the_cheapest_changes_at_the_crossing() -> None:
    [found] = crossings([TUNED, PROMPTED], "few-shot", months=12)
    lines = [TUNED, PROMPTED]
    assert cheapest_by_volume(lines, 0.9 * found.requests_per_month, months=12) == "few-shot"
    assert cheapest_by_volume(lines, 1.1 * found.requests_per_month, months=12) == "qlora"
    assert crossings([CHEAP, PROMPTED], "tfidf", months=12) == ()
