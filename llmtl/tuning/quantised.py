"""Load the base model in four bits and prepare a LoRA adapter on all linear layers for training.

NF4 with double quantisation (Dettmers et al. 2023, "QLoRA", arXiv:2305.14314, section 3). Not covered: serving, which
puts the adapter on the base model in full precision.
"""

from pathlib import Path
from typing import Any

import torch
from bitsandbytes.nn.modules import Linear4bit
from peft import LoraConfig
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from llmtl.tuning.config import AdapterTrainingConfig

_INITIALISATIONS: dict[str, Any] = {
    "default": True,
    "pissa": "pissa_niter_16",  # the fast decomposition, with as many iterations as its authors advise
    "olora": "olora",
    "loftq": True,  # put in afterwards, as PEFT can do it on a GPU only
}


def load_quantised(checkpoint: Path, *, device: str) -> PreTrainedModel:
    """Load the checkpoint with its linear layers frozen in NF4; it computes in bfloat16 on a GPU, float32 on a CPU.

    Reads safetensors only, and runs no code from the checkpoint.
    """
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    make_config: Any = BitsAndBytesConfig
    # NF4: a (out, in) weight is stored as two 4-bit codes per byte with one scale per 64 weights; double quantisation
    # stores those scales in 8 bits, which saves about 0.37 bits per weight (QLoRA, section 3).
    quantisation = make_config(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    model: Any = AutoModelForCausalLM.from_pretrained(
        checkpoint,
        quantization_config=quantisation,
        dtype=dtype,
        attn_implementation="sdpa",  # takes the masks of `llmtl.tuning.shared_prefix`
        device_map={"": device},
        use_safetensors=True,
        trust_remote_code=False,
    )
    keep_trainable_after_evaluation(model)
    model.config.use_cache = False  # training needs no keys and values of earlier steps
    return model  # type: ignore[no-any-return]


def keep_trainable_after_evaluation(model: torch.nn.Module) -> None:
    """Stop the 4-bit layers of `model` from repacking their weights for CPU inference.

    On a CPU with AVX512-BF16, bitsandbytes 0.50 repacks a layer the first time it runs without gradients, for
    good; from then on its output carries no gradient, so training after one evaluation would silently learn little.
    """
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def lora_config(config: AdapterTrainingConfig) -> LoraConfig:
    """Make PEFT's settings of the adapter: by default on every linear layer except the output head."""
    # Each (out, in) layer gets A (rank, in) and B (out, rank), B starting at 0: its output becomes
    # W x + alpha / rank * B A x (Hu et al. 2021, "LoRA", arXiv:2106.09685, section 4.1).
    return LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        init_lora_weights=_INITIALISATIONS[config.initialisation],
        use_rslora=config.rank_stabilised,
        target_modules=list(config.target_modules) if config.target_modules else "all-linear",
        task_type="CAUSAL_LM",
    )


def train_in_float32(model: Any) -> None:
    """Convert the trainable parameters of `model` to float32.

    TRL's trainer stores a quantised model's adapter in bfloat16, whose 8 bits of mantissa lose updates smaller than
    1/256 of a weight; AdamW's steps at the usual rates are that small. Call it before the optimizer is made.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
