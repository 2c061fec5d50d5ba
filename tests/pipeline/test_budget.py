"""The time budget."""

import pytest

from llmtl.engines import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.pipeline.budget import FEWEST, LEAST_FIT_SHARE, OTHER_SHARE, _Timed, plan
from llmtl.strategies.table import STRATEGIES, StrategiesConfig, build
from llmtl.strategy import PromptSpeed
from llmtl.task import Draw, Example, Split, Task

TASK = Task("t", ("refund", "card lost"))
FACTS = [strategy.facts for strategy in build(StrategiesConfig())]
ONCE = dict.fromkeys(Draw, 1)
TODAY = ("majority", "tfidf", "zero-shot", "few-shot", "many-shot", "knn-few-shot", "qlora")
"""The strategies whose shares of the time were chosen together."""


def split(count: int) -> Split:
    def part(name: str) -> tuple[Example, ...]:
        return tuple(Example(f"{name}{i}", f"please refund order {i}", TASK.labels[i % 2]) for i in range(count))

    return Split(part("train"), part("dev"), part("test"))


def test_a_small_budget_cuts_dev_and_test_but_not_below_the_fewest(tiny_llama):
    engine = TransformersEngine.load(ModelSource(str(tiny_llama)))
    made = plan(0.001, split(400), TASK, FACTS, engine)
    assert (made.dev, made.test) == (FEWEST, FEWEST)


def test_an_ample_budget_keeps_everything_and_caps_training(tiny_llama):
    engine = TransformersEngine.load(ModelSource(str(tiny_llama)))
    made = plan(36_000, split(40), TASK, FACTS, engine)
    assert (made.dev, made.test) == (40, 40)
    assert made.fit_seconds("tfidf") is None
    with_a_second_draw = {each.name: 1 + (each.draw is not Draw.NONE) * each.redraw for each in FACTS}
    spent = sum(seconds * with_a_second_draw[name] for name, seconds in made.fitting.items())
    assert spent == pytest.approx(0.73 * 36_000)


def test_time_for_fitting_is_shared_by_weight_among_those_that_run():
    made = plan(1000, split(40), TASK, [STRATEGIES[name].facts for name in TODAY], None, draws=ONCE)
    expected = {"qlora": 350, "zero-shot": 40, "few-shot": 120, "many-shot": 100, "knn-few-shot": 120}
    assert made.fitting == pytest.approx(expected)
    alone = plan(1000, split(40), TASK, [STRATEGIES["qlora"].facts], None, draws=ONCE)
    assert alone.fitting == {"qlora": pytest.approx(730)}
    assert alone.scaled(0.5).fit_seconds("qlora") == pytest.approx(365)


def test_there_is_time_to_fit_twice_whoever_chance_decides_about():
    """A second training takes as long as the first; other demonstrations a quarter of the search."""
    made = plan(1000, split(40), TASK, [STRATEGIES[name].facts for name in TODAY], None)
    share = 730 / (2 * 35 + 4 + 1.25 * (12 + 10) + 12)
    expected = {"qlora": 35, "zero-shot": 4, "few-shot": 12, "many-shot": 10, "knn-few-shot": 12}
    assert made.fitting == pytest.approx({name: share * weight for name, weight in expected.items()})
    thrice = plan(1000, split(40), TASK, [STRATEGIES["qlora"].facts], None, draws={Draw.TRAINING: 3})
    assert thrice.fitting == {"qlora": pytest.approx(730 / 3)}


def test_test_is_cut_for_a_second_draw_and_that_is_left_out_only_where_the_fewest_take_too_long(
    tiny_llama, monkeypatch
):
    monkeypatch.setattr("llmtl.pipeline.budget._probe", lambda *_, shots: _Timed(0.1, 0.2))
    engine = TransformersEngine.load(ModelSource(str(tiny_llama)))
    facts = [STRATEGIES[name].facts for name in ("few-shot", "zero-shot")]
    once = plan(1000, split(4000), TASK, facts, engine, draws=ONCE)
    twice = plan(1000, split(4000), TASK, facts, engine)
    assert (once.dev, once.test) == (500, 750)
    assert (twice.dev, twice.draws) == (500, 2)
    assert twice.test == pytest.approx(500, abs=1)  # zero-shot is asked once
    assert twice.scoring_seconds == pytest.approx(twice.dev * 0.2 + twice.test * 0.3)
    assert twice.latency_seconds == pytest.approx(2 * 22 * 0.4)
    assert twice.fitting_seconds() == pytest.approx((1 - OTHER_SHARE) * 1000 - twice.scoring_seconds - 17.6)
    assert twice.fitting_seconds(probes=30) == pytest.approx(twice.fitting_seconds() - 30)
    ending = twice.seconds_after_dev(["few-shot"])  # which is drawn twice; zero-shot left the race
    assert ending == pytest.approx((1 - OTHER_SHARE) * 1000 - twice.test * 0.2 - 22 * 0.2)
    assert twice.seconds_after_dev([]) == pytest.approx((1 - OTHER_SHARE) * 1000)
    assert plan(25, split(4000), TASK, facts, engine).draws == 2
    assert plan(22, split(4000), TASK, facts, engine).draws == 1


def test_the_speed_of_prompts_is_kept_for_forecasts(tiny_llama, monkeypatch):
    monkeypatch.setattr("llmtl.pipeline.budget._probe", lambda *_, shots: _Timed(0.9 if shots else 0.1, 1.0))
    engine = TransformersEngine.load(ModelSource(str(tiny_llama)))
    shown = plan(1000, split(40), TASK, [STRATEGIES["few-shot"].facts], engine)
    assert shown.speed == PromptSpeed(0.1, pytest.approx(0.1))
    assert plan(1000, split(40), TASK, [STRATEGIES["zero-shot"].facts], engine).speed == PromptSpeed(0.1)
    assert plan(1000, split(40), TASK, [STRATEGIES["knn-few-shot"].facts], engine).speed == PromptSpeed(
        0.1, pytest.approx(0.1)
    )


def test_without_a_model_nothing_is_cut():
    made = plan(1, split(400), TASK, FACTS, None)
    assert (made.dev, made.test, made.speed) == (400, 400, None)
    assert made.fitting_seconds() == pytest.approx(1 - OTHER_SHARE)
    assert made.fitting_seconds(probes=100) == LEAST_FIT_SHARE


def test_a_budget_that_cannot_be_kept_says_so(tiny_llama):
    engine = TransformersEngine.load(ModelSource(str(tiny_llama)))
    warning = plan(0.001, split(400), TASK, FACTS, engine).too_short
    assert warning is not None
    assert "50 dev and 50 test" in warning
    assert plan(36_000, split(40), TASK, FACTS, engine).too_short is None
    assert plan(1, split(400), TASK, FACTS, None).too_short is None
