"""Preferences through the engine: pairs are learned, dev decides what is kept, a killed fit goes on where it was."""

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import RecipeError
from llmtl.findings import Cut, PreferenceStage, Unit, finding
from llmtl.kinds.generation import GENERATION
from llmtl.report.preference_words import told
from llmtl.seals import UNFINISHED
from llmtl.strategies.dpo import Dpo, DpoChoices
from llmtl.strategies.table import DEFAULT, StrategiesConfig, build
from llmtl.strategy import Budget, FitContext
from llmtl.task import Example, Metric, Preference, Task
from llmtl.unfinished import save_points
from tests.support.fitted import again, curve_of, findings

TEXTS = ("I lost my card", "my bill came again", "where is my refund", "hello there")
ANSWERS = ("Get a new card.", "Sorry.", "It is on its way.", "Hello!")
EXAMPLES = tuple(Example(str(n), text, answer) for n, (text, answer) in enumerate(zip(TEXTS, ANSWERS, strict=True)))
PAIRS = tuple(Preference(text, answer, "No.") for text, answer in zip(TEXTS, ANSWERS, strict=True))
FEW = {"batch_size": 4, "learning_rate": 1e-2, "max_epochs": 3, "preference_rate": 1e-2, "preference_batch_size": 2}


class Killed(BaseException):
    """Ends a fit as SIGKILL does."""


class KilledAt(TrainerCallback):
    """Kills the training on references, or the one on pairs, before the step after `step`."""

    def __init__(self, step, *, on_pairs):
        self.step, self.on_pairs = step, on_pairs

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step and self.on_pairs is ("ref" in kwargs["model"].peft_config):
            raise Killed


@pytest.fixture
def make_context(source, make_progress, tmp_path):
    """Return a function that makes a context in a folder of its own; keywords replace its fields."""

    def make(name="dpo", **changes):
        (tmp_path / name).mkdir(exist_ok=True)
        context = FitContext(
            task=Task("t", (), "Do it.", Metric.CHRF, kind=GENERATION),
            train=EXAMPLES,
            dev=EXAMPLES,
            model=source,
            load_engine=lambda adapter: TransformersEngine.load(replace(source, adapter=adapter)),
            folder=tmp_path / name,
            progress=make_progress(),
        )
        return replace(context, **changes)

    return make


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def alike(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def stage_of(fitted):
    return finding(findings(fitted), PreferenceStage)


def test_pairs_that_were_given_are_learned_and_what_dev_finds_best_is_kept(make_context):
    context = make_context(preferences=PAIRS)
    fitted = Dpo(DpoChoices(**FEW)).fit(context)
    stage, curve = stage_of(fitted), curve_of(fitted)
    assert (stage.asked, stage.pairs, stage.dropped, stage.dev_examples) == (0, 4, 0, 4)
    assert [point.step for point in stage.points] == [0, 2, 4, 6]
    assert stage.points[0].train_loss is None
    assert stage.points[1].train_loss <= math.log(2) + 1e-4  # the policy begins as the reference
    assert stage.points[-1].train_loss < stage.points[1].train_loss / 2
    best = max(point.dev_score for point in stage.points)
    assert next(point.step for point in stage.points if point.dev_score == best) == stage.best_step
    assert stage.trained_tokens > 0
    assert curve.points[-1].epoch == 3
    assert "learned from 4 pairs of a better and a worse answer (those of the recipe) for 3.0 passes" in told(
        "x", stage
    )
    kept = again(Dpo(), context, fitted.predictor)
    expected = fitted.predictor.predict(TEXTS)
    assert [each.answer for each in kept.predict(TEXTS)] == [each.answer for each in expected]
    score = context.task.kind.measure(Metric.CHRF, list(ANSWERS)).score([each.answer for each in expected])
    assert score == pytest.approx(best, abs=1e-6)  # what is measured in training is what the engine answers
    assert not (context.folder / "adapter" / "ref").exists()


def test_pairs_of_its_own_and_nothing_better_on_dev_leaves_the_supervised_adapter(make_context):
    context = make_context()
    fitted = Dpo(DpoChoices(**FEW | {"preference_rate": 1e-12, "max_pairs": 3})).fit(context)
    stage = stage_of(fitted)
    assert (stage.asked, stage.pairs, stage.best_step) == (3, 3, 0)
    supervised = context.folder / UNFINISHED / "supervised" / "adapter"
    assert alike(weights(context.folder / "adapter"), weights(supervised))
    assert "Learning preferences from 3 pairs of 3 inputs." in context.progress.lines
    assert told("x", stage).endswith("before it, so it is not kept.")


def test_a_fit_that_was_killed_in_either_training_ends_with_the_weights_of_one_that_was_not(make_context, monkeypatch):
    monkeypatch.setattr(save_points, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(save_points, "SHARE_FOR_SAVING", float("inf"))
    config = DpoChoices(**FEW | {"dropout": 0.1, "preference_epochs": 2})
    whole, context = make_context("whole"), make_context("killed")
    expected = Dpo(config).fit(whole)
    for step, on_pairs in ((2, False), (0, True), (3, True)):
        with pytest.raises(Killed):
            Dpo(config, callbacks=(KilledAt(step, on_pairs=on_pairs),)).fit(context)
    fitted = Dpo(config).fit(context)
    assert alike(weights(context.folder / "adapter"), weights(whole.folder / "adapter"))
    points, wanted = stage_of(fitted).points, stage_of(expected).points
    assert [replace(each, seconds=0) for each in points] == [replace(each, seconds=0) for each in wanted]
    assert [line.split(",")[0] for line in context.progress.lines if "goes on" in line] == [
        "Fine-tuning goes on after step 2",
        "Learning preferences goes on after step 3",
    ]
    assert fitted.earlier_seconds > 0


def test_where_every_answer_is_right_there_is_nothing_to_prefer(make_context):
    known = EXAMPLES[3:]
    context = make_context(train=known, dev=known)
    fitted = Dpo(DpoChoices(**FEW | {"max_epochs": 30, "dropout": 0.0})).fit(context)
    assert fitted.predictor.predict([TEXTS[3]])[0].answer == ANSWERS[3]
    stage = stage_of(fitted)
    assert (stage.asked, stage.pairs, stage.points) == (1, 0, ())
    assert "no pairs" in context.progress.lines[-1]
    assert "none of 1 answer of its own differed from a reference" in told("x", stage)


def test_a_time_limit_cuts_all_of_it_and_says_so(make_context):
    context = make_context(preferences=PAIRS, budget=Budget(train_seconds=0))
    fitted = Dpo(DpoChoices(**FEW)).fit(context)
    assert [each.unit for each in fitted.findings if isinstance(each, Cut)] == [Unit.EPOCHS, Unit.EPOCHS]
    assert stage_of(fitted).stopped_by == "budget"
    assert any(line.startswith("Learning preferences stopped at its time limit") for line in context.progress.lines)


def test_odd_choices_are_said_and_other_kinds_refused():
    assert Dpo().doubts(None) == ()
    odd = Dpo(DpoChoices(preference_rate=1e-3, preference_epochs=40, beta=50)).doubts(None)
    assert [line.split(" is ")[0] for line in odd] == [
        f"strategies.dpo.{name}" for name in ("preference_rate", "preference_epochs", "beta")
    ]
    assert "dpo" not in DEFAULT
    with pytest.raises(RecipeError, match="'dpo' does not serve tasks of kind classification"):
        build(StrategiesConfig(run=("dpo",)))
