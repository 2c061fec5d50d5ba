"""The strategy through the engine: learns eight messages by heart, restores, reports, and refuses what cannot work."""

from dataclasses import replace

import pytest

from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import RunError, TrainingError
from llmtl.findings import Cut, Unit, finding
from llmtl.strategies.qlora import Qlora, QloraConfig
from llmtl.strategy import Budget, FitContext, Role
from tests.support.fitted import curve_of

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
    found = Qlora(CONFIG).fit(context)
    found.predictor.save(context.folder)
    return context, found


@pytest.fixture(scope="module")
def texts(examples):
    return [example.text for example in examples]


def test_learns_eight_messages_by_heart_and_is_right_through_the_engine(fitted, examples, texts):
    predictor = fitted[1].predictor
    assert [each.answer for each in predictor.predict(texts)] == [example.reference for example in examples]


def test_name_and_role():
    assert (Qlora().name, Qlora().role) == ("qlora", Role.TUNING)


def test_restore_predicts_the_same_from_json(fitted, texts):
    context, predictor = fitted[0], fitted[1].predictor
    restored = Qlora(CONFIG).load(context, context.folder)
    expected = [(each.answer, dict(each.probabilities)) for each in predictor.predict(texts)]
    assert [(each.answer, dict(each.probabilities)) for each in restored.predict(texts)] == expected
    assert restored.served() == predictor.served()
    assert restored.sha256 == predictor.sha256


def test_restore_refuses_a_missing_or_a_foreign_adapter(fitted, make_context):
    kept = make_context().folder
    fitted[1].predictor.save(kept)
    context = make_context(folder=kept)
    weights = kept / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(RunError, match="not the one that was trained"):
        Qlora(CONFIG).load(context, kept)
    weights.unlink()
    with pytest.raises(RunError, match=r"has no adapter_model.safetensors"):
        Qlora(CONFIG).load(context, kept)


def test_details_say_what_happened(fitted):
    trained = curve_of(fitted[1])
    curve = trained.points
    assert [point.step for point in curve] == list(range(len(curve)))
    assert curve[0].train_loss is None
    assert curve[-1].dev_loss < curve[0].dev_loss / 10
    assert trained.best_step == min(curve, key=lambda point: point.dev_loss).step
    assert (trained.learning_rate, trained.learning_rate_from) == (1e-2, "recipe")
    assert (trained.batch, trained.accumulation, trained.train_examples) == (8, 1, 8)
    assert (trained.dropped_train_examples, trained.dropped_dev_examples) == (0, 0)
    assert trained.stopped_by in ("max epochs", "early stopping")
    assert trained.peak_memory_gib > 0.1
    assert curve[-1].seconds > 0


def test_the_rate_comes_from_the_hidden_size_and_the_budget_stops_training(make_context):
    released = []
    context = make_context(budget=Budget(train_seconds=0), release_engines=lambda: released.append(True))
    fitted = Qlora().fit(context)
    trained = curve_of(fitted)
    cut = finding(fitted.findings, Cut)
    assert (cut.done, cut.planned, cut.unit) == (trained.points[-1].epoch, 10, Unit.EPOCHS)
    assert cut.improving is (True if trained.best_step == trained.points[-1].step else None)
    assert trained.learning_rate == pytest.approx(5e-4 * (2000 / 64) ** 0.781)
    assert trained.learning_rate_from == "hidden-size rule"
    assert trained.stopped_by == "budget"
    assert any("time limit" in line for line in context.progress.lines)
    assert released == [True]


def test_examples_that_are_too_long_are_reported(make_context, examples):
    longest = replace(examples[0], id="long", input="card " * 600)
    context = make_context(train=(*examples, longest), dev=(longest,), budget=Budget(train_seconds=0))
    trained = curve_of(Qlora().fit(context))
    assert (trained.dropped_train_examples, trained.dropped_dev_examples) == (1, 1)
    assert "leaves out 1 of 9 training examples" in context.progress.lines[0]
    assert "leaves out 1 of 1 dev example:" in context.progress.lines[1]
    assert trained.points[-1].dev_loss is None


def test_training_that_would_see_no_answer_fails_with_the_cure(make_context):
    context = make_context()
    with pytest.raises(TrainingError, match=r"None of the 8 training examples .* raise 'max_length'"):
        Qlora(QloraConfig(max_length=20)).fit(context)
    assert list(context.folder.iterdir()) == []
