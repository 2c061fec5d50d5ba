"""Looking demonstrations up for an input as the measured strategy did, from what a bundle holds.

    demonstrations.jsonl             the examples to retrieve from, in index order
    retrieval/vectors.safetensors    one embedding per example; without it, TF-IDF is computed from the texts
    retrieval/encoder/               the sentence model, where that embeds

A message is embedded on the CPU of the server's process. Where the language model itself embeds, that process holds it
once more: a vLLM server that writes gives no hidden states (its pooling models are another runner, another server).
Not covered: stock vLLM, which cannot retrieve.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Lock

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.sentence import SentenceEncoder
from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.engines.protocol import ModelSource, Precision
from llmtl.errors import BundleError
from llmtl.foreign_files import DATA_ENDINGS
from llmtl.prompting.retrieval import Embed, EmbeddingRetriever, Index, Retriever, load_encoder, sentence_embed
from llmtl.serving.bundle.manifest import RETRIEVAL_FOLDER, BaseModel, Bundle, ServedStrategy
from llmtl.serving.bundle.read import read_pool
from llmtl.strategy import Retrieval, Retrieved
from llmtl.task import Example

VECTORS, ENCODER = "vectors.safetensors", "encoder"
LARGEST_GIB = 2.0
"""The largest language model, by its weights, that is held once more to embed messages: each costs a forward pass on
the CPU, tens of milliseconds for a model of this size and a short message."""

_GIB = 2**30
_BYTES = {"float32": 4, "bfloat16": 2}
_REMEMBERED = 1024
"""Inputs whose demonstrations are kept: a request needs them several times, for its length and for its wording."""


class RememberingIndex:
    """An index that any number of threads may use; what was just looked up costs nothing."""

    def __init__(self, index: Index) -> None:
        self._lock = Lock()
        self._nearest = lru_cache(maxsize=_REMEMBERED)(index.nearest)

    def nearest(self, text: str, count: int) -> tuple[Example, ...]:
        """Find the `count` examples most similar to `text`, most similar last."""
        with self._lock:
            return self._nearest(text, count)


def too_large_to_embed(model: ModelSource, dtype: Precision) -> str | None:
    """Say why a language model cannot embed messages beside vLLM, and the cure; None where it can."""
    gib = inspect_checkpoint(model.name, model.revision).parameters * _BYTES[dtype] / _GIB
    if gib <= LARGEST_GIB:
        return None
    return (
        f"to retrieve by the model's embeddings the server holds its {gib:.1f} GiB once more, on the CPU, and llmtl "
        f"does that up to {LARGEST_GIB:g} GiB; set the strategy's 'retrieval' to '{Retrieval.TFIDF}' or "
        f"'{Retrieval.SENTENCES}' and run again, or export another strategy with --strategy"
    )


def write_retrieval(folder: Path, found: Retrieved, *, model: ModelSource, dtype: Precision) -> None:
    """Write what retrieving needs beside the pool: its vectors, and the sentence model.

    Raises `BundleError` for a sentence model with files that could run code.
    """
    if found.by is Retrieval.TFIDF:
        return
    place = folder / RETRIEVAL_FOLDER
    place.mkdir()
    if found.by is Retrieval.SENTENCES:
        load_encoder(found).save(place / ENCODER)
        _require_harmless(place / ENCODER, found.sentence_model)
        embed = _by_encoder(place / ENCODER)
    else:
        embed = _by_model(model, dtype)
    save_file({"vectors": embed([example.text for example in found.pool])}, place / VECTORS)


def open_index(bundle: Bundle, folder: Path) -> Index | None:
    """Open the index that the bundle's retrieving strategy looks demonstrations up in; None when none retrieves.

    Raises `BundleError` for damaged files and `MissingPackageError` without `sentence-transformers` where it embeds.
    """
    pool = read_pool(folder)
    strategy = next((each for each in bundle.strategies if each.retrieved), None)
    if not pool or strategy is None:
        return None
    if strategy.retrieval is Retrieval.TFIDF:
        return Retriever(pool)
    try:
        vectors = load_file(folder / RETRIEVAL_FOLDER / VECTORS)["vectors"]
    except (OSError, SafetensorError, KeyError) as error:
        raise BundleError(f"'{folder / RETRIEVAL_FOLDER}' is missing or damaged; export the bundle again.") from error
    return RememberingIndex(EmbeddingRetriever(pool, _embed(bundle, folder, strategy), vectors=vectors))


def _embed(bundle: Bundle, folder: Path, strategy: ServedStrategy) -> Embed:
    """Return what embeds a message."""
    if strategy.retrieval is Retrieval.SENTENCES:
        return _by_encoder(folder / RETRIEVAL_FOLDER / ENCODER)
    assert bundle.base is not None
    return _by_model(_source(bundle.base, folder), bundle.base.dtype)


def _source(base: BaseModel, folder: Path) -> ModelSource:
    """Return where the language model of a bundle is."""
    return ModelSource(base.source, base.revision) if base.hub else ModelSource(str(folder / base.source))


def _by_encoder(folder: Path) -> Embed:
    """Return the embedding by the encoder in a folder."""
    return sentence_embed(SentenceEncoder.load(EncoderSource(str(folder)), "cpu"))


def _by_model(model: ModelSource, dtype: Precision) -> Embed:
    """Return the embedding by the language model's hidden states, as measured."""
    from llmtl.engines.transformers.engine import TransformersEngine  # most bundles do not need it

    return TransformersEngine.load(replace(model, dtype=dtype), device="cpu").embed


def _require_harmless(folder: Path, name: str) -> None:
    """Raise `BundleError` when a file of a sentence model could run code."""
    odd = sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix not in DATA_ENDINGS)
    if odd:
        raise BundleError(
            f"The sentence model '{name}' has '{odd[0]}', which a bundle does not take; use one in safetensors."
        )
