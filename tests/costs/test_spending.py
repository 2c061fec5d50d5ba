"""What is unknown of what a decision took stays unknown, and out of the sum of what is known."""

import pytest

from llmtl.costs import UNKNOWN, Spending, Spent


def test_sums_are_unknown_where_a_part_is():
    assert Spent(1.0, 2.0) + Spent(3.0, 4.0) == Spent(4.0, 6.0)
    assert Spent(1.0, 2.0) + Spent(3.0, None) == Spent(4.0, None)
    assert sum([Spent(1.0, 2.0), UNKNOWN], start=Spent()) == UNKNOWN


def test_the_total_is_of_what_is_known():
    spending = Spending(fitting=Spent(10.0, 0.1), dev=Spent(2.0, None), refits=Spent(5.0, 0.2), judge=Spent(4.0, 3.5))
    assert spending.total == Spent(21.0, pytest.approx(3.8))
    assert spending.overhead == UNKNOWN
