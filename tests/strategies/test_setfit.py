"""Contrastive tuning of the encoder, then a head: a tiny encoder with random weights shows that it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.sentence import SentenceEncoder
from llmtl.errors import CannotFitError, TrainingError
from llmtl.findings import Cut, GridTrace, finding
from llmtl.strategies.setfit import TUNING_SHARE, SetFit, SetFitConfig
from llmtl.strategy import Budget, LocalServed
from tests.strategies.test_embedding_head import Lines

QUICK = SetFitConfig(learning_rate=1e-3, iterations=2, batch_size=16, untouched=False)


@pytest.fixture
def context(make_plain_context, tiny_encoder):
    return make_plain_context(encoder=EncoderSource(str(tiny_encoder)))


def closeness(encoder, examples):
    """Return the mean cosine of texts with one label less that of others."""
    vectors = encoder.encode([each.text for each in examples])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.array([each.reference for each in examples])
    same, cosines = labels[:, None] == labels[None], vectors @ vectors.T
    return cosines[same].mean() - cosines[~same].mean()


def test_tuning_brings_texts_of_one_label_together(context, capfd):
    before = closeness(SentenceEncoder.load(context.encoder), context.train)
    fitted = SetFit(QUICK.model_copy(update={"iterations": 40, "batch_size": 8, "learning_rate": 5e-3})).fit(context)
    assert closeness(fitted.predictor.encoder, context.train) > before + 0.3
    trace = finding(fitted.findings, GridTrace)
    assert trace.choice["steps"] > 0
    assert finding(fitted.findings, Cut) is None
    assert capfd.readouterr() == ("", "")


def test_what_is_saved_predicts_alike_without_the_encoder_it_began_with(context, tmp_path):
    fitted = SetFit(QUICK).fit(context)
    fitted.predictor.save(tmp_path)
    loaded = SetFit().load(replace(context, encoder=None), tmp_path)
    inputs = [each.text for each in context.dev]
    for mine, theirs in zip(loaded.predict(inputs), fitted.predictor.predict(inputs), strict=True):
        assert mine.answer == theirs.answer
        assert mine.probabilities == pytest.approx(theirs.probabilities, abs=1e-5)
    assert loaded.served() == fitted.predictor.served() == LocalServed(one_at_a_time=True)
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors"}


def test_tuning_that_brings_nothing_on_dev_is_left_out(context, tmp_path):
    lines = Lines()
    ruin = QUICK.model_copy(update={"untouched": True, "learning_rate": 0.3})
    fitted = SetFit(ruin).fit(replace(context, progress=lines))
    trace = finding(fitted.findings, GridTrace)
    assert [point.choice["encoder"] for point in trace.points] == ["untouched"] * 8 + ["tuned"] * 8
    assert trace.choice["encoder"] == "untouched"
    assert "setfit: tuning brought nothing on dev; the encoder is kept as it was" in lines.said
    inputs = [each.text for each in context.dev]
    np.testing.assert_array_equal(
        fitted.predictor.encoder.encode(inputs), SentenceEncoder.load(context.encoder).encode(inputs)
    )
    fitted.predictor.save(tmp_path)
    loaded = SetFit().load(context, tmp_path)
    assert loaded.served() == fitted.predictor.served() == LocalServed(needs_encoder=True, one_at_a_time=True)
    assert [each.answer for each in loaded.predict(inputs)] == [
        each.answer for each in fitted.predictor.predict(inputs)
    ]


def test_word_vectors_stay_as_they_were(context):
    def words(encoder):
        return encoder.model[0].auto_model.get_input_embeddings().weight

    before, after = SentenceEncoder.load(context.encoder), SetFit(QUICK).fit(context).predictor.encoder
    assert torch.equal(words(before), words(after))
    assert words(after).requires_grad


def test_one_seed_tunes_alike_and_leaves_the_random_state_alone(context):
    import random

    state, drawn = random.getstate(), torch.random.get_rng_state()
    first, again, other = (
        SetFit(QUICK).fit(replace(context, seed=seed)).predictor.encoder.encode(["my refund"]) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4
    assert random.getstate() == state
    assert torch.equal(torch.random.get_rng_state(), drawn)


def test_one_text_per_label_is_paired_with_what_the_label_means(context):
    fitted = SetFit(QUICK).fit(replace(context, train=context.train[::4]))
    choice = finding(fitted.findings, GridTrace).choice
    assert (choice["pairs"], choice["train_examples"]) == (QUICK.iterations * 6, 3)


def test_a_label_whose_one_text_is_its_name_is_kept_and_named(context):
    lines = Lines()
    called = replace(context.train[-1], input="login")
    lone = (*(each for each in context.train if each.reference != "login"), called)
    fitted = SetFit(QUICK).fit(replace(context, train=lone, progress=lines))
    [line] = [line for line in lines.said if "1 of 3 labels has one training text" in line]
    assert "'login'" in line
    assert line.endswith("label a second one")
    assert "login" in fitted.predictor.predict(["log in"])[0].probabilities


def test_without_any_pair_it_is_left_out_with_the_cure(context):
    with pytest.raises(CannotFitError, match="label more examples"):
        SetFit(QUICK).fit(replace(context, train=tuple(replace(each, input=each.reference) for each in context.train)))


def test_its_time_limit_is_kept_and_a_cut_is_data(context):
    lines = Lines()
    fitted = SetFit(QUICK).fit(replace(context, budget=Budget(train_seconds=1e-6), progress=lines))
    cut = finding(fitted.findings, Cut)
    assert (cut.done, cut.planned) == (1, 2)
    assert any("time for 1 of 2 steps" in line for line in lines.said)


def test_the_number_of_pairs_is_bounded(context):
    fitted = SetFit(QUICK.model_copy(update={"max_pairs": 10})).fit(context)
    assert finding(fitted.findings, GridTrace).choice["pairs"] == 10


def test_hard_negatives_come_from_similar_labels(context):
    fitted = SetFit(QUICK.model_copy(update={"hard_negatives": True})).fit(context)
    assert finding(fitted.findings, GridTrace).choice["steps"] == 2


def test_a_rate_that_diverges_is_an_error_with_the_cure(context):
    with pytest.raises(TrainingError, match="lower it"):
        SetFit(SetFitConfig(learning_rate=1e30, iterations=2, batch_size=4)).fit(context)


def test_its_time_is_forecast_from_a_few_steps(context, monkeypatch):
    """At a second per step the tuning takes as many seconds as the fit makes steps, plus loading and embedding."""
    many = tuple(replace(each, id=f"{each.id}-{at}") for at in range(20) for each in context.train)
    assert SetFit(QUICK).forecast(replace(context, train=many)) > 0
    monkeypatch.setattr("llmtl.encoders.step_time.seconds_per_step", lambda *_: 1.0)
    steps = len(many) * QUICK.iterations / QUICK.batch_size
    fitted = SetFit(QUICK).fit(replace(context, train=many))
    tuned = [each for each in finding(fitted.findings, GridTrace).points if "steps" in each.choice]
    assert {each.choice["steps"] for each in tuned} == {steps}
    assert steps / TUNING_SHARE < SetFit(QUICK).forecast(replace(context, train=many)) < steps / TUNING_SHARE + 30
