"""The least memory that training a model takes, said before anything is loaded.

Weights, gradients and AdamW's two moments per trained weight (Rajbhandari et al. 2020, "ZeRO", arXiv:1910.02054,
section 3.1); what does not fit without activations will not fit with them. Not covered: activations, which depend on
the batch, and which training answers by smaller ones (`llmtl.tuning.training`); adapters.
"""

from llmtl.engines.checkpoint import CheckpointInfo, count_parameters
from llmtl.errors import ModelError
from llmtl.hardware import Hardware
from llmtl.json_and_yaml import parse_json

GIB = 2**30
_WEIGHT = _GRADIENT = 4
_MOMENTS, _MOMENTS_ON_GPU, _HELD = 8, 2, 8
"""Bytes per trained weight: AdamW in float32, its 8-bit form (Dettmers et al. 2022, arXiv:2110.02861), and what
consolidation holds (`llmtl.tuning.consolidation`)."""


def frozen_layers(layers: int, share: float) -> int:
    """Count the first layers that stay as they are: the share, rounded down, and never all of them."""
    return min(layers - 1, int(share * layers + 1e-9))


def needed_gib(info: CheckpointInfo, *, frozen: float, device: str, consolidated: bool = False) -> float:
    """Compute the GiB of weights, gradients and moments where the first `frozen` of the layers are not trained.

    Where they are `consolidated`, also of each trained weight's start and Fisher information, beside full moments.
    """
    config = parse_json((info.path / "config.json").read_bytes()) | {"tie_word_embeddings": True}
    table = info.vocabulary * info.hidden_size
    still = frozen_layers(info.layers, frozen)
    held = count_parameters({**config, "num_hidden_layers": still}) - info.hidden_size if frozen > 0 else 0
    # with frozen layers the head is a matrix of its own, whose size the input embeddings' is
    trained = info.parameters if frozen == 0 else count_parameters(config) - held + table
    moments = _MOMENTS + _HELD if consolidated else _MOMENTS_ON_GPU if device == "cuda" else _MOMENTS
    return (held * _WEIGHT + trained * (_WEIGHT + _GRADIENT + moments)) / GIB


def held_gib(info: CheckpointInfo) -> float:
    """Compute the GiB of the weights alone, in float32."""
    return info.parameters * _WEIGHT / GIB


def require_memory(info: CheckpointInfo, hardware: Hardware, *, needed: float, name: str) -> None:
    """Raise `ModelError` where the `needed` GiB of the strategy `name` are not free on this machine."""
    free = hardware.gpus[0].free_gib if hardware.gpus else hardware.ram_free_gib
    if needed <= free:
        return
    what = "the GPU" if hardware.gpus else "this machine"
    raise ModelError(
        f"The strategy '{name}' needs at least {needed:,.1f} GiB for this model of {info.parameters / 1e9:,.2f} "
        f"billion weights (weights, gradients, the optimizer's moments), and {what} has {free:,.1f} GiB free; take "
        "lora or qlora, or a smaller model."
    )
