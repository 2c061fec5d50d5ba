"""Anytime validity by simulation, and what is known for certain."""

import numpy as np
import pytest

from llmtl.errors import DataError
from llmtl.metrics.confidence_sequence import SHARES, Wealth


def test_the_level_holds_however_often_one_looks():
    rng = np.random.default_rng(0)
    differences = np.zeros(400)
    differences[:60], differences[60:112] = 1, -1  # the mean is exactly the bound of 0.02
    refuted = [Wealth(0.02, 400).add(rng.permutation(differences)).max() >= np.log(20) for _ in range(400)]
    assert np.mean(refuted) <= 0.05


def test_blocks_add_up_to_the_whole():
    differences = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], 90)
    blocks = Wealth(0.0, 100)
    parts = np.concatenate([blocks.add(part) for part in np.split(differences, [7, 40])])
    assert parts == pytest.approx(Wealth(0.0, 100).add(differences))


def test_a_small_case_by_hand():
    """With a third of ten seen and m the mean left to the rest, the wealth is the mean over shares of the products."""
    differences = np.array([1.0, 0.0, 1.0])
    products, seen = np.ones(SHARES.size), 0.0
    for step, x in enumerate((differences + 1) / 2):
        left = (10 * 0.5 - seen) / (10 - step)
        products *= 1 + SHARES * (x / left - 1)
        seen += x
    assert Wealth(0.0, 10).add(differences)[-1] == pytest.approx(np.log(products.mean()))


def test_what_the_rest_cannot_make_good_is_certain():
    assert Wealth(0.0, 10).add(np.ones(9))[-1] > 0
    assert Wealth(0.5, 8).add(np.ones(8))[-1] == np.inf


def test_impossible_differences_are_refused():
    with pytest.raises(DataError):
        Wealth(0.0, 10).add(np.array([1.5]))
