"""Forecasts of searches for prompts, in closed form: at a second per prompt they count the prompts that a fit asks."""

import pytest

from llmtl.engines.protocol import ModelSource
from llmtl.prompting.config import CalibrationChoice
from llmtl.strategies.few_shot import FewShot, FewShotConfig
from llmtl.strategies.knn_few_shot import KnnFewShot, KnnFewShotConfig
from llmtl.strategies.many_shot import ManyShot, ManyShotConfig
from llmtl.strategies.model_tuning import PROMPTS_OF_ONE
from llmtl.strategies.qlora import Qlora, QloraConfig
from llmtl.strategies.zero_shot import ZeroShot, ZeroShotConfig
from llmtl.strategy import Budget, PromptSpeed
from tests.support.routing_task import labelled

COUNTING = PromptSpeed(prompt=1.0)
READING = PromptSpeed(prompt=0.0, demonstration=1.0)
WORDINGS = {"instructions": ("Name the queue.",), "built_in_instructions": False}


@pytest.mark.parametrize(
    "strategy",
    [
        ZeroShot(ZeroShotConfig(**WORDINGS, rotations=1)),
        FewShot(FewShotConfig(**WORDINGS, shots=(2, 4), seeds=2)),
        ManyShot(ManyShotConfig(**WORDINGS, seeds=2)),
        KnnFewShot(KnnFewShotConfig(**WORDINGS, shots=(2, 4))),
        KnnFewShot(KnnFewShotConfig(**WORDINGS, shots=(2,), dev_examples=5)),
    ],
    ids=lambda strategy: strategy.name,
)
def test_as_many_prompts_are_forecast_as_a_fit_without_a_limit_asks(make_context, engine, strategy):
    found = strategy.forecast(make_context(speed=COUNTING))
    assert not engine.prompts  # a forecast asks nothing
    strategy.fit(make_context())
    assert found == len(engine.prompts) > 0


def test_zero_shot_leaves_time_to_ask_in_several_orders_later_on(make_context):
    """2 wordings and 3 orders of 3 labels on 8 dev examples, and twice as many again for two further orders."""
    told = ZeroShotConfig(**WORDINGS)
    assert ZeroShot(told).forecast(make_context(speed=COUNTING)) == 2 * 8 + 3 * 8 + 2 * 2 * 8


def test_demonstrations_that_all_inputs_share_are_read_once_per_candidate(make_context):
    few = FewShot(FewShotConfig(**WORDINGS, shots=(2, 4), seeds=2))
    assert few.forecast(make_context(speed=READING)) == 2 * (2 + 4 + 4)
    nearest = KnnFewShot(KnnFewShotConfig(**WORDINGS, shots=(2, 4)))
    assert nearest.forecast(make_context(speed=READING)) == 8 * (2 + 4 + 4)


def test_calibrating_asks_for_train_too(make_context):
    told = ZeroShotConfig(**WORDINGS, rotations=1, calibration=CalibrationChoice.BATCH)
    assert ZeroShot(told).forecast(make_context(speed=COUNTING)) == 2 * 8 + 14


def test_without_a_speed_nothing_is_forecast(make_context):
    for strategy in (ZeroShot(), FewShot(), KnnFewShot(), ManyShot()):
        assert strategy.forecast(make_context()) is None


def test_training_is_not_tried_where_prompts_say_that_there_is_time(make_context):
    """12 examples and a third of 6, 3 epochs: 42 examples. The model named in the context does not exist."""
    context = make_context(
        train=labelled(12), dev=labelled(6, mark="dev"), speed=PromptSpeed(0.1), budget=Budget(enough=100.0)
    )
    assert context.model == ModelSource("tiny")
    assert Qlora(QloraConfig(max_epochs=3)).forecast(context) == pytest.approx(0.1 * PROMPTS_OF_ONE * 42)
