"""Adapters that start from the weights instead of from zero, and how they become plain LoRA that is served on the base.

PiSSA and OLoRA take A0 and B0 out of the frozen weight W and train W - s B0 A0 + s B A (s: alpha / rank); LoftQ keeps
the rounded weight Q and starts with s B0 A0 near W - Q. What training changed is s (B A - B0 A0) each time, which is an
adapter of twice the rank: A over A0, and B beside -B0. On the unrounded base model that is exact for PiSSA and OLoRA.
For LoftQ it leaves out W - Q - s B0 A0, what rounding took and the adapter did not make up for; plain QLoRA leaves out
W - Q. PEFT converts so, too (`path_initial_model_for_weight_conversion`), with a second adapter in the model; here only
two matrices per layer are kept. Not covered: starts that need gradients (LoRA-GA) or data (CorDA, EVA).
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.functional import dequantize_4bit
from peft import get_peft_model_state_dict
from peft.tuners.lora import Linear4bit
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from llmtl.store import read_json, write_json

_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"
_PREFIX = "base_model.model."


def initial_adapter(model: Any) -> dict[str, torch.Tensor]:
    """Copy what the adapter of a PEFT model starts from, by the names in its file."""
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: weight.detach().cpu().clone() for name, weight in state.items()}


def make_up_for_rounding(model: Any, checkpoint: Path) -> None:
    """Let the adapter on four-bit layers start from the best approximation of what rounding took (LoftQ, one step)."""
    for name, layer in model.named_modules():
        if not isinstance(layer, Linear4bit):
            continue
        held = layer.get_base_layer().weight
        rounded = dequantize_4bit(held.data, held.quant_state).float()
        # (out, in): the weight as it was, less the weight as it is held
        lost = _weight(checkpoint, f"{name.removeprefix(_PREFIX)}.weight").to(rounded.device).float() - rounded
        left, values, right = torch.linalg.svd(lost, full_matrices=False)
        rank, scale = layer.r["default"], layer.scaling["default"]
        root = (values[:rank] / scale).sqrt()
        layer.lora_A["default"].weight.data = (root[:, None] * right[:rank]).contiguous()
        layer.lora_B["default"].weight.data = (left[:, :rank] * root).contiguous()


def keep_as_plain_lora(folder: Path, initial: dict[str, torch.Tensor]) -> None:
    """Turn the adapter that was saved in `folder` into what training changed, as LoRA of twice the rank."""
    trained = load_file(folder / _WEIGHTS)
    changed = {}
    for name, weight in trained.items():
        start = initial[name].to(weight.dtype)
        # A: (rank, in) over (rank, in); B: (out, rank) beside (out, rank)
        pair = ([weight, start], 0) if ".lora_A." in name else ([weight, -start], 1)
        changed[name] = torch.cat(pair[0], dim=pair[1]).contiguous()
    save_file(changed, folder / _WEIGHTS, metadata={"format": "pt"})
    settings: dict[str, Any] = read_json(folder / _CONFIG)
    rank, alpha = settings["r"], settings["lora_alpha"]
    scale = alpha / math.sqrt(rank) if settings["use_rslora"] else alpha / rank
    plain = {"r": 2 * rank, "lora_alpha": 2 * rank * scale, "use_rslora": False, "init_lora_weights": True}
    write_json(folder / _CONFIG, settings | plain)


def _weight(checkpoint: Path, name: str) -> torch.Tensor:
    """Read one weight of a checkpoint in safetensors, in one file or several."""
    index = checkpoint / "model.safetensors.index.json"
    file = json.loads(index.read_bytes())["weight_map"][name] if index.is_file() else "model.safetensors"
    with safe_open(checkpoint / file, framework="pt") as weights:
        return weights.get_tensor(name)  # type: ignore[no-any-return]
