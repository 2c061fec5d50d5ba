"""Build the two architectures and write their checkpoints. Not covered: sizes other than the published ones."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

Architecture = Literal["llama", "mistral"]


@dataclass(frozen=True)
class Size:
    """The shape of a pocket model. Widths are multiples of 64, the block size of NF4 in bitsandbytes."""

    hidden: int = 192
    layers: int = 4
    heads: int = 3
    mlp: int = 512
    max_positions: int = 2048
    window: int = 512
    rope_theta: float = 10_000.0
    initializer_range: float = 0.05


def build(
    architecture: Architecture, vocabulary_size: int, size: Size, *, token_ids: tuple[int, int, int]
) -> "PreTrainedModel":
    """Build a model with fresh weights. `token_ids` are those of padding, beginning and end."""
    from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

    pad, bos, eos = token_ids
    shape: dict[str, Any] = {
        "vocab_size": vocabulary_size,
        "hidden_size": size.hidden,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.heads,
        "head_dim": size.hidden // size.heads,
        "intermediate_size": size.mlp,
        "max_position_embeddings": size.max_positions,
        "rope_parameters": {"rope_type": "default", "rope_theta": size.rope_theta},
        "tie_word_embeddings": True,
        "initializer_range": size.initializer_range,
        "rms_norm_eps": 1e-5,
        "pad_token_id": pad,
        "bos_token_id": bos,
        "eos_token_id": eos,
    }
    if architecture == "llama":
        return LlamaForCausalLM(LlamaConfig(**shape))  # type: ignore[no-untyped-call]
    config = MistralConfig(**shape, sliding_window=size.window)
    return MistralForCausalLM(config)  # type: ignore[no-untyped-call]


def export(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", out: Path) -> None:
    """Write a checkpoint folder in float32 safetensors.

    Readers see the old folder or the new one, never half of it.
    """
    fresh, old = out.with_name(out.name + ".new"), out.with_name(out.name + ".old")
    for folder in (fresh, old):
        shutil.rmtree(folder, ignore_errors=True)
    fresh.parent.mkdir(parents=True, exist_ok=True)
    implementation = model.config._attn_implementation
    model.config._attn_implementation = None
    model.save_pretrained(fresh, safe_serialization=True)
    model.config._attn_implementation = implementation
    tokenizer.save_pretrained(fresh)
    if out.exists():
        out.replace(old)
    fresh.replace(out)
    shutil.rmtree(old, ignore_errors=True)
