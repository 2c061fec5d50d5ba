"""Costs over the volume: lines and steps against closed forms, and crossings against a search by brute force."""

import numpy as np
import pytest
from scipy.optimize import brentq

from llmtl.costs import CostLine, Running, cheapest_by_volume, crossing, crossings

TUNED = CostLine("qlora", 120.0, Running(0.00001))
PROMPTED = CostLine("few-shot", 0.0, Running(0.00005))
CHEAP = CostLine("tfidf", 0.0, Running(0.0000001))
CPU = CostLine("tfidf-on-cpu", 0.0, Running(0.0, 60.0, 1_000_000))
GPU = CostLine("qlora-on-gpu", 24.0, Running(0.0, 730.0, 40_000_000))
TOKENS = CostLine("hosted", 0.0, Running(0.0002))


def test_the_fixed_sum_is_spread_over_the_months() -> None:
    assert TUNED.usd_per_month(100_000, months=12) == pytest.approx(10 + 1)
    assert GPU.usd_per_month(1, months=12) == 730 + 2


@pytest.mark.parametrize(("requests", "machines"), [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2), (2_500_000, 3)])
def test_a_machine_is_added_when_the_others_are_full(requests: float, machines: int) -> None:
    assert CPU.running.machines(requests) == machines
    assert CPU.running.usd_per_month(requests) == 60 * machines


def test_a_thousand_requests_bear_the_idle_time_of_their_machine() -> None:
    assert CPU.running.usd_per_1k(100_000) == pytest.approx(0.60)
    assert CPU.running.usd_per_1k(1_000_000) == pytest.approx(0.06)
    assert CPU.running.usd_per_1k(0) == pytest.approx(0.06)  # without requests, those of a full machine
    assert TOKENS.running.machines(10**9) == 0


def test_a_crossing_is_where_both_cost_the_same_per_month() -> None:
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


@pytest.mark.parametrize(("a", "b"), [((1, 1), (2, 2)), ((1, 1), (1, 2)), ((1, 1), (2, 1)), ((1, 1), (1, 1))])
def test_there_is_no_crossing_where_one_is_never_dearer(a: tuple[float, float], b: tuple[float, float]) -> None:
    assert crossing(CostLine("a", a[0], Running(a[1])), CostLine("b", b[0], Running(b[1])), months=1) is None


def test_a_whole_machine_pays_from_where_tokens_cost_as_much() -> None:
    found = crossing(GPU, TOKENS, months=12)
    # 732 USD per month against 0.0002 USD per request, and one machine carries 40 million of them
    assert (found.cheaper_below, found.cheaper_above) == ("hosted", "qlora-on-gpu")
    assert found.requests_per_month == pytest.approx(732 / 0.0002)
    assert found.usd_per_month == pytest.approx(732)


def test_one_gpu_replaces_the_thirteenth_cpu_machine() -> None:
    found = crossing(CPU, GPU, months=12)
    # 12 x 60 < 732 <= 13 x 60
    assert (found.cheaper_above, found.requests_per_month) == ("qlora-on-gpu", pytest.approx(12_000_000))


@pytest.mark.parametrize("seed", range(20))
def test_above_a_crossing_one_never_costs_more_and_just_below_it_does(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def drawn(name: str) -> CostLine:
        each = Running(
            float(rng.choice([0.0, rng.uniform(0, 1e-4)])),
            float(rng.choice([0.0, rng.uniform(50, 800)])),
            float(rng.uniform(1e5, 3e6)),
        )
        return CostLine(name, float(rng.uniform(0, 500)), each)

    a, b = drawn("a"), drawn("b")
    volumes = np.geomspace(1, 3e7, 40_000)
    gap = np.array([a.usd_per_month(v, months=12) - b.usd_per_month(v, months=12) for v in volumes])
    found = crossing(a, b, months=12)
    if found is None:
        assert (gap >= -1e-6).all() or (gap <= 1e-6).all()
        return
    sign = 1 if found.cheaper_above == "b" else -1
    assert (sign * gap[volumes > 1.001 * found.requests_per_month] >= -1e-6).all()
    just_below = (volumes < found.requests_per_month) & (volumes > 0.99 * found.requests_per_month)
    assert not just_below.any() or (sign * gap[just_below] < 0).any()
