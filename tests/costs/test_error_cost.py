"""Who costs least in all over the cost of one error."""

import numpy as np
import pytest

from llmtl.costs import ErrorLine, cheapest_by_error_cost, error_crossings

WORDS = ErrorLine("tfidf", usd=1.0, errors=300.0)
PROMPT = ErrorLine("zero-shot", usd=51.0, errors=200.0)
TUNED = ErrorLine("qlora", usd=201.0, errors=100.0)


def test_two_strategies_cross_at_the_difference_of_cost_over_the_difference_of_errors() -> None:
    [found] = error_crossings([PROMPT, TUNED])
    assert (found.below, found.above) == ("zero-shot", "qlora")
    assert found.usd_per_error == pytest.approx(150 / 100)


def test_three_strategies_switch_twice() -> None:
    found = error_crossings([TUNED, PROMPT, WORDS])
    assert [(item.below, item.above) for item in found] == [("tfidf", "zero-shot"), ("zero-shot", "qlora")]
    assert [item.usd_per_error for item in found] == pytest.approx([0.5, 1.5])


def test_one_that_is_dearer_and_worse_is_never_the_cheapest() -> None:
    found = error_crossings([WORDS, ErrorLine("few-shot", usd=60.0, errors=250.0), TUNED])
    assert [item.above for item in found] == ["qlora"]


def test_nobody_is_worth_more_where_the_cheapest_errs_least() -> None:
    assert error_crossings([WORDS, ErrorLine("majority", usd=2.0, errors=400.0)]) == ()
    assert error_crossings([WORDS]) == ()


def test_the_crossings_are_where_the_lowest_of_all_lines_changes() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        lines = [ErrorLine(str(i), *rng.uniform((0, 0), (100, 1000)).tolist()) for i in range(6)]
        found = error_crossings(lines)
        ends = [0.0, *(item.usd_per_error for item in found), 1e6]
        names = [found[0].below, *(item.above for item in found)] if found else [cheapest_by_error_cost(lines, 0.0)]
        assert ends == sorted(ends)
        for low, high, name in zip(ends, ends[1:], names, strict=False):
            assert cheapest_by_error_cost(lines, (low + high) / 2) == name
