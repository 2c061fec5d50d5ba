"""What a checkpoint is: facts read from its files, and one line for each thing that cannot be loaded."""

import json
import shutil

import pytest
from transformers import AutoModelForCausalLM

from llmtl.engines.checkpoint import count_parameters, fetch_checkpoint, inspect_checkpoint
from llmtl.errors import ModelError


@pytest.fixture
def copy(tiny_llama, tmp_path):
    """Return a copy of the tiny LLaMA that a test may spoil."""
    return shutil.copytree(tiny_llama, tmp_path / "copy")


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_facts_of_a_llama(tiny_llama):
    info = inspect_checkpoint(str(tiny_llama))
    assert (info.path, info.model_type, info.hidden_size, info.layers) == (tiny_llama, "llama", 64, 2)
    assert (info.context_length, info.vocabulary, info.sliding_window) == (512, 400, None)
    assert info.has_chat_template


def test_facts_of_a_mistral_and_of_a_base_model(tiny_mistral, tiny_base):
    mistral = inspect_checkpoint(str(tiny_mistral))
    assert (mistral.model_type, mistral.sliding_window) == ("mistral", 48)
    assert not inspect_checkpoint(str(tiny_base)).has_chat_template


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": False}, {"head_dim": 24, "num_key_value_heads": 1}])
@pytest.mark.parametrize("model_type", ["llama", "mistral"])
def test_parameters_are_those_transformers_counts(make_checkpoint, tmp_path, model_type, changes):
    folder = make_checkpoint(tmp_path / "m", model_type=model_type, **changes)
    assert inspect_checkpoint(str(folder)).parameters == AutoModelForCausalLM.from_pretrained(folder).num_parameters()


def test_parameters_of_llama_3_8b():
    config = {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "tie_word_embeddings": False,
    }
    assert count_parameters(config) == 8_030_261_248  # as the model card's safetensors metadata states


def test_a_folder_is_fetched_as_it_is(tiny_llama):
    assert fetch_checkpoint(str(tiny_llama)) == tiny_llama


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "~/no-such-folder", "a/b/c", "models\\llama", "x/"])
def test_a_missing_folder_is_said_to_be_one(name):
    with pytest.raises(ModelError, match=r"folder .* does not exist"):
        inspect_checkpoint(name)


def test_a_file_is_not_a_checkpoint(tiny_llama):
    with pytest.raises(ModelError, match="is a file"):
        inspect_checkpoint(str(tiny_llama / "config.json"))


def test_a_folder_without_configuration(tmp_path):
    with pytest.raises(ModelError, match=r"no readable config.json;"):
        inspect_checkpoint(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="LoRA adapter"):
        inspect_checkpoint(str(tmp_path))


def test_a_broken_configuration(copy):
    (copy / "config.json").write_text("{ not json")
    with pytest.raises(ModelError, match=r"no readable config.json"):
        inspect_checkpoint(str(copy))
    (copy / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelError, match="lacks 'hidden_size'"):
        inspect_checkpoint(str(copy))


@pytest.mark.parametrize("model_type", ["gpt2", "qwen2", "mixtral", None])
def test_another_family_is_refused(copy, model_type):
    change_config(copy, model_type=model_type)
    with pytest.raises(ModelError, match=f"type '{model_type}'.*LLaMA- or Mistral-family"):
        inspect_checkpoint(str(copy))


def test_a_classifier_head_is_refused(copy):
    change_config(copy, architectures=["LlamaForSequenceClassification"])
    with pytest.raises(ModelError, match="LlamaForSequenceClassification, not a language model"):
        inspect_checkpoint(str(copy))


def test_a_quantised_checkpoint_is_refused(copy):
    change_config(copy, quantization_config={"quant_method": "gptq"})
    with pytest.raises(ModelError, match=r"quantised .gptq."):
        inspect_checkpoint(str(copy))


def test_pickled_weights_are_refused(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no \*.safetensors"):
        inspect_checkpoint(str(copy))


@pytest.mark.parametrize("name", ["meta-llama/no-such-model", "no-such-model"])
def test_an_unreachable_hub_name_is_one_line_with_the_cure(monkeypatch, name):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="Hub cannot be reached; connect") as caught:
        inspect_checkpoint(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["pocket-lama", "pocket_mistral", "Pocket-LLaMA"])
def test_a_name_like_an_embedded_model_gets_a_hint(monkeypatch, name):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"Did you mean 'pocket-(llama|mistral)'"):
        inspect_checkpoint(name)


def test_a_name_that_no_hub_can_have(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="neither a folder nor a Hub name"):
        inspect_checkpoint("a model with spaces")


def test_a_hub_name_in_the_local_cache_is_read_offline(tiny_llama, tmp_path, monkeypatch):
    snapshot = tmp_path / "models--me--tiny" / "snapshots" / "abc"
    shutil.copytree(tiny_llama, snapshot)
    (tmp_path / "models--me--tiny" / "refs").mkdir()
    (tmp_path / "models--me--tiny" / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert inspect_checkpoint("me/tiny").hidden_size == 64
    assert fetch_checkpoint("me/tiny").samefile(snapshot)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": "wide"},
        {"num_attention_heads": 0, "head_dim": None},
        {"vocab_size": None},
        {"max_position_embeddings": [512]},
        {"architectures": 5},
        {"quantization_config": "int4"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_configuration_with_values_of_another_kind_is_refused(copy, changes):
    change_config(copy, **changes)
    with pytest.raises(ModelError, match=r"^The [^\n]*; [^\n]*\.$"):
        inspect_checkpoint(str(copy))


def test_an_adapter_beside_a_whole_model_is_refused_by_its_file(copy):
    (copy / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else", "peft_type": "LORA"}')
    with pytest.raises(ModelError, match=r"'adapter_config\.json' names another model.*; take that out"):
        inspect_checkpoint(str(copy))


def test_a_revision_of_a_folder_is_refused(copy):
    with pytest.raises(ModelError, match="has no revision 'nope'; leave the revision out, or give a Hub name"):
        inspect_checkpoint(str(copy), "nope")
