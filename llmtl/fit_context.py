"""What fitting a strategy may use and spend; `llmtl.strategy` has the names, too.

Not covered: how much time each strategy is given (`llmtl.pipeline.shares`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from llmtl.costs import PriceConfig
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.engines.protocol import Engine, ModelSource
from llmtl.findings import FitFinding
from llmtl.progress import Progress, Silent
from llmtl.task import CorpusText, Example, Preference, Task


@dataclass(frozen=True)
class Budget:
    """What fitting and asking one strategy may spend; None means no limit but the recipe's.

    A forecast that is surely below `enough` seconds need not be measured: the strategy has so many whatever comes out.
    """

    train_seconds: float | None = None
    usd: float | None = None
    enough: float | None = None


@dataclass(frozen=True)
class PromptSpeed:
    """How fast the run's model was measured to answer, in seconds.

    `prompt` is one prompt of one input where all begin alike, `demonstration` what each demonstration adds to a prompt
    that no other begins like.
    """

    prompt: float
    demonstration: float = 0.0


@dataclass(frozen=True)
class FitContext:
    """Everything fitting may use: the task, train and dev examples, a way to load engines, a folder to keep files in.

    `load_engine(tuned)` returns the run's engine for the base model (None), or for the LoRA adapter or the tuned model
    in a folder; engines are cached by the caller, so strategies never close them; one that needs the memory for itself
    calls `release_engines`, after which engines loaded before are unusable. `folder` is the strategy's own and exists.
    `device` is what fitting may compute on, `cpu` or `cuda`, and `devices` how many of them. `others` are the sections
    that the strategy's facts say it reads, by strategy. `encoder` says which encoder to use, None for none; `corpus` is
    what a task of retrieval searches, `preferences` which of two answers is better, for strategies that learn from it.
    `earlier` is what the first fit found where this is another draw (`Facts.draw`): what does not depend on the draw,
    such as the wording of a prompt, may be taken from it and need not be searched again. `speed` is what forecasts of
    prompts rest on, None where it was not measured.
    `most_forgetting` is by what share general English may become harder to predict, for strategies that go by it.
    """

    task: Task
    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    model: ModelSource
    load_engine: Callable[[Path | None], Engine]
    folder: Path
    seed: int = 0
    budget: Budget = Budget()
    prices: PriceConfig = field(default_factory=PriceConfig)
    progress: Progress = field(default_factory=Silent)
    release_engines: Callable[[], None] = lambda: None
    device: str = "cpu"
    devices: int = 1
    others: Mapping[str, BaseModel] = field(default_factory=dict)
    earlier: tuple[FitFinding, ...] = ()
    encoder: EncoderSource | None = None
    corpus: tuple[CorpusText, ...] = ()
    preferences: tuple[Preference, ...] = ()
    speed: PromptSpeed | None = None
    most_forgetting: float = 0.1
