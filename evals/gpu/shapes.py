"""Checkpoints of published shapes with random weights, for times and memory where nothing can be downloaded.

The tokenizer is the pocket model's, whose ids are a part of these vocabularies, so prompts have other lengths than with
the real one: figures are given per token. Not covered: anything that depends on what a model knows.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig

from llmtl.pocket import resolve

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder: those of `config.json` at huggingface.co for the model in `like`."""

    like: str
    family: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    mlp: int
    vocabulary: int
    rope_theta: float


SHAPES = {
    "llama-8b": Shape("meta-llama/Llama-3.1-8B", "llama", 4096, 32, 32, 8, 14336, 128256, 500_000.0),
    "mistral-7b": Shape("mistralai/Mistral-7B-v0.3", "mistral", 4096, 32, 32, 8, 14336, 32768, 1_000_000.0),
    "tiny-llama": Shape("none", "llama", 128, 2, 4, 2, 256, 8192, 10_000.0),
    "tiny-mistral": Shape("none", "mistral", 128, 2, 4, 2, 256, 8192, 10_000.0),
}
CONTEXT = 8192


def write_checkpoint(name: str, folder: Path, *, device: str) -> int:
    """Write random bfloat16 weights of a shape, made on `device`, as a checkpoint; return the number of parameters."""
    shape, pocket = SHAPES[name], resolve("pocket-llama")
    assert pocket is not None
    settings: dict[str, Any] = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "intermediate_size": shape.mlp,
        "max_position_embeddings": CONTEXT,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "tie_word_embeddings": False,
    }
    config: Any = LlamaConfig(**settings) if shape.family == "llama" else MistralConfig(**settings, sliding_window=None)
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder, safe_serialization=True)
    for each in TOKENIZER_FILES:
        if (pocket / each).is_file():
            shutil.copy(pocket / each, folder / each)
    return int(model.num_parameters())
