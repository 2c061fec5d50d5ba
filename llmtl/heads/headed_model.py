"""A language model that was tuned with a classification head: begun, kept and asked like a tuned encoder.

Not covered: the network (`llmtl.encoders.language_network`), training and files (`llmtl.heads.tuned_encoder`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmtl.encoders.fine_tuning import TOKENS_AT_ONCE
from llmtl.encoders.language_network import AdapterShape, LanguageNetwork
from llmtl.encoders.network import TOKENS_AT_ONCE as READ_AT_ONCE
from llmtl.encoders.network import Network, Scoring
from llmtl.encoders.windows import Windows
from llmtl.heads.tuned_encoder import Start, TunedEncoder
from llmtl.progress import Advance, unwatched
from llmtl.strategy import LocalServed, Prediction
from llmtl.task import Input
from llmtl.tuning.needed_memory import StepLoad, TrainedPart


@dataclass(frozen=True, kw_only=True)
class HeadedStart(Start):
    """The run's language model, with a fresh head and an adapter of that shape."""

    adapter: AdapterShape

    def begin(self, scoring: Scoring, device: str) -> Network:
        """Make what is tuned."""
        return LanguageNetwork.start(self.checkpoint, scoring, self.adapter, device=device)


@dataclass(frozen=True)
class HeadedModel:
    """The model with its head, which has no other form than this one."""

    tuned: TunedEncoder

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one prediction per text, whatever its length."""
        return self.tuned.predict(inputs, advance=advance)

    def save(self, folder: Path) -> None:
        """Write what the scores mean, and the model where it is not there yet."""
        self.tuned.save(folder)

    def served(self) -> LocalServed:
        """Say that our own server serves it."""
        return self.tuned.served()


def step_of(train: Sequence[Windows], batch: int, *, dev: Sequence[Windows]) -> StepLoad:
    """Say what is computed at once in the heaviest step, and when dev is read."""
    lengths = sorted((len(window) for windows in train for window in windows), reverse=True)
    width = lengths[0]
    rows = min(batch, len(lengths), max(1, TOKENS_AT_ONCE // width))
    read = sum(len(window) for windows in dev for window in windows)
    return StepLoad(rows, width, scored=rows, masked=True, read_tokens=min(read, READ_AT_ONCE))


def trained_of(adapter: AdapterShape, outputs: int) -> TrainedPart:
    """Say what takes gradients and moments."""
    return TrainedPart(adapter.rank, dropout=adapter.dropout, outputs=outputs, temporary=False)
