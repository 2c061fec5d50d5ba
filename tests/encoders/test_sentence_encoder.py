"""Vectors of texts, against sentence-transformers itself and against transformers."""

import shutil

import numpy as np
import pytest

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.sentence import SentenceEncoder
from llmtl.errors import ModelError
from tests.support.encoders import save_encoder

TEXTS = ("I lost my card", "", "when is my refund, please", "where is the parcel", "card lost")
LONG = "my parcel has not arrived and the refund is not back " * 60


@pytest.fixture(scope="module")
def tiny(tiny_encoder):
    return SentenceEncoder.load(EncoderSource(str(tiny_encoder)))


def test_vectors_of_minilm_are_those_of_sentence_transformers(minilm, capfd):
    found = minilm.encode(TEXTS)
    expected = minilm.model.encode(list(TEXTS), show_progress_bar=False)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert capfd.readouterr().err == ""


def test_minilm_knows_what_is_alike(minilm):
    card, refund, payback, parcel = minilm.encode(
        ("I lost my card", "I want a refund", "give me my money back", "where is the parcel")
    )
    assert refund @ payback > max(refund @ card, refund @ parcel)


def test_a_long_text_is_the_mean_of_its_windows_weighted_by_tokens(minilm):
    [found] = minilm.encode([LONG])
    tokenizer, room = minilm.model.tokenizer, minilm.context_length
    ids = tokenizer(LONG, add_special_tokens=False, truncation=False)["input_ids"]
    step = (room - 2) - (room - 2) // 4
    starts = [0, *range(step, len(ids) - (room - 2) // 4, step)]
    windows = [ids[start : start + room - 2] for start in starts]
    vectors = minilm.model.encode([tokenizer.decode(each) for each in windows], show_progress_bar=False)
    expected = np.average(vectors, axis=0, weights=[len(each) for each in windows])
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-4)
    assert minilm.count_long([LONG, "short"]) == 1


@pytest.mark.parametrize("model_type", ["bert", "roberta", "modernbert", "deberta-v2", "distilbert", "electra"])
def test_a_plain_encoder_gives_the_mean_of_its_last_states(model_type, tmp_path):
    import torch
    from transformers import AutoModel, AutoTokenizer

    names = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64} if model_type == "distilbert" else {}
    folder = save_encoder(tmp_path / model_type, model_type, **names)
    encoder = SentenceEncoder.load(EncoderSource(str(folder)))
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        expected = [
            model(**tokenizer(text, return_tensors="pt", return_token_type_ids=False)).last_hidden_state[0].mean(0)
            for text in TEXTS
        ]
    np.testing.assert_allclose(encoder.encode(TEXTS), torch.stack(expected).numpy(), atol=1e-5)
    assert encoder.encode([LONG]).shape == (1, 32)


def test_order_and_company_do_not_matter(tiny):
    alone = np.concatenate([tiny.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(tiny.encode(TEXTS), alone, atol=1e-5)
    np.testing.assert_allclose(tiny.encode(TEXTS[::-1])[::-1], alone, atol=1e-5)
    assert tiny.encode([]).shape == (0, 32)


def test_progress_counts_every_text_once(tiny):
    seen = []
    tiny.encode([*TEXTS, LONG] * 20, advance=seen.append)
    assert sum(seen) == 120


def test_batches_shrink_when_memory_runs_out(tiny_encoder, monkeypatch):
    encoder = SentenceEncoder.load(EncoderSource(str(tiny_encoder)))
    expected, forward, sizes = encoder.encode(TEXTS), encoder._vectors, []

    def scarce(batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(batch)

    monkeypatch.setattr(encoder, "_vectors", scarce)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)
    assert max(sizes) > 2 >= sizes[-1]


def test_a_saved_encoder_gives_the_same_vectors(tiny, tmp_path):
    tiny.save(tmp_path)
    again = SentenceEncoder.load(EncoderSource(str(tmp_path)))
    assert again.info.sentence_transformer
    assert again.context_length == tiny.context_length
    np.testing.assert_allclose(again.encode([*TEXTS, LONG]), tiny.encode([*TEXTS, LONG]), atol=1e-6)
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds <= {".json", ".safetensors", ".txt"}


def test_a_checkpoint_that_lacks_weights_is_refused(tiny_encoder, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(tiny_encoder, tmp_path / "copy")
    kept = load_file(folder / "model.safetensors")
    del kept["bert.encoder.layer.1.output.dense.weight"]
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks weights"):
        SentenceEncoder.load(EncoderSource(str(folder)))
