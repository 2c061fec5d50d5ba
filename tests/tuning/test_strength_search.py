"""Choosing the strength of consolidation: the first that holds, no leak of passages, and going on after a kill."""

import itertools
import shutil
from dataclasses import replace
from time import monotonic

import pytest

from llmtl.engines.protocol import TextLoss
from llmtl.engines.tokens import encode_plain
from llmtl.errors import RecipeError
from llmtl.general.samples import HELD_BACK, held_back, passages, rehearsed
from llmtl.recipe import validate
from llmtl.strategies.full import Full, FullChoices
from llmtl.strategies.lora import LoraChoices
from llmtl.tuning import strength_search
from llmtl.tuning.config import STRENGTHS
from llmtl.tuning.consolidation import PASSAGES
from llmtl.tuning.rehearsal import rehearsal
from llmtl.tuning.strength_search import train_at_found_strength
from llmtl.tuning.training import TrainingOutcome


def losses(rise):
    return [TextLoss(10.0 * (1 + rise), 5), TextLoss(20.0 * (1 + rise), 9), TextLoss(15.0 * (1 + rise), 8)]


@pytest.fixture
def harder(monkeypatch):
    """Return a function that says by what general English becomes harder, training after training."""

    def say(*rises):
        measured = itertools.chain([0.0], rises)
        monkeypatch.setattr(strength_search, "_losses", lambda *_: losses(next(measured)))

    return say


@pytest.fixture
def auto_job(make_job):
    def make(name="tuned/adapter", **more):
        (job := make_job(name, ewc="auto", max_epochs=1, **more)).folder.mkdir(parents=True, exist_ok=True)
        return replace(job, most_forgetting=0.1)

    return make


def test_the_first_strength_that_holds_is_kept(auto_job, harder):
    harder(0.5, 0.2, 0.05)
    outcome = train_at_found_strength(job := auto_job())
    assert [each.strength for each in outcome.strengths] == [0.0, 0.1, 1.0]
    assert [each.rise for each in outcome.strengths] == pytest.approx([0.5, 0.2, 0.05])
    told = [line for line in job.progress.lines if line.startswith("Consolidation")]
    assert told[0].endswith("training starts again with 0.1.")
    assert told[2].endswith("it is kept.")


def test_the_strongest_is_kept_and_said_where_none_holds(auto_job, harder):
    harder(*[0.5] * len(STRENGTHS))
    outcome = train_at_found_strength(job := auto_job())
    assert [each.strength for each in outcome.strengths] == list(STRENGTHS)
    assert "it is kept, the strongest; lower 'learning_rate' or rehearse." in job.progress.lines[-1]


def test_losses_that_are_no_numbers_hold_nothing(auto_job, harder):
    harder(float("nan"), 0.0)
    assert [each.rise for each in train_at_found_strength(auto_job()).strengths] == [None, pytest.approx(0.0)]


def test_the_search_ends_with_the_time(auto_job, harder):
    harder(0.5)
    job = replace(auto_job(), deadline=monotonic() - 1)
    assert len(train_at_found_strength(job).strengths) == 1
    assert "no time for a stronger one" in job.progress.lines[-1]


def test_what_the_first_training_takes_says_once_how_many_there_will_be_and_each_may_take_as_long(
    auto_job, harder, monkeypatch
):
    clock, deadlines = [0.0], []

    def trained(job):
        deadlines.append(job.deadline)
        clock[0] += 30
        return TrainingOutcome((), None, "", 1, 1, 0.0, 0, 1e-3)

    monkeypatch.setattr(strength_search, "monotonic", lambda: clock[0])
    monkeypatch.setattr(strength_search, "train_at_found_rate", trained)
    harder(0.5, 0.5, 0.5)
    outcome = train_at_found_strength(job := replace(auto_job(), deadline=100.0))
    assert [each.strength for each in outcome.strengths] == [0.0, 0.1, 1.0]  # 70 seconds are two more of 30
    assert deadlines == pytest.approx([100 / 3, 30 + 70 / 2, 100])
    assert "no time for a stronger one" in job.progress.lines[-1]


def test_a_search_that_was_killed_goes_on_behind_what_it_had_tried(auto_job, harder):
    harder(0.5)
    job = auto_job(resumable=True)
    with pytest.raises(StopIteration):  # killed while it measures the second training
        train_at_found_strength(job)
    harder(0.05)
    assert [each.strength for each in train_at_found_strength(job).strengths] == [0.0, 0.1]
    shutil.rmtree(job.folder)
    other = auto_job(resumable=True, seed=1)
    harder(0.05)
    assert [each.strength for each in train_at_found_strength(other).strengths] == [0.0]


def test_the_real_losses_of_an_untrained_adapter_are_those_of_the_base_model(auto_job):
    job = auto_job(learning_rate=1e-12)
    assert train_at_found_strength(job).strengths[0].rise == pytest.approx(0.0, abs=1e-4)


def test_what_strengths_are_chosen_by_is_neither_trained_on_nor_measured_on(tokenizer):
    assert len(held_back()) == HELD_BACK
    assert not set(held_back()) & {*passages(), *rehearsed()[:PASSAGES]}
    trained = {each.input_ids for each in rehearsal(1900, 0.05, tokenizer, max_length=512, seed=0, choosing=True)}
    assert not trained & {tuple(ids) for ids in encode_plain(tokenizer, held_back())}
    assert len(trained) == len(rehearsed()) - HELD_BACK


def test_a_fit_depends_on_the_limit_only_where_a_strength_is_chosen_by_it():
    assert Full(FullChoices(ewc="auto")).goes_by_limit
    assert not Full(FullChoices(ewc=1.0)).goes_by_limit


@pytest.mark.parametrize("value", [-1, "strong"])
def test_other_strengths_are_refused_in_a_line(value):
    with pytest.raises(RecipeError, match="ewc") as caught:
        validate(LoraChoices, {"ewc": value}, source="strategies.lora")
    assert "\n" not in str(caught.value)
