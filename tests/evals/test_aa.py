"""Strategies compared with themselves: the committed result keeps its bar, and what it is made of is right."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from llmtl.metrics.between_draws import STATED
from llmtl.task import Draw

FOLDER = Path(__file__).parents[2] / "evals"
RESULT = FOLDER / "results" / "aa.json"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the evals folder is not there")


@pytest.fixture
def aa(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(FOLDER)
    import aa

    yield aa
    for name in ("aa", "written_results"):
        sys.modules.pop(name, None)


def test_the_spread_that_was_put_in_is_found(aa):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        moved = 0.8 + 0.06 * rng.standard_normal((5, 1))
        hardness = rng.uniform(-0.15, 0.15, size=250)
        found.append(aa.between_draws(rng.random((5, 250)) < moved + hardness))
    assert np.mean(found) == pytest.approx(0.06**2 / (0.8 * 0.2), rel=0.15)


def test_simulated_draws_have_the_spread_and_the_score_that_they_should(aa):
    rng = np.random.default_rng(0)
    scores = []
    for _ in range(1500):
        scores.append(aa.draws(0.8, 0.10, 0.5, rng.standard_normal(400), rng).mean(axis=1))
    scores = np.array(scores)
    assert scores.mean() == pytest.approx(0.8, abs=0.005)
    noise = 0.8 * 0.2 / 400
    assert scores[:, 0].std() == pytest.approx(np.sqrt(0.10**2 * 0.8 * 0.2 + noise), rel=0.1)


def test_every_split_into_two_sides_is_taken_once(aa):
    assert len(aa._sides(5, 1, 1)) == 10
    assert len(aa._sides(5, 2, 2)) == 15
    assert len(aa._sides(5, 3, 2)) == 10


@pytest.mark.skipif(not RESULT.is_file(), reason="nothing was measured")
def test_the_committed_result_keeps_its_bar_and_is_where_the_stated_spread_comes_from(aa):
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    assert aa.holds(result)
    assert result["logs"]["share"]["root_mean_square"] == pytest.approx(STATED[Draw.DEMONSTRATIONS], abs=0.005)
    for row in (row for name, row in result["logs"]["called_different"].items() if name != aa.WAYS[0]):
        assert row["rate"] <= result["bar"]
    assert result["logs"]["called_different"][aa.WAYS[0]]["rate"] > 0.3
