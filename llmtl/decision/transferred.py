"""Everything that a run found out about transfer, gathered from its evaluations and from what fitting found.

Nothing is computed but the shapes of curves, and what models would have cost from scratch. Not covered: the words
(`llmtl.report.transfer_words`, `llmtl.report.pre_training_words`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from llmtl.costs.config import PriceConfig
from llmtl.costs.pre_training import ScratchEstimate, from_scratch
from llmtl.costs.usd import gpu_hours, usd_for_seconds
from llmtl.decision.outcome import Decision
from llmtl.decision.training_shape import TrainingShape, shape_of
from llmtl.decision.transfer import Transfer
from llmtl.findings import FitFinding, LayerChanges, PreTrained, TrainingCurve, TriedStrength, finding
from llmtl.measured.evaluation import Evaluation
from llmtl.strategies.table import facts_of
from llmtl.task import Metric

NO_CODES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class BeforeAndAfter:
    """What a strategy's model would have cost from scratch, estimated, and what adapting it took, measured.

    `usd` is the price of the `seconds` that fitting took on `devices` machines of the kind `device`.
    """

    strategy: str
    model: str
    from_scratch: ScratchEstimate
    seconds: float
    device: str
    devices: int
    usd: float

    @property
    def gpu_hours(self) -> float:
        """The hours of GPUs that adapting took; 0 on a CPU."""
        return gpu_hours(self.seconds, gpus=self.devices) if self.device == "cuda" else 0.0


@dataclass(frozen=True)
class ChosenStrength:
    """The strengths of consolidation that were `tried` in turn, each by a training; the last one is in use.

    `most` is by what share general English might become harder to predict; None where that was not written down.
    """

    tried: tuple[TriedStrength, ...]
    most: float | None

    @property
    def strength(self) -> float:
        """Give the strength that is in use."""
        return self.tried[-1].strength

    @property
    def holds(self) -> bool:
        """Tell whether the upper end of the interval of the rise is within what might be."""
        high = self.tried[-1].high
        return self.most is not None and high is not None and high <= self.most


@dataclass(frozen=True, repr=False)
class Transferred:
    """What a run says about transfer: the shape of each training, by strategy, and the comparisons with controls.

    `from_random` are the trainings that began from random weights; `layers` says what tuning changed in those of
    pre-trained models, by strategy, where that was measured. `costs` lay what training the model from scratch would
    have cost, which is estimated, beside what adapting it took, which was measured. `consolidation` says which strength
    was chosen where a recipe has `ewc: auto`, and what trying them showed.
    """

    trainings: Mapping[str, TrainingShape] = field(default_factory=dict)
    controls: tuple[Transfer, ...] = ()
    from_random: frozenset[str] = frozenset()
    layers: Mapping[str, LayerChanges] = field(default_factory=dict)
    costs: tuple[BeforeAndAfter, ...] = ()
    consolidation: Mapping[str, ChosenStrength] = field(default_factory=dict)

    def __repr__(self) -> str:
        shapes = (f"{name} {each.pace.value}, {each.ending.value}" for name, each in self.trainings.items())
        worth = (f"{each.strategy} against {each.control}: {each.worth.value}" for each in self.controls)
        held = (f"{name} consolidated by {each.strength:g}" for name, each in self.consolidation.items())
        return f"<transfer: {'; '.join((*shapes, *worth, *held)) or 'nothing was trained'}>"

    def __bool__(self) -> bool:
        return bool(self.trainings or self.controls)


def transferred(
    decision: Decision,
    evaluations: Iterable[Evaluation],
    findings: Mapping[str, Sequence[FitFinding]],
    *,
    codes: Mapping[str, str] = NO_CODES,
    prices: PriceConfig | None = None,
) -> Transferred:
    """Gather what a run found out about transfer; `codes` are the names of the table where strategies have titles.

    Costs are told where there are `prices`.
    """
    dev = {each.strategy: each for each in evaluations if each.split == "dev"}
    curves = {name: curve for name, found in findings.items() if (curve := finding(found, TrainingCurve)) is not None}
    shapes = {name: shape_of(curve, start_score=_unchanging(dev.get(name), curve)) for name, curve in curves.items()}
    random = frozenset(
        name for name in curves if (facts := facts_of(codes.get(name, name))) is not None and facts.control_of
    )
    layers = {
        name: changed for name, found in findings.items() if (changed := finding(found, LayerChanges)) is not None
    }
    costs = () if prices is None else tuple(_costs(dev, findings, prices))
    chosen = {
        name: ChosenStrength(curve.strengths, curve.most_forgetting)
        for name, curve in curves.items()
        if curve.strengths
    }
    return Transferred(shapes, decision.transfer, random, layers, costs, chosen)


def _costs(
    dev: Mapping[str, Evaluation], findings: Mapping[str, Sequence[FitFinding]], prices: PriceConfig
) -> Iterator[BeforeAndAfter]:
    for name, found in findings.items():
        began, measured = finding(found, PreTrained), dev.get(name)
        if began is None or measured is None or measured.train_seconds is None:
            continue
        estimate = from_scratch(began.model, began.parameters, prices)
        if estimate is not None:
            seconds, device, devices = measured.train_seconds, measured.device, measured.devices
            usd = usd_for_seconds(seconds, device=device, prices=prices, devices=devices)
            yield BeforeAndAfter(name, began.model, estimate, seconds, device, devices, usd)


def _unchanging(dev: Evaluation | None, curve: TrainingCurve) -> float | None:
    """Score the best answer that never changes on dev, where a fresh head begins; None where there is none such."""
    if dev is None or not curve.dev_metric:
        return None
    answer = dev.kind.constant(dev.references)
    if answer is None:
        return None
    measure = dev.measure(Metric(curve.dev_metric))
    return float(np.asarray(measure.value(measure.counts([answer] * dev.n).sum(axis=0)[None, :])).item())
