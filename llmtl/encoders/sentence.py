"""Turn texts into vectors with an encoder, by sentence-transformers: one vector per text, however long the text is.

A sentence-transformers folder says itself how the vectors of tokens become one; of any other encoder the mean is taken,
the best pooling in Reimers & Gurevych (2019), "Sentence-BERT". A text longer than the encoder's window is read in
windows that overlap, whose vectors are averaged, each weighted by its tokens. Not covered: training an encoder, prompts
that differ between queries and documents.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from llmtl.encoders.checkpoint import EncoderInfo, inspect_encoder
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.errors import ModelError
from llmtl.packages import require
from llmtl.progress import Advance, unwatched
from llmtl.quiet import own_randomness, quiet

Vectors = NDArray[np.float32]

BATCH_TOKENS = {"cpu": 2048, "cuda": 32768}
"""Tokens of one forward pass, padding counted; one window may have more."""
STRIDE = 4
"""Windows of a long text overlap by one part in so many: what stands at the edge of one stands inside the next."""
_CHUNK = 4096
"""Texts that are held as tokens, and sorted by length, at once."""


@dataclass(frozen=True)
class _Window:
    """What the model reads of a text at once; `text` is the text's position, `tokens` counts without special ones."""

    text: int
    features: Mapping[str, Sequence[int]]
    tokens: int

    @property
    def length(self) -> int:
        return len(self.features["input_ids"])


