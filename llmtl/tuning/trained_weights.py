"""What a training changes: how the model is loaded, which of its weights are trained, and what is kept of it.

    Adapter       a LoRA adapter on frozen weights: in four bits (`qlora`) or in the model's own precision (`lora`)

Trained weights are always float32: AdamW's steps are smaller than what bfloat16 tells apart. Not covered: the training
itself (`llmtl.tuning.training`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from peft import LoraConfig
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel

from llmtl.errors import TrainingError
from llmtl.tuning.config import AdapterTrainingConfig
from llmtl.tuning.quantised import load_quantised, lora_config, train_in_float32


class TrainedWeights(Protocol):
    """The part of a model that is trained and kept."""

    @property
    def adapter(self) -> LoraConfig | None:
        """PEFT's settings of the adapter that is trained; None where the model's own weights are."""

    @property
    def less(self) -> str:
        """What to lower when memory runs out, in the imperative."""

    def load(self, checkpoint: Path, *, device: str) -> PreTrainedModel:
        """Load the checkpoint on `device` (`cpu` or `cuda`) for training; what is not to be trained is frozen."""

    def prepare(self, model: Any, *, base_name: str) -> None:
        """Make the trainer's model ready for its first step; `base_name` is what the recipe calls the base model."""

    def save(self, model: Any, folder: Path) -> None:
        """Write what was trained to `folder` as safetensors; raises `TrainingError` where the disk does not take it."""


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter on every linear layer but the output head; the layers are frozen, with `four_bits` in NF4."""

    config: AdapterTrainingConfig
    four_bits: bool

    @property
    def adapter(self) -> LoraConfig:
        """Make PEFT's settings."""
        return lora_config(self.config)

    @property
    def less(self) -> str:
        """Name the rank, and a strategy that needs less where there is one."""
        return "lower 'max_length' or 'rank'" + ("" if self.four_bits else ", take qlora")

    def load(self, checkpoint: Path, *, device: str) -> PreTrainedModel:
        """Load the checkpoint in four bits, or else in bfloat16 on a GPU and in float32 on a CPU."""
        return load_quantised(checkpoint, device=device) if self.four_bits else load_plain(checkpoint, device=device)

    def prepare(self, model: Any, *, base_name: str) -> None:
        """Let the adapter name its base model, and be trained in float32."""
        model.peft_config["default"].base_model_name_or_path = base_name
        train_in_float32(model)

    def save(self, model: Any, folder: Path) -> None:
        """Write the adapter with its configuration."""
        with _writing(folder):
            model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's model card is an empty form; llmtl writes its own


def load_plain(checkpoint: Path, *, device: str) -> PreTrainedModel:
    """Load the checkpoint unquantised, in bfloat16 on a GPU and in float32 on a CPU, as engines do.

    Reads safetensors only, and runs no code from the checkpoint.
    """
    model: Any = AutoModelForCausalLM.from_pretrained(
        checkpoint,
        dtype=torch.bfloat16 if device == "cuda" else torch.float32,
        attn_implementation="sdpa",  # takes the masks of `llmtl.tuning.shared_prefix`
        device_map={"": device},
        use_safetensors=True,
        trust_remote_code=False,
    )
    model.config.use_cache = False  # training needs no keys and values of earlier steps
    return model  # type: ignore[no-any-return]


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn a disk that takes no more into one line."""
    try:
        yield
    except SafetensorError as error:
        raise TrainingError(f"The weights cannot be written to '{folder}' ({error}); free some space there.") from error
