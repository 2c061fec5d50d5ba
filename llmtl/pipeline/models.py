"""Where the model and the encoder of a recipe are, and what identifies a checkpoint or an encoder.

Not covered: loading them (`llmtl.engines`).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from llmtl.checkpoints import locate
from llmtl.checkpoints.cache import sha256_once
from llmtl.checkpoints.locate import revision_of_files
from llmtl.checkpoints.named import find_named
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.engines import ModelSource
from llmtl.engines.checkpoint import not_a_language_model
from llmtl.pocket import resolve
from llmtl.progress import Progress
from llmtl.sections import EncoderConfig, ModelConfig

HASH_UP_TO_BYTES = 200 * 2**20
"""Weights larger than this are identified by name and size: hashing 16 GB would take longer than scoring."""


def source_of(config: ModelConfig) -> ModelSource:
    """Say where the recipe's model is; an embedded model's name becomes its folder.

    Raises `ModelError` for a revision of an embedded model.
    """
    return ModelSource(_embedded_or_named(config), config.revision, dtype=config.dtype)


def located(source: ModelSource, progress: Progress) -> ModelSource:
    """Find the model's folder, or its name on the Hub; the first use of a GGUF file converts it.

    Raises `ModelError` for the name of an encoder, and as `llmtl.checkpoints.locate` does.
    """
    named = find_named(source.name)
    if named is not None and named.encoder:
        raise not_a_language_model(source.name, "an encoder")
    return replace(source, name=locate(source.name, source.revision, progress=progress))


def identity(config: ModelConfig, source: ModelSource) -> dict[str, Any]:
    """Tell this checkpoint from others by name, revision and, for a folder, its files."""
    found: dict[str, Any] = {"name": config.name, "revision": config.revision}
    if config.engine != "auto":
        found["engine"] = config.engine
    if config.dtype != "auto":
        found["dtype"] = config.dtype
    folder = Path(source.name)
    if folder.is_dir():
        found["files"] = _marks(folder)
    return found


def encoder_source_of(config: EncoderConfig | None) -> EncoderSource | None:
    """Say which encoder the recipe names; None for none. An embedded model's folder will say that it is not one."""
    if config is None:
        return None
    return EncoderSource(_embedded_or_named(config), config.revision)


def _embedded_or_named(config: ModelConfig | EncoderConfig) -> str:
    """Give an embedded model's folder, or the name as it is."""
    embedded = resolve(config.name)
    if embedded is None:
        return config.name
    if config.revision is not None:
        raise revision_of_files(config.name, config.revision)
    return str(embedded)


def encoder_identity(source: EncoderSource) -> dict[str, Any]:
    """Tell an encoder from others, as `identity` does a checkpoint."""
    found: dict[str, Any] = {"name": source.name, "revision": source.revision}
    folder = Path(locate(source.name, source.revision))
    if folder.is_dir():
        found["files"] = _marks(folder)
    return found


def _marks(folder: Path) -> dict[str, str]:
    names = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json"), *folder.glob("*.jinja")])
    return {path.name: _mark(path) for path in names}


def _mark(path: Path) -> str:
    size = path.stat().st_size
    return f"{size} bytes" if size > HASH_UP_TO_BYTES else sha256_once(path)  # every step of a run asks for it
