"""Loaded engines, shared by the strategies of a run, and what identifies a checkpoint or an encoder.

Not covered: loading itself (`llmtl.engines`).
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llmtl.checkpoints import locate
from llmtl.checkpoints.cache import sha256_once
from llmtl.checkpoints.named import find_named
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.engines import Engine, ModelSource
from llmtl.engines.checkpoint import not_a_language_model
from llmtl.packages import LOCAL, require
from llmtl.pocket import resolve
from llmtl.progress import Progress
from llmtl.sections import EncoderConfig, EngineChoice, ModelConfig

HASH_UP_TO_BYTES = 200 * 2**20
"""Weights larger than this are identified by name and size: hashing 16 GB would take longer than scoring."""


def source_of(config: ModelConfig) -> ModelSource:
    """Say where the recipe's model is; an embedded model's name becomes its folder."""
    embedded = resolve(config.name)
    return ModelSource(str(embedded) if embedded else config.name, config.revision, dtype=config.dtype)


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
    """Say which encoder the recipe names; None for none."""
    return None if config is None else EncoderSource(config.name, config.revision)


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


def _ignore(line: str) -> None:
    del line


class EngineCache:
    """Engines of one model by adapter; at most `capacity` are kept, the least recently used goes first.

    A GPU holds one at a time, since a base model and its adapted copy rarely fit together; so does vLLM anywhere.
    """

    def __init__(
        self, source: ModelSource, choice: EngineChoice = "auto", *, say: Callable[[str], None] = _ignore
    ) -> None:
        self._source = source
        self._choice = choice
        self._say = say
        self._engines: OrderedDict[Path | None, Engine] = OrderedDict()

    def load(self, adapter: Path | None = None) -> Engine:
        """Load the engine for the base model (None) or with the LoRA adapter in that folder."""
        if adapter not in self._engines:
            self._make_room()
            self._engines[adapter] = self._load(replace(self._source, adapter=adapter))
        self._engines.move_to_end(adapter)
        return self._engines[adapter]

    @cached_property
    def _chosen(self) -> str:
        """The engine's name: as chosen, or else vLLM where it is faster or must be what is measured.

        In bfloat16 transformers and vLLM agree on 98% of labels only (pocket-llama on a CPU), too few for the check
        that a served model does what was measured; vLLM agrees with itself.
        """
        if self._choice != "auto":
            return self._choice
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu" and self._source.precision(device) == "float32":
            return "transformers"
        if not find_spec("vllm"):
            extra = "gpu" if device == "cuda" else "cpu"
            self._say(
                f"vLLM is not installed, so transformers runs the model; `pip install 'llmtl[{extra}]'` fixes it."
            )
            return "transformers"
        return "vllm"

    def _load(self, source: ModelSource) -> Engine:
        if self._choice == "vllm":
            require("The engine 'vllm'", "vllm")
        require("A language model", *LOCAL)
        if self._chosen == "vllm":
            from llmtl.engines.vllm.engine import VllmEngine

            return VllmEngine.load(source)
        from llmtl.engines.transformers.engine import TransformersEngine

        return TransformersEngine.load(source)

    def _make_room(self) -> None:
        engines = list(self._engines.values())
        capacity = 1 if engines and (engines[0].device == "cuda" or engines[0].name == "vllm") else 2
        while len(self._engines) >= capacity:
            _, engine = self._engines.popitem(last=False)
            engine.close()

    def release(self) -> None:
        """Close every engine; training needs the memory."""
        while self._engines:
            self._engines.popitem()[1].close()
