"""Encoders in int8: near what torch gives, the same whatever else is asked, and refused where lengths matter."""

import numpy as np
import pytest

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.int8_encoders import Int8SentenceEncoder, write_sentence_encoder
from llmtl.encoders.onnx_int8 import BLOCK, FLOAT_SHARES, _blocks
from llmtl.encoders.sentence import SentenceEncoder
from llmtl.errors import ModelError, RunError
from tests.support.encoders import save_encoder

TEXTS = ["i lost my card", "", "where is my parcel please", "refund the order . " * 40, "a"]


@pytest.fixture(scope="module")
def tiny(tiny_encoder):
    return SentenceEncoder.load(EncoderSource(str(tiny_encoder)))


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "int8"
    form = next(write_sentence_encoder(tiny, folder))
    assert form.floats == 0
    return folder


def cosines(some, others):
    norms = np.linalg.norm(some, axis=1) * np.linalg.norm(others, axis=1)
    return (some * others).sum(axis=1) / norms


def test_vectors_are_near_those_of_torch_long_texts_too(tiny, folder):
    found, expected = Int8SentenceEncoder.read(folder).encode(TEXTS), tiny.encode(TEXTS)
    assert found.shape == expected.shape
    assert cosines(found, expected).min() > 0.999
    assert not np.array_equal(found, expected)


def test_a_vector_does_not_depend_on_what_else_is_asked(folder):
    int8 = Int8SentenceEncoder.read(folder)
    alone = np.concatenate([int8.encode([text]) for text in TEXTS])
    np.testing.assert_array_equal(int8.encode(TEXTS * 9), np.tile(alone, (9, 1)))


def test_each_form_is_nearer_to_torch_than_the_one_before(tiny, tmp_path):
    expected, floats, far = tiny.encode(TEXTS), [], []
    for form in write_sentence_encoder(tiny, tmp_path, TEXTS):
        floats.append(form.floats)
        assert 0 <= form.floats < form.products
        far.append(np.abs(Int8SentenceEncoder.read(tmp_path).encode(TEXTS) - expected).max())
    assert len(floats) == len(FLOAT_SHARES)
    assert floats == sorted(set(floats))
    assert far[-1] < 0.7 * far[0]


def test_weights_are_rounded_to_half_a_step_of_their_block():
    weights = np.random.default_rng(0).normal(size=(BLOCK + 40, 3)).astype(np.float32)
    weights[:BLOCK, 1] = 0
    numbers, scales = _blocks(weights)
    assert numbers.shape == (3, 2, BLOCK)
    assert scales.shape == (3, 2)
    again = ((numbers.astype(float) - 128) * scales[..., None]).reshape(3, -1)[:, : len(weights)].T
    steps = np.repeat(scales, BLOCK, axis=1)[:, : len(weights)].T
    assert (np.abs(again - weights) <= steps / 2 + 1e-7).all()
    assert np.abs(again).max(axis=0) == pytest.approx(np.abs(weights).max(axis=0), rel=1e-6)


def test_an_encoder_that_reads_lengths_in_different_ways_is_refused(tmp_path):
    save_encoder(tmp_path / "long", "longformer", attention_window=8)
    encoder = SentenceEncoder.load(EncoderSource(str(tmp_path / "long")))
    with pytest.raises(ModelError, match=r"^The encoder .*ONNX.*\.$"):
        next(write_sentence_encoder(encoder, tmp_path / "int8"))
    assert not (tmp_path / "int8").exists()


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(RunError, match=r"lacks 'encoder\.onnx'; export the bundle again\.$"):
        Int8SentenceEncoder.read(tmp_path)
