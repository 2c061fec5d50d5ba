"""What the playground shows: plain values, no models and no files.

Not covered: asking the endpoint (`client`), drawing (the tabs).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llmtl.answers import read_ranking
from llmtl.costs import PriceConfig, Usage
from llmtl.kinds.kind import Kind
from llmtl.measured.evaluation import Evaluation
from llmtl.playground.http_client import ServedTask
from llmtl.report import ReportContent, naming


@dataclass(frozen=True)
class StrategyCost:
    """What a strategy was measured to use, before prices, all of them offline alike."""

    name: str
    role: str
    used: Usage

    @property
    def devices(self) -> frozenset[str]:
        """Say where it runs: `cpu`, `cuda`, `hosted`, or several of them."""
        return frozenset(part.device for part in self.used.members or (self.used,))


@dataclass(frozen=True)
class TestRow:
    """A test example with the served strategy's prediction; `prediction` is None where it failed.

    A ranking is right where its first text is relevant.
    """

    __test__ = False  # pytest must not collect it

    id: str
    text: str
    reference: str
    prediction: str | None
    probability: float | None
    alternatives: tuple[str, ...] = ()
    ranked: bool = False

    @property
    def right(self) -> bool:
        """Say whether the prediction is right."""
        return self.prediction is not None and self.agrees(self.prediction)

    def agrees(self, answer: str) -> bool:
        """Say whether an answer is the reference, or one of its alternatives."""
        if self.ranked:
            return bool(set(read_ranking(answer)[:1]) & set(read_ranking(self.reference)))
        return answer in (self.reference, *self.alternatives)


@dataclass(frozen=True)
class PlaygroundContent:
    """Everything the playground needs; `report` and what follows from it are empty when there is no run.

    `corrections` is the file to which corrections of answers go; without one they cannot be given.
    """

    base_url: str
    task: ServedTask
    api_key: str | None = field(default=None, repr=False)
    report: ReportContent | None = None
    costs: tuple[StrategyCost, ...] = ()
    prices: PriceConfig = field(default_factory=PriceConfig)
    corrections: Path | None = None

    @property
    def kind(self) -> Kind:
        """Give the kind of the served task."""
        return self.task.kind

    @property
    def title(self) -> str:
        """Name the served strategy for people."""
        return self.titled(self.task.strategy)

    def titled(self, strategy: str) -> str:
        """Name a strategy for people, as the report does where there is one."""
        codes = self.report.codes if self.report else {}
        return next((said for said, code in codes.items() if code == strategy), naming.title(strategy))

    @property
    def corpus(self) -> Mapping[str, str]:
        """Give the texts that are searched, by id, where a run tells them."""
        return self.report.corpus if self.report else {}

    @property
    def measured(self) -> Evaluation | None:
        """Find the served strategy's evaluation on test, where the run measured it."""
        if self.report is None:
            return None
        codes, name = self.report.codes, self.task.strategy
        on_test = (e for e in self.report.evaluations if e.split == "test")
        return next((e for e in on_test if codes.get(e.strategy, e.strategy) == name), None)

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
                ranked=self.kind.searches,
            )
            for example, prediction in zip(self.report.test_examples, measured.predictions, strict=True)
        )
