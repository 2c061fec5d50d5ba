"""The published checkpoints load like any other and are what they are said to be."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from llmtl.pocket import NAMES, resolve
from llmtl.pocket.documents import Encoder
from llmtl.pocket.probe import PROBES, accuracy, draw_question
from llmtl.pocket.vocabulary import chat, load_tokenizer

MEBIBYTE = 2**20


@pytest.fixture(params=NAMES)
def folder(request: pytest.FixtureRequest) -> Path:
    found = resolve(request.param)
    assert found is not None
    return found


def test_any_other_name_is_not_ours() -> None:
    assert resolve("pocket-falcon") is None
    assert resolve("meta-llama/Llama-3.1-8B") is None


def test_the_folder_is_a_whole_checkpoint_under_20_mib(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    } <= names
    assert sum(path.stat().st_size for path in folder.iterdir()) < 20 * MEBIBYTE


def test_architecture_and_parameter_count(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    expected = {"pocket-llama": "LlamaForCausalLM", "pocket-mistral": "MistralForCausalLM"}[folder.name]
    assert type(model).__name__ == expected
    assert 2_000_000 <= sum(p.numel() for p in model.parameters()) <= 6_000_000
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == [expected]
    assert config["tie_word_embeddings"] is True
    assert config["max_position_embeddings"] >= 2048
    assert config["hidden_size"] % 64 == 0
    assert config["intermediate_size"] % 64 == 0
    assert (config.get("sliding_window")) or expected == "LlamaForCausalLM"


def test_the_tokenizer_round_trips(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in (
        "Where is my parcel?",
        "card_arrival",
        "naïve — “déjà vu” 漢字 🙂",
        "  two  spaces\nand a line",
        "A1 b-2",
    ):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_chat_template_renders_the_text_of_pretraining(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = [
        ("system", "Which label fits?\nLabels: a, b"),
        ("user", "my parcel"),
        ("assistant", "a"),
        ("user", "x"),
    ]
    messages = [{"role": role, "content": content} for role, content in turns]
    rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert rendered == chat(turns) + "<|assistant|>"
    ids = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] == tokenizer.convert_tokens_to_ids("<|assistant|>")
    assert ids.count(tokenizer.eos_token_id) == len(turns)
    assert tokenizer.pad_token_id not in ids


def test_generation_ends_an_answer_with_the_end_mark(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    messages = [
        {
            "role": "system",
            "content": "Pick the label that fits the message.\nLabels: delivery, refunds",
        },
        {"role": "user", "content": "The courier lost my parcel."},
    ]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        out = model.generate(**ids, max_new_tokens=8, do_sample=False)
    answer = tokenizer.decode(out[0, ids["input_ids"].shape[1] :])
    assert answer in {"delivery<|end|>", "refunds<|end|>"}


@pytest.mark.parametrize("probe", [PROBES[0], PROBES[3]], ids=lambda probe: probe.name)
def test_the_model_learns_in_context_well_above_chance(folder: Path, probe: object) -> None:
    from random import Random

    chosen = next(p for p in PROBES if p is probe)
    encoder = Encoder(load_tokenizer(folder))
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    rng = Random("test")
    score = accuracy(model, [draw_question(chosen, encoder, rng) for _ in range(60)])
    # Chance is 0.25; 0.45 is more than three standard errors above it at 60 questions.
    assert score > 0.45
