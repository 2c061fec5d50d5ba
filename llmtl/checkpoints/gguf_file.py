"""Read what a GGUF file says of itself, and refuse in one line what cannot become a checkpoint.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Not covered: its weights
(`llmtl.checkpoints.conversion`).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmtl.errors import ModelError
from llmtl.packages import LOCAL, require

MAGIC = b"GGUF"
SUFFIX = ".gguf"
ARCHITECTURES = ("llama", "mistral")
"""llama.cpp calls Mistral models llama, too."""
FACTORS = "rope_freqs.weight"
"""The tensor of factors that rotary frequencies are divided by."""
_ORIGINAL = "give the original checkpoint, in safetensors"


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file of one LLaMA or Mistral model.

    `quantisation` is that of most of its weights, such as Q4_1; `splits_by` names how the tokenizer splits text before
    it looks up tokens; `licence` is an SPDX name, or empty. `slows_rotation`: its rotary frequencies are divided by
    factors, as in Llama 3.1 and later.
    """

    path: Path
    quantisation: str
    splits_by: str
    licence: str
    slows_rotation: bool


def is_gguf(path: Path) -> bool:
    """Tell whether a file begins as GGUF files do."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read_gguf(path: Path) -> GgufFile:
    """Read a file's metadata; raises `ModelError` for another kind of file, a damaged one, or another architecture."""
    if not is_gguf(path):
        raise ModelError(f"'{path}' is not a GGUF file, whatever its name says; download it again.")
    require("A GGUF file", *LOCAL, "gguf")
    from gguf import LlamaFileType
    from transformers.integrations.gguf.reader import read_gguf_metadata

    try:
        metadata, tensors = read_gguf_metadata(str(path))
    except (ValueError, struct.error, IndexError, OverflowError, MemoryError) as error:
        raise damaged(path, error) from error
    _check(path, metadata)
    try:
        quantisation = LlamaFileType(metadata["general.file_type"]).name
    except (KeyError, ValueError):
        quantisation = "UNKNOWN"
    return GgufFile(
        path=path,
        quantisation=quantisation.removeprefix("MOSTLY_").removeprefix("ALL_"),
        splits_by=str(metadata.get("tokenizer.ggml.pre", "default")),
        licence=str(metadata.get("general.license", "")),
        slows_rotation=FACTORS in tensors,
    )


def _check(path: Path, metadata: Mapping[str, Any]) -> None:
    """Raise `ModelError` for a model that the conversion would get wrong."""
    architecture = metadata["general.architecture"]
    if architecture not in ARCHITECTURES:
        raise ModelError(
            f"'{path}' holds a model of the architecture '{architecture}', which llmtl cannot load; give a LLaMA- or "
            "Mistral-family model."
        )
    if metadata.get("split.count", 1) > 1:
        raise ModelError(f"'{path}' is one part of several; join them with `llama-gguf-split --merge`.")
    if metadata.get(f"{architecture}.expert_count", 0):
        raise ModelError(f"'{path}' holds a mixture of experts, which llmtl cannot load; give a dense model.")
    if metadata.get(f"{architecture}.rope.scaling.type", "none") != "none":
        raise stretched(path)


def stretched(path: Path) -> ModelError:
    """Return the error for a model that scales its positions in a way that the conversion would lose."""
    return ModelError(f"'{path}' stretches its positions, which is lost in the conversion; {_ORIGINAL}.")


def damaged(path: Path, error: Exception) -> ModelError:
    """Return the error for a file that breaks off or makes no sense."""
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
    return ModelError(f"The GGUF file '{path}' cannot be read to its end ({reason}); download it again.")
