"""Encoders whose parts do not fit each other: refused in one line, whoever loads them, and never filled with chance."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

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


UNFIT = {
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


@pytest.fixture(params=UNFIT, ids=str)
def unfit(request, tiny_encoder, tmp_path):
    folder = shutil.copytree(tiny_encoder, tmp_path / "copy")
    UNFIT[request.param](folder)
    return folder


def test_it_is_refused_as_a_sentence_encoder(unfit):
    with pytest.raises(ModelError, match=r"^The .*encoder [^\n]*; [^\n]*\.$"):
        SentenceEncoder.load(EncoderSource(str(unfit)))


def test_it_is_refused_where_a_head_is_put_on_it(unfit):
    with pytest.raises(ModelError, match=r"^The [^\n]*; download [^\n]*\.$"):
        Network.begin(unfit, Scoring(Scored.TEXT, 3, 64), device="cpu")
