"""What the serving benchmark makes of its measurements; the measuring itself needs two servers and a quiet machine."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from llmtl.serving.server.server_command import MIDDLEWARE, ServerCommand

EVALS = Path(__file__).parents[2] / "evals"
pytestmark = pytest.mark.skipif(not EVALS.is_dir(), reason="the evals folder is not there")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(EVALS)
    import bench_serving

    yield bench_serving
    for name in ("bench_serving", "live_server"):
        sys.modules.pop(name, None)


def starts(bench: ModuleType, *, ratio: float, added: float, n: int = 10) -> list[list[dict[str, object]]]:
    noise = np.random.default_rng(3).normal(0, 0.01, (n, 3))
    return [
        [
            {
                "llmtl": bench.Round(p50_ms=20 + added + each, requests_per_second=100 * ratio * (1 + each)),
                "stock": bench.Round(p50_ms=20, requests_per_second=100),
            }
            for each in rounds
        ]
        for rounds in noise
    ]


def test_stock_vllm_is_started_as_llmtl_starts_it_without_the_middleware(bench: ModuleType):
    """Whatever else the command line of `llmtl serve` has."""
    argv = (
        "python",
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model=it",
        f"--middleware={MIDDLEWARE}",
        "--port=1",
    )
    command = ServerCommand(argv, {"LLMTL_BUNDLE": "a b"}, Path("a b"))
    stock, environment, folder = sys.modules["live_server"].stock_of(command.line())
    assert stock == [each for each in argv if "middleware" not in each]
    assert (environment, folder) == ({"LLMTL_BUNDLE": "a b"}, "a b")


@pytest.mark.parametrize(
    ("ratio", "added", "fast_enough", "quick_enough"),
    [(1.0, 1.0, True, True), (0.9, 1.0, False, True), (1.0, 4.0, True, False)],
)
def test_bars(bench: ModuleType, ratio: float, added: float, fast_enough: bool, quick_enough: bool):
    found = bench.summary(starts(bench, ratio=ratio, added=added))
    assert (found["throughput_met"], found["latency_met"]) == (fast_enough, quick_enough)
    assert found["throughput_ratio"]["mean"] == pytest.approx(ratio, abs=0.01)
    assert found["added_p50_ms"]["mean"] == pytest.approx(added, abs=0.01)


def test_a_start_is_one_observation_in_students_interval(bench: ModuleType):
    measured = starts(bench, ratio=0.98, added=1.0, n=8)
    medians = [np.median([each["llmtl"].p50_ms - 20 for each in rounds]) for rounds in measured]
    expected = ttest_1samp(medians, 0).confidence_interval(0.95)
    found = bench.summary(measured)["added_p50_ms"]
    assert found["ci95"] == pytest.approx([expected.low, expected.high], abs=1e-4)
    assert found["range"] == pytest.approx([min(medians), max(medians)], abs=1e-4)


def test_one_start_has_no_interval(bench: ModuleType):
    assert bench.summary(starts(bench, ratio=1, added=0, n=1))["throughput_ratio"]["ci95"] is None
