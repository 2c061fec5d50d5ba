"""Loaded engines, shared by the strategies of a run, and what identifies a checkpoint.

Not covered: loading itself (`llmtl.engines`).
"""

import hashlib
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmtl.engines import Engine, ModelSource
from llmtl.pocket import resolve
from llmtl.settings import ModelConfig

HASH_UP_TO_BYTES = 200 * 2**20
"""Weights larger than this are identified by name and size: hashing 16 GB would take longer than scoring."""


def source_of(config: ModelConfig) -> ModelSource:
    """Return where the recipe's model is, with an embedded model's name turned into its folder."""
    embedded = resolve(config.name)
    return ModelSource(name=str(embedded) if embedded else config.name, revision=config.revision)


def identity(config: ModelConfig, source: ModelSource) -> dict[str, Any]:
    """Return what tells this checkpoint from another: name, revision and, for a folder, its files."""
    found: dict[str, Any] = {"name": config.name, "revision": config.revision}
    folder = Path(source.name)
    if folder.is_dir():
        names = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json"), *folder.glob("*.jinja")])
        found["files"] = {path.name: _mark(path) for path in names}
    return found


def _mark(path: Path) -> str:
    size = path.stat().st_size
    if size > HASH_UP_TO_BYTES:
        return f"{size} bytes"
    return hashlib.sha256(path.read_bytes()).hexdigest()


class EngineCache:
    """Engines of one model by adapter; at most `capacity` are kept, the least recently used goes first.

    A GPU holds one at a time, since a base model and its adapted copy rarely fit together.
    """

    def __init__(self, source: ModelSource) -> None:
        self._source = source
        self._engines: OrderedDict[Path | None, Engine] = OrderedDict()

    def load(self, adapter: Path | None = None) -> Engine:
        """Return the engine for the base model (None) or with the LoRA adapter in that folder."""
        if adapter not in self._engines:
            from llmtl.engines.transformers import TransformersEngine

            self._make_room()
            self._engines[adapter] = TransformersEngine.load(replace(self._source, adapter=adapter))
        self._engines.move_to_end(adapter)
        return self._engines[adapter]

    def _make_room(self) -> None:
        engines = list(self._engines.values())
        capacity = 1 if engines and engines[0].device == "cuda" else 2
        while len(self._engines) >= capacity:
            _, engine = self._engines.popitem(last=False)
            engine.close()

    def release(self) -> None:
        """Close every engine; training needs the memory."""
        while self._engines:
            self._engines.popitem()[1].close()
