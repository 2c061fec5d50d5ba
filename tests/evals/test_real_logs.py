"""Problems made of logs: the truth is that of the logs, and the committed result is of this design."""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from llmtl.task import Draw

FOLDER = Path(__file__).parents[2] / "evals"
RESULT = FOLDER / "results" / "real_logs.json"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the evals folder is not there")


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(FOLDER)
    before = list(sys.path)
    import real_logs

    yield real_logs
    sys.path[:] = before
    for name in ("real_logs", "rules", "summary", "truth", "worlds", "written_results"):
        sys.modules.pop(name, None)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Write logs of two kinds of runs with three draws each, 40 questions."""
    rng = np.random.default_rng(2)
    path = tmp_path / "logs.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as out:
        for shots, share in ((1, 0.5), (10, 0.8)):
            for seed in range(3):
                right = rng.random(40) < share
                items = {str(at): ["answer", "label", int(ok)] for at, ok in enumerate(right)}
                run = {"dataset": "trec", "arm": "random", "shots": shots, "seed": seed, "items": items}
                out.write(json.dumps(run) + "\n")
    return path


def test_the_truth_of_a_problem_is_that_of_its_logs(real, logs):
    arms = real.read_arms(logs)
    assert [arm.right.shape for arm in arms["trec"]] == [(3, 40), (3, 40)]
    problem = real.make_problem("two-draws", arms, np.random.default_rng(1))
    assert problem.world.truth == pytest.approx([arm.right.mean() for arm in arms["trec"]])
    assert problem.test.shape[:2] == (2, 2)
    dev, test = real.evaluations(problem)
    assert {item.draw for item in test} == {Draw.DEMONSTRATIONS}
    assert [len(item.seed_predictions) for item in dev + test] == [0, 0, 1, 1]
    for at, item in enumerate(test):
        answers = [each.answer for each in item.seed_predictions[0]]
        assert np.mean([a == b for a, b in zip(answers, item.references, strict=True)]) == problem.test[1, at].mean()


def test_runs_with_shuffled_answers_are_exactly_as_good(real, logs):
    problem = real.make_problem("null", real.read_arms(logs), np.random.default_rng(1))
    assert np.ptp(problem.world.truth) == 0
    assert problem.world.usd_total[0] < problem.world.usd_total[1]


def test_a_problem_is_judged_by_every_rule(real, logs):
    order = real.Order(logs, "natural", 5, 0)
    found = real.outcome(order)
    assert {"llmtl", "highest dev mean", "plain McNemar test"} <= set(found.judged)
    assert real.outcome(order) == found


def test_the_committed_result_keeps_its_bars(real):
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    assert result["seed"] == real.SEED
    assert set(result["by_kind"]) == set(real.KINDS)
    assert result["problems"] >= 2000
    assert all(result["bars"].values())
