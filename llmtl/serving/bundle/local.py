"""A winner that llmtl's own server runs: its strategy writes its files, and reads them back.

    classifier/    what the strategy wrote; nothing in it can run code
    model/         the base model, where the winner reads its states; one from the Hub stays there
    encoder/       the encoder, where a strategy reads texts with one
    first/         what the first strategy of a cascade wrote
    beside/NAME/   what a baseline wrote that is served beside the winner

Not covered: what the files of a strategy are (its own file in `llmtl.strategies`, or another package).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from llmtl.classical.found_texts import SearchesByVectors
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.engines.protocol import Engine, ModelSource
from llmtl.errors import BundleError, RunError
from llmtl.foreign_files import DATA_ENDINGS
from llmtl.hardware import inspect
from llmtl.progress import Advance, unwatched
from llmtl.serving.bundle.manifest import CLASSIFIER_FOLDER, ENCODER_FOLDER, INT8_MODEL, Bundle, Weights
from llmtl.strategies.table import STRATEGIES
from llmtl.strategy import FitContext, LocalServed, Prediction, Predictor, Served
from llmtl.task import FoundText, Input, Task
from llmtl.values import RANKED


class _OneAtATime:
    """A predictor that one thread at a time may use."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._turn = Lock()

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one prediction per input."""
        with self._turn:
            return self._predictor.predict(inputs, advance=advance)

    def save(self, folder: Path) -> None:
        """Write the predictor."""
        self._predictor.save(folder)

    def served(self) -> Served:
        """Say how the predictor is served."""
        return self._predictor.served()


class _SearchOneAtATime(_OneAtATime):
    """The same of one that searches by vectors and gives them."""

    def __init__(self, predictor: Predictor, searcher: SearchesByVectors) -> None:
        super().__init__(predictor)
        self._search = searcher

    def search(self, texts: Sequence[str], *, top: int = RANKED) -> list[list[FoundText]]:
        """Find the `top` texts for each query."""
        with self._turn:
            return self._search.search(texts, top=top)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Give the vector of each text."""
        with self._turn:
            return self._search.embed(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text."""
        with self._turn:
            return self._search.count_tokens(texts)


def write_local(predictor: Predictor, folder: Path) -> None:
    """Let a predictor write its files to `folder`; raises `BundleError` for one that could run code."""
    folder.mkdir(parents=True, exist_ok=True)
    predictor.save(folder)
    odd = sorted(path.name for path in folder.rglob("*") if path.is_file() and not _is_data(path, folder))
    if odd:
        raise BundleError(
            f"The strategy wrote '{odd[0]}', and a bundle takes no file that could run code; export another strategy "
            "with --strategy."
        )


def _is_data(path: Path, folder: Path) -> bool:
    """Say whether a file is of a kind that cannot run code; a graph in int8 is looked into before it is served."""
    graph = folder.name == CLASSIFIER_FOLDER and path == folder.parent / INT8_MODEL
    return graph or path.suffix in DATA_ENDINGS


def require_strategy(bundle: Bundle) -> None:
    """Raise `BundleError` unless the strategies that load the winner's files are installed."""
    if bundle.winner.weights is Weights.CLASSIFIER:
        _require(bundle.run_by_weights)
    if bundle.first is not None:
        _require(bundle.first.name)
    for each in bundle.others:
        if each.weights is Weights.CLASSIFIER:
            _require(each.name)


def _require(strategy: str) -> None:
    if strategy not in STRATEGIES:
        raise BundleError(f"The bundle's strategy '{strategy}' is not installed; install the package that has it.")


def load_local(folder: Path, task: Task, strategy: str, model: ModelSource | None = None) -> Predictor:
    """Load what a strategy wrote to `folder`; `model` is the base model, where the bundle holds one.

    An encoder that it needs is in the bundle, beside `folder`.

    Raises `BundleError` when the files are missing or damaged, or the package that has the strategy is not installed.
    """
    _require(strategy)
    encoder = folder.parent / ENCODER_FOLDER
    context = FitContext(
        task,
        train=(),
        dev=(),
        model=model or ModelSource("none"),
        load_engine=_engines(model),
        folder=folder,
        device="cuda" if inspect().gpus else "cpu",
        encoder=EncoderSource(str(encoder)) if encoder.is_dir() else None,
    )
    try:
        predictor = STRATEGIES[strategy]().load(context, folder)
    except (RunError, OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise BundleError(f"The classifier in '{folder}' is missing or damaged; export the bundle again.") from error
    served = predictor.served()
    if isinstance(served, LocalServed) and (served.one_at_a_time or served.needs_base_model or served.needs_encoder):
        # engines keep the cache of one prefix from call to call, tokenizers their padding
        if isinstance(predictor, SearchesByVectors):
            return _SearchOneAtATime(predictor, predictor)
        return _OneAtATime(predictor)
    return predictor


def base_source(bundle: Bundle, folder: Path) -> ModelSource | None:
    """Say where the base model of the bundle in `folder` is, in the numbers it was measured in."""
    base = bundle.base
    if base is None:
        return None
    source = ModelSource(base.source, base.revision) if base.hub else ModelSource(str(folder / base.source))
    return replace(source, dtype=base.dtype)


def _engines(model: ModelSource | None) -> Callable[[Path | None], Engine]:
    """Return what loads the base model once, on the GPU if there is one."""

    @cache
    def load(adapter: Path | None) -> Engine:
        if model is None or adapter is not None:
            raise BundleError("The bundle does not hold the language model that its winner asks for; export it again.")
        from llmtl.engines.transformers.engine import TransformersEngine  # most bundles do not need it

        return TransformersEngine.load(model)

    return load
