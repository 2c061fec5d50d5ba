"""A language model with a classification head: a LoRA adapter and the head are trained, and merged when it is written.

The head is transformers' own for sequence classification: a linear layer on the state of a text's last token. Weights
are float32, so that merging changes scores by no more than rounding; what was written is read by `Network`. Not
covered: four bits, bfloat16, words.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification

from llmtl.encoders.network import Network, Scoring, load_tokenizer


@dataclass(frozen=True)
class AdapterShape:
    """The size of a LoRA adapter, on all linear layers."""

    rank: int
    alpha: int
    dropout: float


@dataclass(frozen=True)
class LanguageNetwork(Network):
    """A language model with a fresh adapter and head."""

    @classmethod
    def start(cls, folder: Path, scoring: Scoring, adapter: AdapterShape, *, device: str) -> "LanguageNetwork":
        """Put a fresh head and adapter on the checkpoint in `folder`; the caller seeds torch."""
        tokenizer = load_tokenizer(folder, pads=False)
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            folder,
            num_labels=scoring.outputs,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            attn_implementation="sdpa",
        )
        model.config.pad_token_id = tokenizer.pad_token_id  # the head looks for the last token that is another
        settings = LoraConfig(
            r=adapter.rank,
            lora_alpha=adapter.alpha,
            lora_dropout=adapter.dropout,
            target_modules="all-linear",  # but for the head, which is trained as it is
            task_type="SEQ_CLS",
        )
        return cls(get_peft_model(model, settings).to(device), tokenizer, scoring, device)

    def write(self, folder: Path) -> None:
        """Merge the adapter into the weights, and write them, settings and tokenizer; the network is spent then."""
        merged = self.model.merge_and_unload()
        merged.config.name_or_path = ""
        Network(merged, self.tokenizer, self.scoring, self.device).write(folder)
