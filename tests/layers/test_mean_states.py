"""Mean states by layer: the same alone and in a batch, for models that read one way and both ways."""

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from llmtl.layers.mean_states import mean_states
from llmtl.pocket import resolve

TEXTS = ("The card was kept by the machine.", "no", "Why was I charged twice for the same payment this month?", "")


@pytest.fixture(scope="module", params=["pocket-llama", "encoder"])
def loaded(request):
    folder = resolve("pocket-llama") if request.param == "pocket-llama" else request.getfixturevalue("tiny_encoder")
    return AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def test_a_text_has_the_states_that_it_has_alone(loaded):
    model, tokenizer = loaded
    found = mean_states(model, tokenizer, TEXTS)
    assert found.shape == (len(TEXTS), model.config.num_hidden_layers + 1, model.config.hidden_size)
    for text, states in zip(TEXTS[:3], found, strict=False):
        with torch.inference_mode():
            alone = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        expected = np.stack([each[0].mean(dim=0).numpy() for each in alone])
        assert states == pytest.approx(expected, abs=1e-4)


def test_of_a_long_text_the_beginning_is_read(loaded):
    model, tokenizer = loaded
    long = "machine " * 64
    one, other = mean_states(model, tokenizer, [long, f"{long} and then something else"], most_tokens=32)
    assert one == pytest.approx(other)
