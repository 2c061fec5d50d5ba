"""The adapter on the weights as they are: what training saw is what the engine does; a bundle holds one adapter."""

import math
from dataclasses import replace

import pytest
from bitsandbytes.nn.modules import Linear4bit
from torch.nn import Linear

from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.strategies.lora import Lora, LoraChoices
from llmtl.strategies.table import DEFAULT
from llmtl.strategy import FitContext
from llmtl.tuning.trained_weights import Adapter
from tests.support.fitted import again, curve_of

CONFIG = LoraChoices(max_epochs=20, batch_size=8, learning_rate=1e-2, dropout=0.0)


@pytest.fixture(scope="module")
def fitted(source, task, examples, make_progress, tmp_path_factory):
    context = FitContext(
        task=task,
        train=examples,
        dev=examples,
        model=source,
        load_engine=lambda adapter: TransformersEngine.load(replace(source, adapter=adapter)),
        folder=tmp_path_factory.mktemp("lora"),
        progress=make_progress(),
    )
    return context, Lora(CONFIG).fit(context)


def test_training_saw_the_model_that_answers(fitted, examples):
    predictions = fitted[1].predictor.predict([example.text for example in examples])
    assert [each.answer for each in predictions] == [example.reference for example in examples]
    trained = curve_of(fitted[1])
    best = min(point.dev_loss for point in trained.points)
    assert best < trained.points[0].dev_loss / 10
    # the loss is over all answer tokens, and what the labels leave no choice about costs nothing here
    told = -sum(math.log(each.probabilities[each.answer]) for each in predictions) / len(predictions)
    assert told < 0.1


def test_it_is_kept_and_read_as_any_adapter(fitted, examples):
    context, found = fitted
    texts = [example.text for example in examples]
    restored = again(Lora(CONFIG), context, found.predictor)
    assert [each.answer for each in restored.predict(texts)] == [example.reference for example in examples]
    assert found.predictor.served().adapter == context.folder / "adapter"


def test_its_frozen_weights_are_those_of_the_checkpoint(tiny_llama):
    model = Adapter(CONFIG, four_bits=False).load(tiny_llama, device="cpu")
    layers = [module for module in model.modules() if isinstance(module, Linear)]
    assert layers
    assert not any(isinstance(each, Linear4bit) for each in layers)
    assert {str(each.dtype) for each in model.parameters()} == {"torch.float32"}


def test_it_is_measured_where_it_is_asked_for():
    assert "lora" not in DEFAULT
