"""The figures of the label-order measurement, against counts by hand."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EVALS = Path(__file__).parents[2] / "evals"
pytestmark = pytest.mark.skipif(not EVALS.is_dir(), reason="the evals folder is not there")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(EVALS)
    import label_order

    yield label_order
    for name in ("label_order", "written_results"):
        sys.modules.pop(name, None)


def test_flips_are_the_differing_answers_of_all_pairs_of_orders(bench):
    rows = [bench.Rows(tuple(answers), ()) for answers in ("aabb", "aabc", "babb")]
    assert bench.flips(rows) == pytest.approx((1 / 4 + 1 / 4 + 2 / 4) / 3)


def test_what_can_be_left_to_it_ends_at_a_threshold_with_at_most_five_percent_errors(bench):
    confidence = [1 - place / 100 for place in range(40)]
    assert bench.automatable(confidence, [True] * 20 + [False] * 20) == 21 / 40  # one error in 21 is 4.8%
    assert bench.automatable(confidence, [False] * 40) == 0.0
    assert bench.automatable([0.5] * 40, [True] * 20 + [False] * 20) == 0.0  # no threshold parts equals


def test_the_gain_is_the_paired_difference_in_accuracy(bench):
    plain, ours = np.zeros((4, 50)), np.zeros((4, 50))
    ours[:, :10] = 1
    change, low, high = bench.gain(ours, plain)
    assert (change, low < 0.2 < high) == (pytest.approx(0.2), True)
    assert bench.gain(plain, plain) == (0.0, 0.0, 0.0)


def test_the_orders_are_the_given_one_its_reverse_and_two_draws(bench):
    given = tuple("abcdefgh")
    first, second, *others = bench.base_orders(given)
    assert (first, second) == (given, given[::-1])
    assert len({first, second, *others}) == 4
    assert all(sorted(order) == list(given) for order in others)
