"""The strategy through the engine: learns eight messages by heart, restores, reports, and refuses what cannot work."""

import json
from dataclasses import replace

import pytest

from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import RunError, TrainingError
from llmtl.strategies.qlora import Qlora
from llmtl.strategy import Budget, FitContext, Role
from llmtl.tuning.config import QloraConfig

CONFIG = QloraConfig(max_epochs=20, batch_size=8, learning_rate=1e-2, dropout=0.0)


@pytest.fixture(scope="module")
def make_context(source, task, examples, make_progress, tmp_path_factory):
    """Return a function that makes a context in a fresh folder; keywords replace its fields."""
    engines = []

    def load_engine(adapter):
        engines.append(TransformersEngine.load(replace(source, adapter=adapter)))
        return engines[-1]

    def make(**changes):
        context = FitContext(
            task=task,
            train=examples,
            dev=examples,
            model=source,
            load_engine=load_engine,
            folder=tmp_path_factory.mktemp("qlora"),
            progress=make_progress(),
        )
        return replace(context, **changes)

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def fitted(make_context):
    context = make_context()
    return context, Qlora(CONFIG).fit(context)


@pytest.fixture(scope="module")
def texts(examples):
    return [example.text for example in examples]


def test_learns_eight_messages_by_heart_and_is_right_through_the_engine(fitted, examples, texts):
    _, predictor = fitted
    assert [each.answer for each in predictor.predict(texts)] == [example.reference for example in examples]


def test_name_and_role():
    assert (Qlora().name, Qlora().role) == ("qlora", Role.TUNING)


def test_restore_predicts_the_same_from_json(fitted, texts):
    context, predictor = fitted
    state = json.loads(json.dumps(predictor.state()))
    restored = Qlora(CONFIG).restore(context, state)
    expected = [(each.answer, dict(each.probabilities)) for each in predictor.predict(texts)]
    assert [(each.answer, dict(each.probabilities)) for each in restored.predict(texts)] == expected
    assert restored.state() == predictor.state()
    assert restored.details() == predictor.details()


def test_restore_refuses_a_missing_or_a_foreign_adapter(fitted, make_context):
    context, predictor = fitted
    with pytest.raises(RunError, match=r"has no adapter_model.safetensors"):
        Qlora(CONFIG).restore(make_context(), predictor.state())
    with pytest.raises(RunError, match="not the one that was trained"):
        Qlora(CONFIG).restore(context, predictor.state() | {"sha256": "0" * 64})


def test_details_say_what_happened(fitted):
    details = json.loads(json.dumps(fitted[1].details()))
    curve = details["learning_curve"]
    assert [point["step"] for point in curve] == list(range(len(curve)))
    assert curve[0]["train_loss"] is None
    assert curve[-1]["dev_loss"] < curve[0]["dev_loss"] / 10
    assert details["best_step"] == min(curve, key=lambda point: point["dev_loss"])["step"]
    assert (details["learning_rate"], details["learning_rate_from"]) == (1e-2, "recipe")
    assert (details["batch"], details["accumulation"], details["train_examples"]) == (8, 1, 8)
    assert (details["dropped_train_examples"], details["dropped_dev_examples"]) == (0, 0)
    assert details["stopped_by"] in ("max epochs", "early stopping")
    assert details["peak_memory_gib"] > 0.1
    assert details["train_seconds"] > curve[-1]["seconds"] > 0


def test_the_rate_comes_from_the_hidden_size_and_the_budget_stops_training(make_context):
    released = []
    context = make_context(budget=Budget(train_seconds=0), release_engines=lambda: released.append(True))
    details = Qlora().fit(context).details()
    assert details["learning_rate"] == pytest.approx(5e-4 * (2000 / 64) ** 0.781)
    assert details["learning_rate_from"] == "hidden-size rule"
    assert details["stopped_by"] == "budget"
    assert any("time limit" in line for line in context.progress.lines)
    assert released == [True]


def test_examples_that_are_too_long_are_reported(make_context, examples):
    longest = replace(examples[0], id="long", input="card " * 600)
    context = make_context(train=(*examples, longest), dev=(longest,), budget=Budget(train_seconds=0))
    details = Qlora().fit(context).details()
    assert (details["dropped_train_examples"], details["dropped_dev_examples"]) == (1, 1)
    assert "leaves out 1 of 9 training examples" in context.progress.lines[0]
    assert "leaves out 1 of 1 dev examples" in context.progress.lines[1]
    assert details["learning_curve"][-1]["dev_loss"] is None


def test_training_that_would_see_no_answer_fails_with_the_cure(make_context):
    context = make_context()
    with pytest.raises(TrainingError, match=r"None of the 8 training examples .* raise 'max_length'"):
        Qlora(QloraConfig(max_length=20)).fit(context)
    assert list(context.folder.iterdir()) == []
