"""The tasks in which promises about automated answers are judged have the truth that they claim."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "evals" / "verdicts"
RESULT = FOLDER.parent / "results" / "selective.json"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the evals folder is not there")


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(FOLDER)
    import selective

    monkeypatch.setattr(selective, "POPULATION", 20_000)
    yield selective
    for name in ("selective", "goal", "summary", "rules", "truth", "worlds", "written_results"):
        sys.modules.pop(name, None)


def test_the_oracle_is_the_largest_share_that_holds_the_limit(sim):
    confidence = np.array([0.9] * 50 + [0.8] * 50 + [0.1] * 100)
    right = np.array([True] * 98 + [False] * 2 + [True] * 50 + [False] * 50)
    assert sim.oracle_share(sim.Drawn(confidence, right)) == 0.5
    assert sim.oracle_share(sim.Drawn(confidence, ~right)) == 0
    assert sim._truth(sim.Drawn(confidence, right), 0.8) == sim.Said(0.5, pytest.approx(0.02))


def test_at_the_border_every_promise_is_false(sim):
    order = sim.Order("border", 100, 100, (1, 2))
    rng = np.random.default_rng(0)
    drawn = sim._strategy(order, rng.normal(size=200_000), np.arange(200_000), rng)
    surest = drawn.confidence >= np.median(drawn.confidence)
    assert (~drawn.right[surest]).mean() == pytest.approx(0.0505, abs=0.004)


def test_a_task_is_the_same_again_and_groups_keep_to_one_side(sim):
    order = sim.Order("grouped", 100, 300, (5, 6))
    assert sim.judged(order) == sim.judged(order)
    codes = sim._groups(order, np.random.default_rng(1))
    assert not set(codes[:100]) & set(codes[100:400])
    assert not set(codes[100:400]) & set(codes[400:])


def test_a_twin_is_left_exactly_as_much(sim):
    import goal

    rng = np.random.default_rng(3)
    confidence = rng.random(20_400)
    first = sim.Drawn(confidence, rng.random(20_400) < 0.5 + confidence / 2)
    twin = goal._twin(first, 400, rng)
    assert sim.oracle_share(sim.Drawn(twin.confidence[400:], twin.right[400:])) == sim.oracle_share(
        sim.Drawn(first.confidence[400:], first.right[400:])
    )
    same = twin.confidence[:400] == first.confidence[:400]
    assert 0.4 < same.mean() < 0.6


def test_a_task_decided_by_shares_is_the_same_again(sim):
    order = next(item for item in sim.orders(6, 3) if item.kind == "sharp" and item.n_test == 300)
    found = sim.judged(order).goal
    assert found is not None
    assert found == sim.judged(order).goal
    assert all(raw >= 0 and charged >= raw for raw, charged in found.could.values())


def test_the_committed_result_meets_its_bars():
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    assert result["tasks"] >= 2000
    assert all(result["bars"].values())
    assert result["all"]["false_chosen"]["rate"] <= 0.05
