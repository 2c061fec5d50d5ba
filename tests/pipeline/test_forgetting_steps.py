"""Forgetting in a run: measured once per model, kept with the decision, and another limit measures nothing again."""

import shutil

import pytest

import llmtl
from llmtl.general.samples import measured_hash
from llmtl.pipeline import forgetting_steps
from llmtl.pipeline.forgetting_steps import LEVELS, level, models_measured, seconds_allowed, seconds_per_passage
from llmtl.pipeline.general_scores import Sampled
from llmtl.strategies.table import facts_of


def steps(run):
    return {path.name for path in (run.folder / "steps").iterdir()}


def test_a_run_says_what_tuning_made_the_model_forget(llama_run):
    found = {item.name: item.forgetting for item in llama_run.decision.strategies}
    assert {name for name, each in found.items() if each and "-else-" not in name} == {"qlora"}
    text = found["qlora"].text
    assert text.passages == LEVELS[-1].passages
    assert text.rise.low <= text.after / text.before - 1 <= text.rise.high
    assert found["qlora"].sample == measured_hash()
    assert sum(name.startswith("general-base-") for name in steps(llama_run)) == 1
    assert sum(name.startswith("general-qlora-") for name in steps(llama_run)) == 1


def test_another_limit_keeps_out_and_measures_nothing_again(llama_run, tmp_path):
    folder = shutil.copytree(llama_run.folder, tmp_path / "run")
    rise = llama_run.decision.result("qlora").forgetting.text.rise.value
    again = llmtl.run(
        folder / "recipe.yaml",
        out=folder,
        overrides=[f"decision.max_forgetting={max(0.0, rise - 0.001)}"],
    )
    fresh = steps(again) - steps(llama_run)
    assert not [name for name in fresh if name.startswith(("general-", "fit-qlora", "dev-qlora"))]
    assert again.decision.result("qlora").eligible is (rise <= 0)


def test_less_is_measured_of_a_large_model_and_in_a_small_budget_whatever_the_clock_says(monkeypatch):
    monkeypatch.setattr(forgetting_steps, "MOST_SECONDS", 30.0)  # less in other tests

    def measured(parameters, device, budget):
        return level(seconds_per_passage(parameters, device), seconds_allowed(budget))

    assert measured(2_000_000, "cpu", 1500.0) == LEVELS[0]
    assert measured(135_000_000, "cpu", None) == Sampled(100, 60)
    assert measured(135_000_000, "cpu", 1500.0) == Sampled(75, 30)
    assert measured(135_000_000, "cpu", 600.0) == Sampled(50, 0)
    assert measured(8_000_000_000, "cpu", None) == LEVELS[-1]
    assert measured(8_000_000_000, "cuda", None) == LEVELS[0]


@pytest.mark.parametrize(("budget", "expected"), [(None, 30), (600.0, 9), (1e5, 30)])
def test_a_model_takes_half_a_minute_at_most_and_little_of_a_small_budget(budget, expected, monkeypatch):
    monkeypatch.setattr(forgetting_steps, "MOST_SECONDS", 30.0)
    assert seconds_allowed(budget) == expected


def test_the_base_model_and_those_that_are_tuned_are_measured():
    tuned = [facts for name in ("tfidf", "qlora", "lora") if (facts := facts_of(name))]
    assert models_measured(tuned) == 3
    assert models_measured(tuned[:1]) == 0
