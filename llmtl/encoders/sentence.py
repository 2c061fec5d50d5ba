"""Turn texts into vectors with an encoder, by sentence-transformers: one vector per text, however long the text is.

A sentence-transformers folder says itself how the vectors of tokens become one; of any other encoder the mean is taken,
the best pooling in Reimers & Gurevych (2019), "Sentence-BERT". A text longer than the encoder's window is read in
windows that overlap, whose vectors are averaged, each weighted by its tokens. Not covered: training an encoder, prompts
that differ between queries and documents.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError

from llmtl.checkpoints.broken_files import ReadByLibraries
from llmtl.encoders.checkpoint import EncoderInfo, check_words, inspect_encoder
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.window_vectors import TokenWindow, VectorForm, Vectors, WindowVectors
from llmtl.errors import ModelError
from llmtl.packages import require
from llmtl.quiet import own_randomness, quiet

BATCH_TOKENS = {"cpu": 2048, "cuda": 32768}
"""Tokens of one forward pass, padding counted; one window may have more."""


class SentenceEncoder(WindowVectors):
    """An encoder held in this process, in single precision and in evaluation mode.

    `model` is the `SentenceTransformer`; `info` is None for one that was not read from a checkpoint.
    """

    def __init__(self, model: Any, *, context_length: int, info: EncoderInfo | None = None) -> None:
        normalised = any(type(module).__name__ == "Normalize" for module in model)
        prompt = model.prompts.get(model.default_prompt_name or "", "") or ""
        width = int(model.get_embedding_dimension())
        super().__init__(model.tokenizer, VectorForm(context_length, width, normalised, prompt))
        self.model = model.eval()
        self.info = info
        self.device = str(model.device.type)
        self._budget = BATCH_TOKENS.get(self.device, BATCH_TOKENS["cpu"])

    @classmethod
    def load(cls, source: EncoderSource, device: str = "cpu") -> Self:
        """Load the encoder that `source` names.

        Raises `ModelError` as `inspect_encoder` does and where the weights are broken or do not fit, and
        `MissingPackageError` without sentence-transformers.
        """
        require("An encoder", "sentence_transformers")
        info = inspect_encoder(source)
        with ReadByLibraries(
            lambda why: ModelError(
                f"The encoder '{source.name}' cannot be loaded ({why}); download it again, or take another."
            )
        ):
            encoder = cls(_load(info, source.name, device), context_length=info.context_length, info=info)
        encoder._try(source.name)
        return encoder

    def _try(self, name: str) -> None:
        """Read a word; raise `ModelError` where parts that were loaded do not fit each other."""
        if self.tokenizer.pad_token_id is None:
            raise ModelError(f"The tokenizer of the encoder '{name}' has no padding token; set one, and save it again.")
        check_words(self.tokenizer, self.model[0].auto_model, name)
        try:
            sound = bool(np.isfinite(super().encode(["a word"])).all())
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise ModelError(
                f"The encoder '{name}' cannot read a text: its configuration, tokenizer and weights do not fit each "
                "other; download it again, or take another."
            ) from error
        if not sound:
            raise ModelError(
                f"The weights of the encoder '{name}' give no numbers; download it again, or take another."
            )

    @classmethod
    def shared(cls, source: EncoderSource, device: str = "cpu") -> "SentenceEncoder":
        """Load an encoder once for all who only read with it; the last one is kept. Raises as `load` does."""
        with _SHARING:
            return _last_loaded(source, device, _stamp(Path(source.name)))

    @classmethod
    def kept(cls, folder: Path, device: str) -> Self:
        """Load what `save` wrote to `folder`; raises as `load` does."""
        return cls.load(EncoderSource(str(folder)), device)

    def save(self, folder: Path) -> None:
        """Write the encoder to `folder`, as safetensors and JSON, in the form of sentence-transformers."""
        with quiet():
            self.model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)

    def _batches(self, windows: Sequence[TokenWindow]) -> Iterator[tuple[Sequence[TokenWindow], Vectors]]:
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

    def _vectors(self, batch: Sequence[TokenWindow]) -> Vectors:
        """Compute the vectors of B windows, (B, width), padded to the longest."""
        import torch

        columns = {key: [window.features[key] for window in batch] for key in batch[0].features}
        padded = self.tokenizer.pad(columns, return_tensors="pt")
        with torch.inference_mode():
            found = self.model({key: value.to(self.model.device) for key, value in padded.items()})
        return np.asarray(found["sentence_embedding"].float().cpu().numpy())


_SHARING = Lock()
_FAULTS = (
    *(OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError),
    *(TypeError, AttributeError, AssertionError),  # what a module was saved with is not what it takes
)

_OTHER_SIZES = "its weights are not of the sizes that its config.json gives"
"""In place of transformers' own words, which name an argument that nobody here can give."""


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
        from sentence_transformers import SentenceTransformer

    try:
        with quiet(), own_randomness():  # what a checkpoint lacks is drawn before that is noticed
            modules = None if info.sentence_transformer else _mean_of_tokens(info)
            made = SentenceTransformer(
                str(info.path) if modules is None else None,
                modules=modules,
                device=device,
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs=_weights(torch.float32),
            )
            lacking = _lacking(made[0].auto_model, info)
    except torch.OutOfMemoryError as error:
        raise ModelError(f"The encoder '{name}' does not fit the GPU's memory; take a smaller one.") from error
    except _FAULTS as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        why = _OTHER_SIZES if "ignore_mismatched_sizes" in str(error) else lines[0].rstrip(".")
        raise ModelError(
            f"The encoder '{name}' cannot be loaded ({why}); download it again, or take another."
        ) from error
    if lacking is not None:
        raise ModelError(f"The encoder '{name}' lacks weights, such as '{lacking}'; download it again.")
    return made


def _weights(dtype: Any) -> dict[str, Any]:
    return {"use_safetensors": True, "dtype": dtype}


def _mean_of_tokens(info: EncoderInfo) -> list[Any]:
    """Make the modules of a plain encoder: its last states, and their mean over a text's tokens."""
    import torch
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    body = Transformer(str(info.path), model_kwargs=_weights(torch.float32), max_seq_length=info.context_length)
    return [body, Pooling(body.get_embedding_dimension(), "mean")]


def _lacking(model: Any, info: EncoderInfo) -> str | None:
    """Name a weight that the checkpoint lacks and chance stands for; None where it holds all that vectors depend on.

    Names that no file has are mostly those that transformers writes otherwise today: it alone knows, and is asked.
    """
    from safetensors import safe_open

    held = set[str]()
    for path in info.body.glob("*.safetensors"):
        with safe_open(path, framework="numpy") as file:
            held.update(file.keys())
    prefix = f"{model.base_model_prefix}."
    if all(name in held or prefix + name in held for name in model.state_dict() if "pooler" not in name):
        return None
    told: Any = type(model).from_pretrained(
        info.body, config=model.config, trust_remote_code=False, output_loading_info=True, **_weights(model.dtype)
    )
    # what a checkpoint of another head lacks: neither means of tokens nor first tokens use it
    return min((name for name in told[1]["missing_keys"] if "pooler" not in name), default=None)
