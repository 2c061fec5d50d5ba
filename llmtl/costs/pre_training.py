"""What training a model from scratch would have cost, estimated: GPU-hours and money beside what an adaptation took.

Training computes about 6 N D operations for N weights and D tokens (Kaplan et al. 2020, arXiv:2001.08361, section 2.1;
Hoffmann et al. 2022, arXiv:2203.15556, appendix F). D is what the model's authors state, or else 20 N, what Hoffmann et
al. found best for the compute (table 3). A GPU does the share `UTILISATION` of its peak (Chowdhery et al. 2022, PaLM,
arXiv:2204.02311, table 3: 21% to 46% of the peak for large models). Not covered: failed attempts, data, staff, networks
between GPUs, models that were distilled from others (the teacher's training is not counted).
"""

from dataclasses import dataclass

from llmtl.costs.config import DEFAULT_GPU, PriceConfig
from llmtl.costs.table import read_table
from llmtl.costs.usd import SECONDS_PER_HOUR

UTILISATION = 0.4
TOKENS_PER_WEIGHT = 20
OPERATIONS = 6
"""Per weight and token: two in the forward pass, four in the backward pass."""

_PEAK_TERAFLOPS = {
    "t4": 65,
    "l4": 121,
    "a10": 125,
    "a10g": 70,
    "l40s": 362,
    "a100-40gb": 312,
    "a100-80gb": 312,
    "h100": 989,
    "h200": 989,
    "b200": 2250,
}
"""Dense matrix products in 16 bits, as NVIDIA's data sheets state them."""

_STATED_TOKENS = (
    ("smollm2-135m", 2e12, "its model card"),
    ("smollm2-360m", 4e12, "its model card"),
    ("smollm2-1.7b", 11e12, "its model card"),
    ("smollm2", 2e12, "the card of SmolLM2-135M"),
    ("tinyllama", 3e12, "its model card"),
    ("llama-3.2", 9e12, "its model card"),
    ("llama-3", 15e12, "its model card"),
    ("llama-2", 2e12, "its model card"),
    ("bert-base", 131e9, "Devlin et al. 2019: a million steps of 256 texts of 512 tokens"),
    ("bert-large", 131e9, "Devlin et al. 2019: a million steps of 256 texts of 512 tokens"),
)
"""By a part of a model's name, the more special first."""
_NOT_THESE = ("distil", "tiny-llama")
"""Parts of names of models that were trained in another way than the one that the name reminds of."""


@dataclass(frozen=True)
class ScratchEstimate:
    """The estimate: `tokens` by `tokens_from`, hours of a `gpu` of that `peak_teraflops`, and their price in USD."""

    parameters: int
    tokens: float
    tokens_from: str
    gpu: str
    peak_teraflops: float
    gpu_hours: float
    usd: float


def from_scratch(model: str, parameters: int, prices: PriceConfig) -> ScratchEstimate | None:
    """Estimate what training `model` from scratch takes on the GPU that is priced; None for a GPU not known here."""
    gpu = _gpu(prices)
    peak = _PEAK_TERAFLOPS.get(gpu or "")
    if gpu is None or peak is None:
        return None
    tokens, source = tokens_of(model, parameters)
    hours = OPERATIONS * parameters * tokens / (UTILISATION * peak * 1e12) / SECONDS_PER_HOUR
    return ScratchEstimate(parameters, tokens, source, gpu, peak, hours, hours * prices.usd_per_gpu_hour)


def tokens_of(model: str, parameters: int) -> tuple[float, str]:
    """Give the tokens that a model was trained on, and who says so."""
    name = model.lower()
    if not any(each in name for each in _NOT_THESE):
        for part, tokens, source in _STATED_TOKENS:
            if part in name:
                return tokens, source
    return TOKENS_PER_WEIGHT * parameters, f"{TOKENS_PER_WEIGHT} per weight, as Hoffmann et al. 2022 advise"


def _gpu(prices: PriceConfig) -> str | None:
    """Name the kind of GPU that is priced: the one that was named, or the one of the default price."""
    table = read_table(prices.table if prices.gpu else None)
    name = prices.gpu or (DEFAULT_GPU if prices.is_assumed("usd_per_gpu_hour") else None)
    if name is None:
        return None
    found = table.machines.get(table.machine_name(name))
    return found.gpu if found is not None else name.lower()
