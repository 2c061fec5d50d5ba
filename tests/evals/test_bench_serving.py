"""What the serving benchmark makes of its measurements; the measuring itself needs two servers and a quiet machine."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import bootstrap

EVALS = Path(__file__).parents[2] / "evals"
pytestmark = pytest.mark.skipif(not EVALS.is_dir(), reason="the evals folder is not there")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(EVALS)
    import bench_serving

    yield bench_serving
    for name in ("bench_serving", "live_server"):
        sys.modules.pop(name, None)


def rounds(bench: ModuleType, *, ratio: float, added: float, n: int = 10) -> list[dict[str, object]]:
    noise = np.random.default_rng(3).normal(0, 0.01, n)
    return [
        {
            "llmtl": bench.Round(p50_ms=20 + added + each, requests_per_second=100 * ratio * (1 + each)),
            "stock": bench.Round(p50_ms=20, requests_per_second=100),
        }
        for each in noise
    ]


@pytest.mark.parametrize(
    ("ratio", "added", "fast_enough", "quick_enough"),
    [(1.0, 1.0, True, True), (0.9, 1.0, False, True), (1.0, 4.0, True, False)],
)
def test_bars(bench: ModuleType, ratio: float, added: float, fast_enough: bool, quick_enough: bool):
    found = bench.summary(rounds(bench, ratio=ratio, added=added))
    assert (found["throughput_met"], found["latency_met"]) == (fast_enough, quick_enough)
    assert found["throughput_ratio"]["median"] == pytest.approx(ratio, abs=0.01)
    assert found["added_p50_ms"]["median"] == pytest.approx(added, abs=0.01)


def test_the_interval_is_scipys_percentile_bootstrap_of_the_median(bench: ModuleType):
    measured = rounds(bench, ratio=0.98, added=1.0, n=15)
    ratios = [each["llmtl"].requests_per_second / each["stock"].requests_per_second for each in measured]
    expected = bootstrap((ratios,), np.median, method="percentile", n_resamples=10_000, rng=1).confidence_interval
    found = bench.summary(measured)["throughput_ratio"]
    assert found["ci95"] == pytest.approx([expected.low, expected.high], abs=0.002)
    assert found["range"] == [round(min(ratios), 4), round(max(ratios), 4)]
