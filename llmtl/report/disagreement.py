"""The test examples on which the strategies disagree, most informative first.

Not covered: why a strategy answered as it did.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from llmtl.evaluation import Evaluation
from llmtl.report.content import ReportContent
from llmtl.task import Example

MOST_EXAMPLES = 40
LONGEST_TEXT = 600


@dataclass(frozen=True)
class Answer:
    """One answer given to an example and the strategies that gave it; `label` is None for a failure."""

    label: str | None
    right: bool
    strategies: tuple[str, ...]


@dataclass(frozen=True)
class Disagreement:
    """One test example, its reference and the different answers, the right one first."""

    text: str
    reference: str
    answers: tuple[Answer, ...]
    winner_right: bool

    @property
    def right_strategies(self) -> tuple[str, ...]:
        """Return the strategies that gave the reference."""
        return tuple(name for answer in self.answers if answer.right for name in answer.strategies)


@dataclass(frozen=True)
class Disagreements:
    """What the report shows of them: the first examples, how many there are, and who is left out.

    `constant` names the strategies that give every example the same answer: they disagree with everyone everywhere,
    which says nothing about an example.
    """

    shown: tuple[Disagreement, ...]
    total: int
    examples: int
    constant: tuple[str, ...]


def find_disagreements(content: ReportContent, most: int = MOST_EXAMPLES) -> Disagreements:
    """Return the test examples whose answers differ, those that split right from wrong most evenly first."""
    evaluations = [evaluation for evaluation in content.evaluations if evaluation.split == "test"]
    constant = [evaluation.strategy for evaluation in evaluations if _is_constant(evaluation)]
    answers = {
        evaluation.strategy: labels_by_example(evaluation, content.test_examples)
        for evaluation in evaluations
        if evaluation.strategy not in constant
    }
    found = [
        _disagreement(example, answers, winner=content.decision.winner)
        for example in content.test_examples
        if len({labels.get(example.id) for labels in answers.values() if example.id in labels}) > 1
    ]
    found.sort(key=_information, reverse=True)
    return Disagreements(tuple(found[:most]), len(found), len(content.test_examples), tuple(constant))


def labels_by_example(evaluation: Evaluation, examples: Sequence[Example]) -> dict[str, str | None]:
    """Return the predicted label (None after a failure) by example id.

    Predictions are matched by id, or by position where predictors numbered them and the references agree.
    """
    ids = [example.id for example in examples]
    if evaluation.references == tuple(example.reference for example in examples):
        return dict(zip(ids, (prediction.answer for prediction in evaluation.predictions), strict=True))
    known = set(ids)
    return {prediction.id: prediction.answer for prediction in evaluation.predictions if prediction.id in known}


def _is_constant(evaluation: Evaluation) -> bool:
    return evaluation.n > 1 and len({prediction.answer for prediction in evaluation.predictions}) == 1


def _disagreement(example: Example, answers: dict[str, dict[str, str | None]], *, winner: str) -> Disagreement:
    strategies: dict[str | None, list[str]] = defaultdict(list)
    for name, labels in answers.items():
        if example.id in labels:
            strategies[labels[example.id]].append(name)
    grouped = [Answer(label, label == example.reference, tuple(names)) for label, names in strategies.items()]
    grouped.sort(key=lambda answer: (not answer.right, -len(answer.strategies)))
    text = example.text if len(example.text) <= LONGEST_TEXT else f"{example.text[:LONGEST_TEXT].rstrip()} …"
    return Disagreement(
        text=text,
        reference=example.reference,
        answers=tuple(grouped),
        winner_right=answers.get(winner, {}).get(example.id) == example.reference,
    )


def _information(found: Disagreement) -> tuple[int, int]:
    """Return the number of (right, wrong) pairs of strategies, then the number of different answers."""
    given = sum(len(answer.strategies) for answer in found.answers)
    right = len(found.right_strategies)
    return right * (given - right), len(found.answers)
