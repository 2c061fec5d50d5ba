"""Forgetting in a run: measured once per model, kept with the decision, and another limit measures nothing again."""

import shutil

import pytest

import llmtl
from llmtl.general.samples import measured_hash
from llmtl.pipeline.forgetting_steps import LEVELS, level, seconds_allowed
from llmtl.strategies.table import facts_of
from tests.support.finished_runs import unsealed


def steps(run):
    return {path.name for path in (run.folder / "steps").iterdir()}


def test_a_run_says_what_tuning_made_the_model_forget(llama_run):
    found = {item.name: item.forgetting for item in llama_run.decision.strategies}
    assert [name for name, each in found.items() if each] == ["qlora"]
    text = found["qlora"].text
    assert text.passages in {each.passages for each in LEVELS}
    assert text.rise.low <= text.after / text.before - 1 <= text.rise.high
    assert found["qlora"].sample == measured_hash()
    assert sum(name.startswith("general-base-") for name in steps(llama_run)) == 1
    assert sum(name.startswith("general-qlora-") for name in steps(llama_run)) == 1


def test_another_limit_keeps_out_and_measures_nothing_again(llama_run, tmp_path):
    folder = shutil.copytree(llama_run.folder.parent, tmp_path / "copy")
    unsealed(folder / "run")
    rise = llama_run.decision.result("qlora").forgetting.text.rise.value
    again = llmtl.run(
        folder / "recipe.yaml",
        out=folder / "run",
        overrides=[f"decision.max_forgetting={max(0.0, rise - 0.001)}", "decision.racing=false"],
    )
    fresh = steps(again) - steps(llama_run)
    assert not [name for name in fresh if not name.startswith(("choice-", "test-", "seconds-for-"))]
    assert again.decision.result("qlora").eligible is (rise <= 0)


def test_less_is_measured_where_a_model_is_slow():
    assert level(0.01, 60.0, models=2) == LEVELS[0]
    assert level(0.2, 60.0, models=2) == LEVELS[1]
    assert level(0.5, 60.0, models=2) == LEVELS[2]
    assert level(30.0, 60.0, models=2) == LEVELS[-1]


@pytest.mark.parametrize(("budget", "expected"), [(None, 60), (600.0, 18), (1e5, 60)])
def test_it_takes_a_minute_at_most_and_little_of_a_small_budget(budget, expected):
    tuned = [facts for name in ("tfidf", "qlora") if (facts := facts_of(name))]
    assert seconds_allowed(budget, tuned) == expected
    assert seconds_allowed(budget, tuned[:1]) == 0
