"""What vLLM must be told about a checkpoint's size, offline and when served.

Not covered: its other arguments (`llmtl.engines.vllm.model`, `llmtl.serving.bundle.vllm_config`).
"""

from collections.abc import Mapping
from typing import Any

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM makes room for (vllm.config.lora, `MaxLoRARanks`)."""

LONG_CONTEXT_TOKENS = 32_768
"""A model that takes more than this gets as much context as the memory holds (vLLM, `--max-model-len auto`): the
key-value cache of 131,072 tokens of an 8B LLaMA takes 16 GiB, and without them vLLM refuses to start."""


def lora_room(rank: int) -> int | None:
    """Find the smallest rank that vLLM makes room for and that holds an adapter of `rank`; None if there is none."""
    return next((each for each in LORA_RANKS if each >= rank), None)


def token_bytes(config: Mapping[str, Any], dtype: str) -> int:
    """Compute the bytes of one token's keys and values in all layers of a checkpoint with this config.json."""
    heads = config.get("num_key_value_heads") or config["num_attention_heads"]
    head_size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    # 2: a key and a value for each layer and key-value head
    return int(2 * config["num_hidden_layers"] * heads * head_size * (4 if dtype == "float32" else 2))
