"""The memory that training a decoder takes at its peak, forecast from sizes before anything is loaded.

At the start of a backward pass weights, moments and what the forward pass kept are held; at its end weights, moments
and gradients. The peak is the larger of the two. Weights, gradients and moments: Rajbhandari et al. 2020, "ZeRO",
arXiv:1910.02054, section 3.1. Activations: as Korthikanti et al. 2022, "Reducing Activation Recomputation in Large
Transformer Models", arXiv:2205.05198, section 4.1, add up what each operation of a layer keeps for its backward pass
(their 34 bytes per token and hidden unit), for a LLaMA layer as transformers computes it: grouped keys and values, a
gated feed-forward block, fused attention that keeps no matrix of weights but its mask, no dropout but that of adapters,
and nothing for weights that stay as they are. `evals/bench_memory.py` compares with measured peaks.

Not covered: the files of a checkpoint that the system keeps in memory while it can.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from llmtl.engines.checkpoint import CheckpointInfo
from llmtl.errors import ModelError
from llmtl.hardware import Hardware
from llmtl.json_and_yaml import parse_json

GIB = 2**30
_FLOAT32 = 4
_NF4 = 0.5 + 0.127 / 8
"""Bytes per weight in NF4 with double quantisation (Dettmers et al. 2023, arXiv:2305.14314, section 3)."""
_MOMENTS, _MOMENTS_ON_GPU, _HELD = 8, 2, 8
"""Bytes per trained weight: AdamW in float32, its 8-bit form (Dettmers et al. 2022, arXiv:2110.02861), and what
consolidation holds (`llmtl.tuning.consolidation`)."""
_LOGITS_AT_ONCE = 8192
"""Entries of the vocabulary that TRL's head computes at once for a token (`trl.trainer.utils`)."""
_RUNTIME_GIB = 0.035
"""What a training takes on a CPU beside its tensors (trainer, data, code that is loaded on first use)."""
_HEAP, _HEAP_OF_OWN, _HEAP_UP_TO = 1.0, 0.45, 32 * 2**20
"""On a CPU glibc keeps the holes that are freed between activations, as a share of what these take, unless tensors are
so large that each has memory of its own (`man mallopt`, M_MMAP_THRESHOLD). Adapters leave more of them.
These shares and the bytes above were set by `evals/bench_memory.py` on the trainings of pocket-llama with 16 long
examples (QLoRA, and all weights), which check nothing; the other cases of `evals/results/bench_memory.json` do."""
FORECAST_ERROR = 0.2
"""Forecast and peak differ by at most this share of the peak (the goal of `evals/bench_memory.py`): what needs more
than is free by more than that surely does not fit."""


@dataclass(frozen=True)
class DecoderSizes:
    """The sizes of a LLaMA- or Mistral-family model; `queries` and `keys` are the widths of all heads together."""

    layers: int
    hidden: int
    mlp: int
    heads: int
    queries: int
    keys: int
    vocabulary: int
    tied: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Read them from the contents of a `config.json`."""
        hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        width = int(config.get("head_dim") or hidden // heads)
        return cls(
            layers=int(config["num_hidden_layers"]),
            hidden=hidden,
            mlp=int(config["intermediate_size"]),
            heads=heads,
            queries=heads * width,
            keys=int(config.get("num_key_value_heads") or heads) * width,
            vocabulary=int(config["vocab_size"]),
            tied=bool(config.get("tie_word_embeddings")),
        )

    @property
    def linear(self) -> dict[str, tuple[int, int]]:
        """List the linear layers of a block with their inputs and outputs."""
        hidden, mlp = self.hidden, self.mlp
        return {
            "q_proj": (hidden, self.queries),
            "k_proj": (hidden, self.keys),
            "v_proj": (hidden, self.keys),
            "o_proj": (self.queries, hidden),
            "gate_proj": (hidden, mlp),
            "up_proj": (hidden, mlp),
            "down_proj": (mlp, hidden),
        }

    @property
    def in_linear(self) -> int:
        """Count the weights of a block's linear layers."""
        return sum(inputs * outputs for inputs, outputs in self.linear.values())

    @property
    def parameters(self) -> int:
        """Count all weights."""
        return self.layers * (self.in_linear + 2 * self.hidden) + self.hidden + (1 if self.tied else 2) * self.table

    @property
    def table(self) -> int:
        """Count the weights of the input embeddings, as many as those of the output head."""
        return self.vocabulary * self.hidden


