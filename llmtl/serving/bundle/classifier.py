"""A winner that this process serves: its strategy writes its files, and reads them back.

Not covered: what the files are (each strategy's own).
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from safetensors import SafetensorError

from llmtl.engines.protocol import Engine, ModelSource
from llmtl.errors import BundleError, RunError
from llmtl.progress import Advance, unwatched
from llmtl.strategies.table import STRATEGIES
from llmtl.strategy import FitContext, LocalServed, Prediction, Predictor, Served
from llmtl.task import Input, Task


class _OneAtATime:
    """A predictor that one thread at a time may use."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._turn = Lock()

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one prediction per text."""
        with self._turn:
            return self._predictor.predict(inputs, advance=advance)

    def save(self, folder: Path) -> None:
        """Write the predictor."""
        self._predictor.save(folder)

    def served(self) -> Served:
        """Say how the predictor is served."""
        return self._predictor.served()


def write_classifier(predictor: Predictor, folder: Path) -> None:
    """Write a predictor to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    predictor.save(folder)


def load_classifier(folder: Path, task: Task, strategy: str) -> Predictor:
    """Load the predictor of a strategy; raises `BundleError` when its files are missing or damaged."""
    if strategy not in STRATEGIES:
        raise BundleError(f"The bundle's strategy '{strategy}' is not installed; install the package that has it.")
    context = FitContext(task, train=(), dev=(), model=ModelSource("none"), load_engine=_no_engine, folder=folder)
    try:
        predictor = STRATEGIES[strategy]().load(context, folder)
    except (RunError, OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise BundleError(f"The classifier in '{folder}' is missing or damaged; export the bundle again.") from error
    served = predictor.served()
    return _OneAtATime(predictor) if isinstance(served, LocalServed) and served.one_at_a_time else predictor


def _no_engine(adapter: Path | None) -> Engine:
    del adapter
    raise BundleError("The bundle holds no language model; export it again.")
