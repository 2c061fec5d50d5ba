"""What a training changes: how the model is loaded, which of its weights are trained, and what is kept of it.

    Adapter       a LoRA adapter on frozen weights: in four bits (`qlora`) or in the model's own precision (`lora`)
    OwnWeights    the model's own weights: all of them (`full`), or those above frozen layers (`hybrid`)

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

from llmtl.engines.protocol import Precision
from llmtl.errors import TrainingError
from llmtl.tuning.config import AdapterTrainingConfig
from llmtl.tuning.initialisation import initial_adapter, keep_as_plain_lora, make_up_for_rounding
from llmtl.tuning.needed_memory import TrainedPart, frozen_layers
from llmtl.tuning.quantised import load_quantised, lora_config, train_in_float32


class TrainedWeights(Protocol):
    """The part of a model that is trained and kept."""

    @property
    def adapter(self) -> LoraConfig | None:
        """PEFT's settings of the adapter that is trained; None where the model's own weights are."""

    @property
    def less(self) -> str:
        """What to lower when memory runs out, in the imperative."""

    @property
    def trained(self) -> TrainedPart:
        """What of the model takes gradients and moments."""

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

    @property
    def trained(self) -> TrainedPart:
        """Name the adapter's size."""
        config = self.config
        return TrainedPart(
            rank=config.rank, targets=config.target_modules, dropout=config.dropout, four_bits=self.four_bits
        )

    def load(self, checkpoint: Path, *, device: str) -> PreTrainedModel:
        """Load the checkpoint in four bits, or else in bfloat16 on a GPU and in float32 on a CPU."""
        if self.four_bits:
            return load_quantised(checkpoint, device=device)
        return load_plain(checkpoint, device=device, dtype=torch.bfloat16 if device == "cuda" else torch.float32)

    def prepare(self, model: Any, *, base_name: str) -> None:
        """Let the adapter name its base model, and be trained in float32 from where the recipe says."""
        checkpoint = Path(model.get_base_model().config.name_or_path)
        model.peft_config["default"].base_model_name_or_path = base_name
        train_in_float32(model)
        if self.config.initialisation == "loftq":
            make_up_for_rounding(model, checkpoint)
        if self.config.initialisation != "default":
            model.initial_adapter = initial_adapter(model)

    def save(self, model: Any, folder: Path) -> None:
        """Write the adapter with its configuration."""
        with writing(folder):
            model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
            if self.config.initialisation != "default":
                keep_as_plain_lora(folder, model.initial_adapter)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's model card is an empty form; llmtl writes its own


@dataclass(frozen=True)
class OwnWeights:
    """The model's own weights but for its first layers, as many as the share `frozen` says, 0 to below 1.

    Where any are frozen, so are the input embeddings, and the output head is trained as a matrix of its own. A whole
    checkpoint is kept, in the numbers `dtype` that engines run it in.
    """

    dtype: Precision
    frozen: float = 0.0

    @property
    def adapter(self) -> None:
        """Train no adapter."""

    @property
    def less(self) -> str:
        """Name the length, and a strategy that needs less."""
        return "lower 'max_length', take lora or qlora"

    @property
    def trained(self) -> TrainedPart:
        """Name the share that is frozen."""
        return TrainedPart(frozen=self.frozen)

    def load(self, checkpoint: Path, *, device: str) -> PreTrainedModel:
        """Load the checkpoint in float32, which a GPU computes with in bfloat16."""
        model = load_plain(checkpoint, device=device, dtype=torch.float32)
        if self.frozen > 0:
            freeze_first(model, self.frozen)
        return model

    def prepare(self, model: Any, *, base_name: str) -> None:
        """Leave it as it was loaded."""

    def save(self, model: Any, folder: Path) -> None:
        """Write the model with its configuration; its tokenizer is not among it."""
        numbers = torch.float32 if self.dtype == "float32" else torch.bfloat16
        done: dict[int, torch.Tensor] = {}  # by place in memory: matrices that are one stay one
        weights = {
            name: done.setdefault(each.data_ptr(), each.to(numbers)) for name, each in model.state_dict().items()
        }
        model.config.use_cache = True  # it was switched off for training
        with writing(folder):
            model.save_pretrained(folder, state_dict=weights, safe_serialization=True)
        model.config.use_cache = False


def freeze_first(model: Any, share: float) -> None:
    """Freeze the input embeddings and the first `share` of the layers, rounded down; the last is always trained.

    An output head that is one matrix with the input embeddings gets a copy: training it would change what the frozen
    layers read.
    """
    inputs, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head.weight is inputs.weight:
        head.weight = torch.nn.Parameter(head.weight.detach().clone())
        model.config.tie_word_embeddings = False
        model.all_tied_weights_keys = {}
    layers = model.model.layers
    for part in (inputs, *layers[: frozen_layers(len(layers), share)]):
        part.requires_grad_(False)


def load_plain(checkpoint: Path, *, device: str, dtype: torch.dtype) -> PreTrainedModel:
    """Load the checkpoint unquantised.

    Reads safetensors only, and runs no code from the checkpoint.
    """
    model: Any = AutoModelForCausalLM.from_pretrained(
        checkpoint,
        dtype=dtype,
        attn_implementation="sdpa",  # takes the masks of `llmtl.tuning.shared_prefix`
        device_map={"": device},
        use_safetensors=True,
        trust_remote_code=False,
    )
    model.config.use_cache = False  # training needs no keys and values of earlier steps
    return model  # type: ignore[no-any-return]


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a disk that takes no more into one line."""
    try:
        yield
    except SafetensorError as error:
        raise TrainingError(f"The weights cannot be written to '{folder}' ({error}); free some space there.") from error