@dataclass(frozen=True)
class TrainedPart:
    """What of a model is trained: an adapter of that `rank` on the layers `targets`, else its own weights.

    `frozen` is the share of the layers below which own weights stay as they are. With `outputs`, a head with so many
    scores stands in place of the one that writes. `copies` of what is trained are held besides. `temporary` says that
    an optimizer step makes copies of the largest matrix, as torch's plain AdamW does. `consolidated`
    weights are held with their start and Fisher information, beside full moments.
    """

    rank: int = 0
    targets: tuple[str, ...] | None = None
    dropout: float = 0.0
    four_bits: bool = False
    frozen: float = 0.0
    outputs: int = 0
    copies: int = 0
    temporary: bool = True
    consolidated: bool = False


@dataclass(frozen=True)
class StepLoad:
    """What is computed at once: `rows` of `width` tokens, of which `scored` have a loss.

    `masked` says that attention gets a mask, as it does for examples that are padded or laid out behind a prefix.
    `recomputed` says that activations are computed again in the backward pass. `read_tokens` tokens are read at once
    when dev is measured, where that is not the same.
    """

    rows: int = 1
    width: int = 1
    scored: int = 1
    masked: bool = False
    recomputed: bool = False
    read_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Count the tokens."""
        return self.rows * self.width


@dataclass(frozen=True)
class MemoryForecast:
    """Bytes: weights, moments and runtime are held all the time, activations and gradients in turns."""

    weights: float
    moments: float
    activations: float
    gradients: float
    runtime: float

    @property
    def peak(self) -> float:
        """Add up what is held at the peak."""
        return self.weights + self.moments + max(self.activations, self.gradients) + self.runtime

    @property
    def peak_gib(self) -> float:
        """Give the peak in GiB."""
        return self.peak / GIB


def frozen_layers(layers: int, share: float) -> int:
    """Count the first layers that stay as they are: the share, rounded down, and never all of them."""
    return min(layers - 1, int(share * layers + 1e-9))


def forecast(sizes: DecoderSizes, trained: TrainedPart, load: StepLoad, *, device: str) -> MemoryForecast:
    """Forecast the memory of a training on `device`, `cpu` or `cuda`."""
    on_gpu = device == "cuda"
    learned, largest = _learned(sizes, trained)
    moment = _MOMENTS + _HELD if trained.consolidated else _MOMENTS_ON_GPU if on_gpu else _MOMENTS
    temporary = 2 * largest * _FLOAT32 if trained.temporary and not on_gpu else 0
    activations = _activations(sizes, trained, load, on_gpu=on_gpu)
    share = _HEAP if trained.rank else _HEAP_OF_OWN
    heap = share * activations if load.tokens * sizes.mlp * _FLOAT32 < _HEAP_UP_TO else 0.0
    return MemoryForecast(
        weights=_weights(sizes, trained, on_gpu=on_gpu) + trained.copies * learned * _FLOAT32,
        moments=learned * moment,
        activations=activations,
        gradients=learned * _FLOAT32 + temporary,
        runtime=0.0 if on_gpu else _RUNTIME_GIB * GIB + heap,
    )


def _learned(sizes: DecoderSizes, trained: TrainedPart) -> tuple[int, int]:
    """Count the weights that are trained, and those of the largest matrix of them."""
    head = trained.outputs * sizes.hidden
    if trained.rank:
        pairs = [sizes.linear[name] for name in trained.targets or sizes.linear]
        each = sum(trained.rank * (inputs + outputs) for inputs, outputs in pairs)
        return sizes.layers * each + head, max(head, trained.rank * max(map(max, pairs)))
    layers = sizes.layers - _still(sizes, trained)
    # with frozen layers the head is a matrix of its own, and the input embeddings stay as they are
    tables = 1 if sizes.tied or trained.frozen > 0 else 2
    weights = layers * (sizes.in_linear + 2 * sizes.hidden) + sizes.hidden + tables * sizes.table
    return weights, max(sizes.table, sizes.hidden * sizes.mlp)


def _still(sizes: DecoderSizes, trained: TrainedPart) -> int:
    return frozen_layers(sizes.layers, trained.frozen) if trained.frozen > 0 else 0


def _weights(sizes: DecoderSizes, trained: TrainedPart, *, on_gpu: bool) -> float:
    """Count the bytes of all weights, an adapter among them."""
    learned, _ = _learned(sizes, trained)
    tables = 1 if (sizes.tied and trained.frozen == 0) or trained.outputs else 2
    others = tables * sizes.table + sizes.hidden * (2 * sizes.layers + 1)
    linear = sizes.layers * sizes.in_linear
    if not trained.rank:
        return (others + linear) * _FLOAT32
    number = 2 if on_gpu and not trained.outputs else _FLOAT32
    return others * number + linear * (_NF4 if trained.four_bits else number) + learned * _FLOAT32


def _activations(sizes: DecoderSizes, trained: TrainedPart, load: StepLoad, *, on_gpu: bool) -> float:
    """Count the bytes that a backward pass begins with: what was kept, and what it works with."""
    number = 2 if on_gpu else _FLOAT32
    layer = layer_bytes(sizes, trained, load, on_gpu=on_gpu)
    reached = sizes.layers - _still(sizes, trained)
    kept = reached * layer
    if load.recomputed:
        kept = reached * load.tokens * sizes.hidden * number + layer
    if on_gpu and not trained.rank:
        # autocast keeps a bfloat16 copy of each float32 matrix that is trained, until the backward pass has used it
        kept += 2 * (reached * sizes.in_linear + sizes.table)
    head = 0 if trained.rank else sizes.table * _FLOAT32  # its gradient is the first one
    logits = 0 if trained.outputs else 3 * load.scored * min(sizes.vocabulary, _LOGITS_AT_ONCE) * _FLOAT32
    widest = max(inputs * outputs for inputs, outputs in sizes.linear.values())
    working = load.tokens * (2 * sizes.mlp + 2 * sizes.hidden) * number + (widest * number if trained.four_bits else 0)
    read = load.read_tokens * (4 * sizes.mlp + 3 * sizes.hidden) * number
    return max(kept + max(head + logits, working), read)


def layer_bytes(sizes: DecoderSizes, trained: TrainedPart, load: StepLoad, *, on_gpu: bool) -> float:
    """Count the bytes that one layer keeps for its backward pass."""
    number = 2 if on_gpu else _FLOAT32
    hidden, mlp, queries = sizes.hidden, sizes.mlp, sizes.queries
    keys = queries if load.masked and sizes.keys != queries else sizes.keys  # repeated for each head under a mask
    # per token: the input of both norms (in float32), queries and attention's output, keys and values, gate, its
    # activation, the other half
    each: float = 2 * hidden * _FLOAT32 + (2 * queries + 2 * keys + 3 * mlp) * number
    each += (sizes.heads + 2) * _FLOAT32  # attention's sums, and each norm's scale
    if trained.rank:
        each += _of_adapter(sizes, trained, number, on_gpu=on_gpu)
    else:  # what the norms give, before and after their weights, and the product that enters the last linear layer
        each += (4 * hidden + mlp) * number
    mask = load.width * number if load.masked else 0
    return load.tokens * (each + mask)


def _of_adapter(sizes: DecoderSizes, trained: TrainedPart, number: int, *, on_gpu: bool) -> float:
    """Count the bytes per token that adapters keep: inputs, the noise of dropout, and what their first half gives."""
    pairs = {name: sizes.linear[name][0] for name in trained.targets or sizes.linear}
    ranks = len(pairs) * trained.rank * number
    if trained.dropout > 0:
        return ranks + sum(pairs.values()) * (number + (1 if on_gpu else number))
    # without noise, layers that read the same keep it once, and what `o_proj` reads is kept by attention
    read = {"v_proj": "q_proj", "k_proj": "q_proj", "up_proj": "gate_proj"}
    alone = {read.get(name, name): inputs for name, inputs in pairs.items() if name != "o_proj"}
    return ranks + sum(alone.values()) * number


def least_needed(info: CheckpointInfo, trained: TrainedPart, *, device: str) -> MemoryForecast:
    """Forecast the memory of a step on a single token: what does not fit so will not fit at all."""
    config = parse_json((info.path / "config.json").read_bytes())
    return forecast(DecoderSizes.of(config), trained, StepLoad(), device=device)


def require_memory(info: CheckpointInfo, hardware: Hardware, trained: TrainedPart, *, name: str, instead: str) -> None:
    """Raise `ModelError` where training surely takes more than is free; `instead` says what to do then."""
    needed = least_needed(info, trained, device=hardware.device)
    free = hardware.gpus[0].free_gib if hardware.gpus else hardware.ram_free_gib
    if needed.peak_gib * (1 - FORECAST_ERROR) <= free:
        return
    what = "the GPU" if hardware.gpus else "this machine"
    raise ModelError(
        f"The strategy '{name}' needs at least {needed.peak_gib:,.1f} GiB for this model of "
        f"{info.parameters / 1e9:,.2f} billion weights (weights, gradients, the optimizer's moments), and {what} has "
        f"{free:,.1f} GiB free; {instead}."
    )