class SentenceEncoder:
    """An encoder held in this process, in single precision and in evaluation mode.

    `model` is the `SentenceTransformer`; `info` is None for one that was not read from a checkpoint.
    """

    def __init__(self, model: Any, *, context_length: int, info: EncoderInfo | None = None) -> None:
        self.model = model.eval()
        self.info = info
        self.context_length = context_length
        self.device = str(model.device.type)
        self._budget = BATCH_TOKENS.get(self.device, BATCH_TOKENS["cpu"])
        self._normalised = any(type(module).__name__ == "Normalize" for module in model)
        self._turn = Lock()  # a fast tokenizer keeps its padding from call to call
        self._prompt = model.prompts.get(model.default_prompt_name or "", "") or ""

    @classmethod
    def load(cls, source: EncoderSource, device: str = "cpu") -> Self:
        """Load the encoder that `source` names.

        Raises `ModelError` as `inspect_encoder` does and where the weights are broken or do not fit, and
        `MissingPackageError` without sentence-transformers.
        """
        require("An encoder", "sentence_transformers")
        info = inspect_encoder(source)
        return cls(_load(info, source.name, device), context_length=info.context_length, info=info)

    @classmethod
    def shared(cls, source: EncoderSource, device: str = "cpu") -> "SentenceEncoder":
        """Load an encoder once for all who only read with it; the last one is kept. Raises as `load` does."""
        with _SHARING:
            return _last_loaded(source, device, _stamp(Path(source.name)))

    @classmethod
    def kept(cls, folder: Path, device: str) -> Self:
        """Load what `save` wrote to `folder`; raises as `load` does."""
        return cls.load(EncoderSource(str(folder)), device)

    @property
    def width(self) -> int:
        """Say how many numbers a vector has."""
        return int(self.model.get_embedding_dimension())

    def encode(self, texts: Sequence[str], *, advance: Advance = unwatched) -> Vectors:
        """Turn each text into a vector, (N, width), in order; a text without a token gets zeros."""
        found = np.zeros((len(texts), self.width), np.float32)
        for start in range(0, len(texts), _CHUNK):
            part = texts[start : start + _CHUNK]
            with self._turn:
                found[start : start + len(part)] = self._encode(part, advance)
        return found

    def count_long(self, texts: Sequence[str]) -> int:
        """Count the texts that are longer than the window."""
        return sum(count > 1 for count in Counter(window.text for window in self._windows(texts)).values())

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, special ones included, those where windows overlap once."""
        if not texts:
            return []
        rows = self.model.tokenizer([self._prompt + text for text in texts], truncation=False, verbose=False)
        return [len(row) for row in rows["input_ids"]]

    def save(self, folder: Path) -> None:
        """Write the encoder to `folder`, as safetensors and JSON, in the form of sentence-transformers."""
        with quiet():
            self.model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)

    def _encode(self, texts: Sequence[str], advance: Advance) -> Vectors:
        """Read the windows of some texts, the longest first, and put together what belongs to one text."""
        windows = sorted(self._windows(texts), key=lambda window: -window.length)
        sums = np.zeros((len(texts), self.width), np.float32)
        weights = np.zeros((len(texts), 1), np.float32)
        left = Counter(window.text for window in windows)
        for batch, vectors in self._batches(windows):
            for window, vector in zip(batch, vectors, strict=True):
                sums[window.text] += window.tokens * vector
                weights[window.text] += window.tokens
                left[window.text] -= 1
            advance(sum(1 for text in {window.text for window in batch} if left[text] == 0))
        advance(len(texts) - len(left))
        found = sums / np.maximum(weights, 1)
        if self._normalised:
            found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return np.asarray(found, np.float32)

    def _windows(self, texts: Sequence[str]) -> list[_Window]:
        """Cut texts into windows of tokens, the special ones around each; most texts are one window."""
        if not texts:
            return []
        tokenizer, room = self.model.tokenizer, self.context_length
        extra = tokenizer.num_special_tokens_to_add()
        table = tokenizer(
            [self._prompt + text for text in texts],
            truncation=True,
            max_length=room,
            stride=max(0, (room - extra) // STRIDE),
            return_overflowing_tokens=True,
        )
        owners = table.pop("overflow_to_sample_mapping")
        rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
        return [
            _Window(owner, row, max(1, len(row["input_ids"]) - extra))
            for owner, row in zip(owners, rows, strict=True)
            if row["input_ids"]
        ]

    def _batches(self, windows: Sequence[_Window]) -> Iterator[tuple[Sequence[_Window], Vectors]]:
        """Yield batches of windows, sorted by length, with their vectors, (B, width); fewer at once if memory ends."""
        from accelerate.utils.memory import should_reduce_batch_size

        waiting = windows
        while waiting:
            size = max(1, self._budget // waiting[0].length)
            try:
                vectors = self._vectors(waiting[:size])
            except RuntimeError as error:
                if not should_reduce_batch_size(error):
                    raise
                if size == 1:
                    raise ModelError(
                        f"A text of {waiting[0].length} tokens exhausts the memory; take a smaller encoder."
                    ) from error
                self._budget = waiting[0].length * (min(size, len(waiting)) // 2)
                continue
            yield waiting[:size], vectors
            waiting = waiting[size:]

    def _vectors(self, batch: Sequence[_Window]) -> Vectors:
        """Compute the vectors of B windows, (B, width), padded to the longest."""
        import torch

        columns = {key: [window.features[key] for window in batch] for key in batch[0].features}
        padded = self.model.tokenizer.pad(columns, return_tensors="pt")
        with torch.inference_mode():
            found = self.model({key: value.to(self.model.device) for key, value in padded.items()})
        return np.asarray(found["sentence_embedding"].float().cpu().numpy())


_SHARING = Lock()


@lru_cache(maxsize=1)
def _last_loaded(source: EncoderSource, device: str, stamp: tuple[int, ...]) -> SentenceEncoder:
    del stamp  # weights that were replaced are loaded again
    return SentenceEncoder.load(source, device)


def _stamp(folder: Path) -> tuple[int, ...]:
    return tuple(path.stat().st_mtime_ns for path in sorted(folder.glob("*.safetensors"))) if folder.is_dir() else ()


def let_go() -> None:
    """Forget the shared encoder, so that its memory is free once nobody uses it."""
    _last_loaded.cache_clear()


def _load(info: EncoderInfo, name: str, device: str) -> Any:
    """Load the `SentenceTransformer`; raise `ModelError` for weights that are broken, incomplete or too large."""
    with quiet():  # imports log warnings where optional packages are missing
        import torch
        from safetensors import SafetensorError
        from sentence_transformers import SentenceTransformer

    try:
        with quiet(), own_randomness():  # what a checkpoint lacks is drawn before that is noticed
            modules = None if info.sentence_transformer else _mean_of_tokens(info, name)
            return SentenceTransformer(
                str(info.path) if modules is None else None,
                modules=modules,
                device=device,
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs=_weights(torch.float32),
            )
    except ModelError:
        raise
    except torch.OutOfMemoryError as error:
        raise ModelError(f"The encoder '{name}' does not fit the GPU's memory; take a smaller one.") from error
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"The encoder '{name}' cannot be loaded ({lines[0].rstrip('.')}); download it again, or take another."
        ) from error


def _weights(dtype: Any) -> dict[str, Any]:
    return {"use_safetensors": True, "dtype": dtype}


def _mean_of_tokens(info: EncoderInfo, name: str) -> list[Any]:
    """Make the modules of a plain encoder: its last states, and their mean over a text's tokens."""
    import torch
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import AutoModel

    loaded: Any = AutoModel.from_pretrained(
        info.path, use_safetensors=True, trust_remote_code=False, output_loading_info=True
    )
    # what a checkpoint of another head lacks: the mean does not use it
    missing = sorted(key for key in loaded[1]["missing_keys"] if "pooler" not in key)
    if missing:
        raise ModelError(f"The encoder '{name}' lacks weights, such as '{missing[0]}'; download it again.")
    del loaded
    body = Transformer(str(info.path), model_kwargs=_weights(torch.float32), max_seq_length=info.context_length)
    return [body, Pooling(body.get_embedding_dimension(), "mean")]
