"""Small GGUF files, written as llama.cpp's converter writes them, of checkpoints that tests made."""

import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(
    checkpoint: Path,
    path: Path,
    *,
    quantised: bool = False,
    architecture: str = "llama",
    facts: dict[str, int | str] | None = None,
    factors: np.ndarray | None = None,
) -> Path:
    """Write a LLaMA checkpoint as GGUF, matrices in Q8_0 if `quantised`; `facts` are further metadata."""
    config = json.loads((checkpoint / "config.json").read_text())
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if quantised else gguf.LlamaFileType.ALL_F32)
    for key, value in (facts or {}).items():
        (writer.add_string if isinstance(value, str) else writer.add_uint32)(key, value)
    _add_tokenizer(writer, checkpoint)
    _add_tensors(writer, checkpoint, config, quantised)
    if factors is not None:
        writer.add_tensor("rope_freqs.weight", factors.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: gguf.GGUFWriter, checkpoint: Path) -> None:
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text())
    tokens = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    special = {each["content"]: each["id"] for each in tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges([" ".join(each) for each in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(special["<|bos|>"])
    writer.add_eos_token_id(special["<|end|>"])
    writer.add_pad_token_id(special["<|pad|>"])
    writer.add_chat_template((checkpoint / "chat_template.jinja").read_text())


def _add_tensors(writer: gguf.GGUFWriter, checkpoint: Path, config: dict, quantised: bool) -> None:
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for name, values in load_file(checkpoint / "model.safetensors").items():
        written = NAMES.get(name) or _layer_name(name)
        turned = _turned(values, heads[written.split(".")[2]]) if written.split(".")[2:3] in _TURNED else values
        if quantised and values.ndim == 2:
            packed = gguf.quantize(turned, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(written, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(written, np.ascontiguousarray(turned))


_TURNED = (["attn_q"], ["attn_k"])


def _layer_name(name: str) -> str:
    _, _, layer, *parts, _ = name.split(".")
    return f"blk.{layer}.{LAYER_NAMES['.'.join(parts)]}.weight"


def _turned(values: np.ndarray, heads: int) -> np.ndarray:
    """Order rows as llama.cpp does, which rotates neighbouring pairs where transformers rotates halves.

    As `LlamaModel.permute` in llama.cpp's convert_hf_to_gguf.py.
    """
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, values.shape[1])
    return halves.swapaxes(1, 2).reshape(values.shape)
