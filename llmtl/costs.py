"""Tokens and seconds at the recipe's prices: USD per 1,000 requests, totals, break-even and memory forecasts.

A request on own hardware costs its share of the machine's hourly price at full use: seconds per request at the
measured throughput. Not covered: idle machines, networks, staff, and discounts.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llmtl.errors import RecipeError

Device = Literal["cpu", "cuda", "hosted"]
"""Where a request runs; `hosted` is somebody else's endpoint, paid by the token."""

SECONDS_PER_HOUR = 3600
GIB = 2**30
NF4_BYTES = (4 + 0.127) / 8
"""Bytes a parameter in NF4 with double quantisation: 4 bits and 0.127 bits of constants, Dettmers et al. (2023),
"QLoRA: Efficient Finetuning of Quantized LLMs", section 3."""
ADAPTER_BYTES = 16
"""Bytes a trained adapter parameter: weight, gradient and the two AdamW moments in 32 bits each, Rajbhandari et al.
(2020), "ZeRO", section 3.1."""
RUNTIME_GIB = 1.0
"""CUDA context, kernels and fragmentation: an allowance, not a measurement."""


class PriceConfig(BaseModel):
    """What compute costs and how much of it is needed; the defaults are list prices of one cloud: set your own.

    Defaults: Amazon EC2, on demand, us-east-1, Linux, as listed in June 2026: m7g.large (2 vCPUs, 8 GiB) for the CPU
    and g5.xlarge (one A10G, 24 GB) for the GPU.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    usd_per_cpu_hour: float = Field(default=0.0816, ge=0, description="USD for one hour of the CPU machine.")
    usd_per_gpu_hour: float = Field(default=1.006, ge=0, description="USD for one hour of the machine with one GPU.")
    usd_per_million_prompt_tokens: float | None = Field(
        default=None, ge=0, description="USD for a million prompt tokens of a hosted model; none by default."
    )
    usd_per_million_cached_tokens: float | None = Field(
        default=None,
        ge=0,
        description="USD for a million prompt tokens that the provider found in its cache; by default as any other.",
    )
    usd_per_million_completion_tokens: float | None = Field(
        default=None, ge=0, description="USD for a million tokens that a hosted model wrote; none by default."
    )
    requests_per_month: float = Field(default=100_000, ge=0, description="Expected requests a month.")
    months: float = Field(default=12, gt=0, description="Months over which training has to pay off.")

    @property
    def requests(self) -> float:
        """Return the number of requests over the horizon."""
        return self.requests_per_month * self.months


@dataclass(frozen=True)
class Tokens:
    """Mean tokens of one request; `cached` are those of `prompt` that came from a prefix cache."""

    prompt: float = 0.0
    cached: float = 0.0
    completion: float = 0.0


def usd_for_seconds(seconds: float, *, device: Device | str, prices: PriceConfig) -> float:
    """Return what `seconds` of one machine cost; a hosted model's seconds cost nothing, its tokens do."""
    hourly = {"cpu": prices.usd_per_cpu_hour, "cuda": prices.usd_per_gpu_hour, "hosted": 0.0}
    if device not in hourly:
        raise RecipeError(f"There is no price for device '{device}'; use one of {', '.join(hourly)}.")
    return seconds / SECONDS_PER_HOUR * hourly[device]


def usd_per_1k_requests(
    seconds_per_request: float, *, device: Device | str, prices: PriceConfig, tokens: Tokens | None = None
) -> float:
    """Return the USD of 1,000 requests: machine time at the measured throughput, or tokens when `device` is `hosted`.

    Raises `RecipeError` for a hosted model without token prices.
    """
    if device == "hosted":
        return 1000 * _usd_for_tokens(tokens or Tokens(), prices)
    return 1000 * usd_for_seconds(seconds_per_request, device=device, prices=prices)


def usd_total(train_usd: float, usd_per_1k: float, prices: PriceConfig) -> float:
    """Return training plus all requests over the horizon, in USD."""
    return train_usd + usd_per_1k * prices.requests / 1000


def gpu_hours(seconds: float, *, gpus: int = 1) -> float:
    """Return GPU-hours: wall-clock seconds times GPUs, in hours."""
    return seconds * gpus / SECONDS_PER_HOUR


def break_even(fixed_a: float, per_request_a: float, *, fixed_b: float, per_request_b: float) -> float | None:
    """Return the number of requests at which a and b cost the same in all; None where one is cheaper at every volume.

    fixed_a + n per_request_a = fixed_b + n per_request_b, for n > 0. All in USD.
    """
    if (fixed_a - fixed_b) * (per_request_b - per_request_a) <= 0:
        return None
    return (fixed_a - fixed_b) / (per_request_b - per_request_a)


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a LLaMA- or Mistral-like model that its memory depends on."""

    parameters: int
    layers: int
    hidden_size: int
    key_value_size: int
    vocabulary_size: int

    @property
    def embedding_parameters(self) -> int:
        """Return the parameters of one token embedding matrix; bitsandbytes leaves those and the output head alone."""
        return self.vocabulary_size * self.hidden_size


def inference_gib(shape: ModelShape, *, tokens: int, bytes_per_parameter: float = 2.0) -> float:
    """Return a forecast of inference memory in GiB: weights, key-value cache of `tokens` tokens, and an allowance.

    The cache takes 2 layers x key-value width x 2 bytes a token: Kwon et al. (2023), "Efficient Memory Management for
    Large Language Model Serving with PagedAttention", section 3. `key_value_size` is heads times head size.
    """
    cache = 2 * shape.layers * shape.key_value_size * 2 * tokens
    return (shape.parameters * bytes_per_parameter + cache) / GIB + RUNTIME_GIB


def qlora_gib(shape: ModelShape, *, rank: int, batch: int, tokens: int) -> float:
    """Return a forecast of the memory of QLoRA training in GiB, `batch` sequences of `tokens` at a time.

    NF4 linear layers, 16-bit embeddings and output head, LoRA on all linear layers (about 20 hidden sizes a rank and
    layer in a LLaMA block: 41.9M at rank 16 for LLaMA 3 8B), gradient checkpointing (one hidden state a layer, Chen et
    al. 2016, plus about 34 bytes a hidden unit for the layer being recomputed, Korthikanti et al. 2022, equation 1) and
    the logits with their gradient in 32 bits. It leaves out a paged optimiser's savings.
    """
    embeddings = min(shape.parameters, 2 * shape.embedding_parameters)
    weights = (shape.parameters - embeddings) * NF4_BYTES + 2 * embeddings
    adapter = 20 * rank * shape.hidden_size * shape.layers * ADAPTER_BYTES
    units = batch * tokens
    activations = units * shape.hidden_size * (2 * shape.layers + 34) + 2 * 4 * units * shape.vocabulary_size
    return (weights + adapter + activations) / GIB + RUNTIME_GIB


def _usd_for_tokens(tokens: Tokens, prices: PriceConfig) -> float:
    """Return the USD of one hosted request."""
    prompt, completion = prices.usd_per_million_prompt_tokens, prices.usd_per_million_completion_tokens
    if prompt is None or completion is None:
        raise RecipeError(
            "A hosted model has no price; set prices.usd_per_million_prompt_tokens and "
            "prices.usd_per_million_completion_tokens."
        )
    cached = prices.usd_per_million_cached_tokens
    fresh = tokens.prompt - tokens.cached
    return (
        fresh * prompt + tokens.cached * (prompt if cached is None else cached) + tokens.completion * completion
    ) / 1e6
