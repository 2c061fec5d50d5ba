"""Forecasts of the memory that inference and QLoRA training take.

Not covered: measuring it (`llmtl.measured.evaluation`).
"""

from dataclasses import dataclass

GIB = 2**30
NF4_BYTES = (4 + 0.127) / 8
"""Bytes a parameter in NF4 with double quantisation: 4 bits and 0.127 bits of constants, Dettmers et al. (2023),
"QLoRA: Efficient Finetuning of Quantized LLMs", section 3."""
ADAPTER_BYTES = 16
"""Bytes a trained adapter parameter: weight, gradient and the two AdamW moments in 32 bits each, Rajbhandari et al.
(2020), "ZeRO", section 3.1."""
RUNTIME_GIB = 1.0
"""CUDA context, kernels and fragmentation: an allowance, not a measurement."""


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
