"""Encoders whose parts do not fit each other: refused in one line, whoever loads them, and never filled with chance."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from llmtl.encoders.checkpoint import inspect_encoder
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.network import Network, Scored, Scoring
from llmtl.encoders.sentence import SentenceEncoder
from llmtl.errors import ModelError

WEIGHTS = "model.safetensors"


def configured(**changes):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def weighing(change):
    def rewrite(folder):
        kept = {name: change(each) for name, each in load_file(folder / WEIGHTS).items()}
        save_file(kept, folder / WEIGHTS, metadata={"format": "pt"})

    return rewrite


def written(name, content):
    return lambda folder: (folder / name).write_text(content)


def with_ten_words(folder):
    """Give the weights, and the configuration that fits them, fewer words than the tokenizer has."""
    configured(vocab_size=10)(folder)
    kept = load_file(folder / WEIGHTS)
    few = {name: each[:10].clone() if name.endswith("word_embeddings.weight") else each for name, each in kept.items()}
    save_file(few, folder / WEIGHTS, metadata={"format": "pt"})


UNFIT = {
    "a tokenizer of another model": with_ten_words,
    "sizes of another model": configured(hidden_size=64),
    "more layers than there are": configured(num_hidden_layers=4),
    "a vocabulary of another model": configured(vocab_size=10),
    "heads that do not divide": configured(num_attention_heads=3),
    "an activation that nobody knows": configured(hidden_act="swoosh"),
    "weights that are no numbers": weighing(lambda each: each * float("nan")),
    "a tokenizer that is none": written("tokenizer.json", "{}"),
    "a damaged tokenizer": written("tokenizer_config.json", "["),
    "settings of a tokenizer that are a list": written("tokenizer_config.json", "[]"),
}


@pytest.fixture(scope="module")
def sentence_folder(tiny_encoder, tmp_path_factory):
    """Write the tiny encoder as sentence-transformers does, with a file that says how tokens become one vector."""
    folder = tmp_path_factory.mktemp("sentence") / "encoder"
    SentenceEncoder.load(EncoderSource(str(tiny_encoder))).save(folder)
    return folder


@pytest.fixture(params=UNFIT, ids=str)
def unfit(request, tiny_encoder, tmp_path):
    folder = shutil.copytree(tiny_encoder, tmp_path / "copy")
    UNFIT[request.param](folder)
    return folder


@pytest.fixture(params=UNFIT, ids=str)
def unfit_sentences(request, sentence_folder, tmp_path):
    folder = shutil.copytree(sentence_folder, tmp_path / "copy")
    UNFIT[request.param](folder)
    return folder


def test_it_is_refused_as_a_sentence_encoder(unfit):
    with pytest.raises(ModelError, match=r"^The .*encoder [^\n]*; [^\n]*\.$"):
        SentenceEncoder.load(EncoderSource(str(unfit)))


def test_it_is_refused_in_the_form_of_sentence_transformers(unfit_sentences):
    with pytest.raises(ModelError, match=r"^The .*encoder [^\n]*; [^\n]*\.$") as caught:
        SentenceEncoder.load(EncoderSource(str(unfit_sentences)))
    assert "ignore_mismatched_sizes" not in str(caught.value)


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_text("{")], ids=["missing", "damaged"])
def test_a_folder_that_does_not_say_how_tokens_become_a_vector_is_refused(sentence_folder, tmp_path, damage):
    folder = shutil.copytree(sentence_folder, tmp_path / "copy")
    damage(folder / "1_Pooling" / "config.json")
    with pytest.raises(ModelError, match=r"1_Pooling/config\.json.*or delete its modules\.json"):
        inspect_encoder(EncoderSource(str(folder)))
    (folder / "modules.json").unlink()
    assert not inspect_encoder(EncoderSource(str(folder))).sentence_transformer


def test_names_that_transformers_writes_otherwise_today_are_no_lack(sentence_folder, tmp_path):
    # BERT checkpoints of 2018 name the weights of their norms gamma and beta
    folder = shutil.copytree(sentence_folder, tmp_path / "copy")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): each
        for name, each in load_file(folder / WEIGHTS).items()
    }
    save_file(old, folder / WEIGHTS, metadata={"format": "pt"})
    found, known = (
        SentenceEncoder.load(EncoderSource(str(each))).encode(["my parcel"]) for each in (folder, sentence_folder)
    )
    np.testing.assert_allclose(found, known, atol=1e-6)


def test_it_is_refused_where_a_head_is_put_on_it(unfit):
    with pytest.raises(ModelError, match=r"^The [^\n]*; download [^\n]*\.$"):
        Network.begin(unfit, Scoring(Scored.TEXT, 3, 64), device="cpu")
