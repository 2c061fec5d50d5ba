"""What tuning changed in the layers of an encoder: a finding of the fit, and its words."""

from dataclasses import replace
from time import monotonic

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.engines.engine_cache import EngineCache
from llmtl.findings import FIT_FINDINGS, LayerChange, LayerChanges, finding
from llmtl.heads.layer_changes import can_compare
from llmtl.layers.alignment import linear_cka
from llmtl.report.layer_words import said
from llmtl.strategies.class_head import ClassHead, ClassHeadChoices
from llmtl.strategies.encoder import EncoderTuningConfig, FineTunedEncoder
from llmtl.strategies.from_scratch import FromScratch
from llmtl.strategies.lora import Lora, LoraChoices
from llmtl.strategies.setfit import SetFit, SetFitConfig
from llmtl.strategy import FitContext
from llmtl.task import Example, Task

QUEUES = {"cards": "i lost my card", "refunds": "please refund the order", "parcels": "where is a parcel"}
FEW = EncoderTuningConfig(max_epochs=2, learning_rate=(1e-3,), batch_size=8)


def messages(count, mark):
    """Return messages that differ, to three queues in turn."""
    queues = list(QUEUES.items())
    return tuple(
        Example(f"{mark}{at}", f"{queues[at % 3][1]} {chr(97 + at)} {at % 10}", queues[at % 3][0])
        for at in range(count)
    )


@pytest.fixture
def context(tiny_encoder, source, tmp_path):
    return FitContext(
        task=Task("queues", tuple(QUEUES)),
        train=messages(18, "m"),
        dev=messages(20, "d"),
        model=source,
        load_engine=lambda adapter: None,
        folder=tmp_path,
        encoder=EncoderSource(str(tiny_encoder)),
    )


def means(folder, texts, model=None):
    """Return the mean states of texts by layer, each text read alone."""
    model, tokenizer = model or AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        read = [
            model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states for text in texts
        ]
    return [np.stack([each[at][0].mean(dim=0).numpy() for each in read]) for at in range(len(read[0]))]


def test_a_tuned_encoder_says_how_alike_its_layers_are_to_those_it_began_with(context, tiny_encoder):
    found = FineTunedEncoder(FEW).fit(context).findings
    changes = finding(found, LayerChanges)
    texts = [example.text for example in context.dev]
    before, after = means(tiny_encoder, texts), means(context.folder / "encoder", texts)
    expected = [linear_cka(one, other) for one, other in zip(before, after, strict=True)]
    assert [each.cka for each in changes.layers] == pytest.approx(expected, abs=1e-3)
    assert changes.texts == 20
    assert changes.layers[0].cka > changes.layers[-1].cka
    assert all(np.isfinite([each.logme_before, each.logme_after]).all() for each in changes.layers)
    assert FIT_FINDINGS.validate_python(FIT_FINDINGS.dump_python(found, mode="json")) == found


def test_a_tuned_sentence_encoder_is_compared_where_it_is_kept(context, tiny_encoder):
    choices = SetFitConfig(learning_rate=1e-3, iterations=2, batch_size=16, untouched=False)
    changes = finding(SetFit(choices).fit(context).findings, LayerChanges)
    texts = [example.text for example in context.dev]
    before, after = means(tiny_encoder, texts), means(context.folder / "encoder", texts)
    expected = [linear_cka(one, other) for one, other in zip(before, after, strict=True)]
    assert [each.cka for each in changes.layers] == pytest.approx(expected, abs=1e-3)
    assert changes.layers[-1].cka < 1.0
    assert all(np.isfinite([each.logme_before, each.logme_after]).all() for each in changes.layers)


def test_a_language_model_with_a_head_is_compared_by_its_adapter(context, tiny_llama):
    layers = AutoModel.from_pretrained(tiny_llama).config.num_hidden_layers
    found = ClassHead(ClassHeadChoices(max_epochs=2, learning_rate=1e-2)).fit(context).findings
    alike = [each.cka for each in finding(found, LayerChanges).layers]
    assert len(alike) == layers + 1
    assert alike[0] == pytest.approx(1.0), "no adapter is on the embeddings"
    assert all(each < 1.0 for each in alike[1:])


def test_a_tuned_language_model_is_compared_through_its_engine(context, source, tiny_llama):
    engines = EngineCache(source, "transformers")
    given = replace(context, load_engine=engines.load, release_engines=engines.release)
    changes = finding(Lora(LoraChoices(max_epochs=1)).fit(given).findings, LayerChanges)
    texts = [example.text for example in context.dev]
    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_llama), context.folder / "adapter")
    expected = [
        linear_cka(one, other)
        for one, other in zip(means(tiny_llama, texts), means(tiny_llama, texts, tuned.eval()), strict=True)
    ]
    assert [each.cka for each in changes.layers] == pytest.approx(expected, abs=5e-3)
    assert changes.layers[-1].cka < 1.0
    assert (
        finding(Lora(LoraChoices(max_epochs=1)).fit(replace(given, dev=given.dev[:4])).findings, LayerChanges) is None
    )


def test_nothing_is_compared_without_pre_training_texts_or_time_nor_for_a_further_draw(context):
    assert finding(FromScratch().fit(replace(context, others={"encoder": FEW})).findings, LayerChanges) is None
    assert can_compare(context, None)
    assert not can_compare(replace(context, dev=context.dev[:8]), None)
    assert not can_compare(context, monotonic() + 5)
    assert not can_compare(replace(context, earlier=(LayerChanges((), 0),)), None)


@pytest.mark.parametrize(
    ("alike", "told"),
    [
        (
            (1.0, 0.99, 0.98, 0.95, 0.92, 0.6, 0.3),
            "the first third was kept (0.98), the middle third was kept (0.94) and the last third changed (0.45)",
        ),
        ((1.0, 0.95, 0.7), "layer 1 was kept (0.95) and layer 2 changed in part (0.70)"),
    ],
)
def test_the_words_go_by_thirds_of_the_layers(alike, told):
    assert told in said(LayerChanges(tuple(LayerChange(each) for each in alike), 64))
