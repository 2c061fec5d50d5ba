"""Loading weights: what is broken or incomplete is one line, and nothing is drawn on the terminal."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from llmtl.engines import ModelSource
from llmtl.engines.transformers.loading import load_model, load_tokenizer
from llmtl.errors import ModelError


@pytest.fixture
def copy(tiny_llama, tmp_path):
    return shutil.copytree(tiny_llama, tmp_path / "copy")


def load(folder, **settings):
    return load_model(ModelSource(str(folder), **settings), "cpu")


def test_the_model_is_in_evaluation_mode_and_draws_no_bar(tiny_mistral, capfd):
    model = load(tiny_mistral)
    assert not model.training
    assert model.dtype == torch.float32
    assert capfd.readouterr() == ("", "")


def test_truncated_weights(copy):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"weights of the model .* cannot be loaded") as caught:
        load(copy)
    assert "\n" not in str(caught.value)


def test_missing_weights_are_not_filled_with_random_ones(copy):
    tensors = load_file(copy / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks weights, such as 'model.layers.1.mlp.up_proj.weight'"):
        load(copy)


def configure(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("size", ["intermediate_size", "vocab_size", "hidden_size"])
def test_weights_of_other_sizes(copy, size, capfd):
    configure(copy, **{size: 2 * json.loads((copy / "config.json").read_text())[size]})
    with pytest.raises(ModelError, match=r"not of the sizes that its config.json gives, such as '.*'; download"):
        load(copy)
    assert capfd.readouterr() == ("", "")


def test_a_configuration_whose_values_do_not_fit_each_other(copy):
    configure(copy, num_attention_heads=3)
    with pytest.raises(ModelError, match=r"^The config.json of the model [^\n]*; download the checkpoint again\.$"):
        load(copy)


def test_a_tokenizer_of_another_model(copy):
    configure(copy, vocab_size=10)
    with pytest.raises(ModelError, match=r"has \d+ tokens and its config.json 10: one of them is of another model"):
        load_tokenizer(ModelSource(str(copy)))


def test_a_checkpoint_without_tokenizer(copy):
    for path in copy.glob("token*"):
        path.unlink()
    with pytest.raises(ModelError, match=r"tokenizer of the model .* cannot be loaded") as caught:
        load_tokenizer(ModelSource(str(copy)))
    assert "\n" not in str(caught.value)


def test_an_adapter_folder_without_adapter(tiny_llama, tmp_path):
    with pytest.raises(ModelError, match=r"no adapter_config.json"):
        load(tiny_llama, adapter=tmp_path)


def test_an_adapter_of_another_model(tiny_llama, make_checkpoint, tmp_path):
    from peft import LoraConfig, get_peft_model

    other = load(make_checkpoint(tmp_path / "other", model_type="llama", hidden_size=32, head_dim=8))
    get_peft_model(other, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")).save_pretrained(
        tmp_path / "adapter"
    )
    with pytest.raises(ModelError, match="does not fit this model") as caught:
        load(tiny_llama, adapter=tmp_path / "adapter")
    assert "\n" not in str(caught.value)
