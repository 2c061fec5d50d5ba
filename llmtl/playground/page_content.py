"""What the playground shows: plain values, no models and no files.

Not covered: asking the endpoint (`client`), drawing (the tabs).
"""

from dataclasses import dataclass, field

from llmtl.costs import PriceConfig
from llmtl.measured.evaluation import Evaluation
from llmtl.playground.http_client import ServedTask
from llmtl.report import ReportContent


@dataclass(frozen=True)
class StrategyCost:
    """What running a strategy takes, before prices: machine seconds to fit it once and to answer one request.

    `device` and `train_device` are `cpu` or `cuda`: whose hourly price counts. Of a model at its provider (`hosted`)
    seconds cost nothing: `paid_per_request` and `paid_for_fitting` are the USD for its tokens at the recipe's prices.
    `first` is what answers first in a cascade, for every request; the rest is then of its second member.
    """

    name: str
    role: str
    device: str
    train_device: str
    seconds_per_request: float
    train_seconds: float
    paid_per_request: float = 0.0
    paid_for_fitting: float = 0.0
    first: "StrategyCost | None" = None


@dataclass(frozen=True)
class TestRow:
    """A test example with the served strategy's prediction; `prediction` is None where it failed."""

    __test__ = False  # pytest must not collect it

    id: str
    text: str
    reference: str
    prediction: str | None
    probability: float | None
    alternatives: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Say whether the prediction is the reference, or one of its alternatives."""
        return self.prediction in (self.reference, *self.alternatives)


@dataclass(frozen=True)
class PlaygroundContent:
    """Everything the playground needs; `report` and what follows from it are empty when there is no run."""

    base_url: str
    task: ServedTask
    api_key: str | None = field(default=None, repr=False)
    report: ReportContent | None = None
    costs: tuple[StrategyCost, ...] = ()
    prices: PriceConfig = field(default_factory=PriceConfig)

    @property
    def measured(self) -> Evaluation | None:
        """Find the served strategy's evaluation on test, where the run measured it."""
        evaluations = self.report.evaluations if self.report else ()
        return next((e for e in evaluations if (e.strategy, e.split) == (self.task.strategy, "test")), None)

    @property
    def rows(self) -> tuple[TestRow, ...]:
        """Pair the test examples with the predictions of the served strategy, in test order."""
        measured = self.measured
        if self.report is None or measured is None:
            return ()
        return tuple(
            TestRow(
                id=example.id,
                text=example.text,
                reference=example.reference,
                prediction=prediction.answer,
                probability=prediction.probabilities.get(prediction.answer) if prediction.answer is not None else None,
                alternatives=example.alternatives,
            )
            for example, prediction in zip(self.report.test_examples, measured.predictions, strict=True)
        )
