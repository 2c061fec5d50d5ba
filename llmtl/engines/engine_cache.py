"""Loaded engines of one model, shared by the strategies that use it. Not covered: loading itself (their own files)."""

from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from llmtl.engines.protocol import Engine, ModelSource
from llmtl.packages import LOCAL, require


def _ignore(line: str) -> None:
    del line


class EngineCache:
    """Engines of one model by what was tuned of it; at most `capacity` are kept, the least recently used goes first.

    A GPU holds one at a time, since a base model and its adapted copy rarely fit together; so does vLLM anywhere.
    """

    def __init__(self, source: ModelSource, choice: str = "auto", *, say: Callable[[str], None] = _ignore) -> None:
        self._source = source
        self._choice = choice
        self._say = say
        self._engines: OrderedDict[Path | None, Engine] = OrderedDict()

    def load(self, tuned: Path | None = None) -> Engine:
        """Load the engine for the base model (None), or for the adapter or the tuned checkpoint in that folder."""
        if tuned not in self._engines:
            self._make_room()
            self._engines[tuned] = self._load(self._source.tuned(tuned))
        self._engines.move_to_end(tuned)
        return self._engines[tuned]

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
