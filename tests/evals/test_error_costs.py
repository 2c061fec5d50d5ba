"""The worlds in which the choice by expected total cost is judged, and the figures that their README tells."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "evals" / "verdicts"
RESULT = FOLDER.parent / "results" / "error_costs.json"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the evals folder is not there")


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(FOLDER)
    import error_costs

    yield error_costs
    for name in ("error_costs", "summary", "rules", "truth", "worlds", "written_results"):
        sys.modules.pop(name, None)


def test_a_world_is_the_same_whenever_it_is_made_and_nobody_beats_the_best(judged: ModuleType) -> None:
    first, again = (judged.outcome((5, 1)) for _ in range(2))
    assert first == again
    assert all(usd >= 0 for usd in first.regret_usd.values())
    assert set(first.regret_usd) == set(judged.RULES)
    summed = judged.summarised([first])
    assert judged.text(summed).startswith("rule")


def test_the_readme_tells_what_was_measured() -> None:
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for row in result["rules"].values():
        figures = f"{row['mean_regret_usd']['mean']:.2f}", f"{100 * row['best_chosen']['rate']:.1f}%"
        assert all(figure in readme for figure in figures)
    assert f"{100 * result['band_of_total_holds']['rate']:.1f}%" in readme
    assert f"{100 * result['band_of_switching_point_holds']['rate']:.1f}%" in readme
    assert result["design"]["worlds"] >= 500
