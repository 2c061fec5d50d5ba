"""The test examples on which the strategies disagree, most informative first.

Not covered: why a strategy answered as it did.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from llmtl.answers import read_ranking
from llmtl.kinds.kind import Kind
from llmtl.measured.evaluation import Evaluation
from llmtl.report.confusion import FAILED
from llmtl.report.content import ReportContent
from llmtl.task import Example, Metric

MOST_EXAMPLES = 40
LONGEST_TEXT = 600
LONGEST_ANSWER = 300
MOST_RANKED, LONGEST_RANKED = 3, 80
"""How many texts of a ranking are shown, and how many characters of each."""


@dataclass(frozen=True)
class SharedAnswer:
    """One answer in words that was given to an example, and the strategies that gave it.

    `score` is that of a generated text by itself; other answers are right or wrong and have none.
    """

    label: str
    right: bool
    strategies: tuple[str, ...]
    score: float | None = None


@dataclass(frozen=True)
class DisputedExample:
    """One test example, its reference in words and the different answers, the right or best one first."""

    text: str
    reference: str
    answers: tuple[SharedAnswer, ...]
    winner_right: bool

    @property
    def right_strategies(self) -> tuple[str, ...]:
        """List the strategies that gave the reference."""
        return tuple(name for answer in self.answers if answer.right for name in answer.strategies)


@dataclass(frozen=True)
class Disagreements:
    """What the report shows of them: the first examples, how many there are, and which strategies are left out.

    `constant` names the strategies that give every example the same answer: they disagree with everyone everywhere,
    which says nothing about an example.
    """

    shown: tuple[DisputedExample, ...]
    total: int
    examples: int
    constant: tuple[str, ...]


def find_disagreements(content: ReportContent, most: int = MOST_EXAMPLES) -> Disagreements:
    """Find the test examples whose answers differ.

    Those that split right from wrong most evenly come first; generated texts by how far their scores lie apart.
    """
    evaluations = [evaluation for evaluation in content.evaluations if evaluation.split == "test"]
    constant = [evaluation.strategy for evaluation in evaluations if _is_constant(evaluation)]
    answers = {
        evaluation.strategy: labels_by_example(evaluation, content.test_examples)
        for evaluation in evaluations
        if evaluation.strategy not in constant
    }
    scores = {e.strategy: _scores(e, content) for e in evaluations if not content.task.kind.has_labels}
    found = [
        _disagreement(example, answers, content=content, scores=scores)
        for example in content.test_examples
        if len({labels.get(example.id) for labels in answers.values() if example.id in labels}) > 1
    ]
    found.sort(key=_apart if scores else _information, reverse=True)
    return Disagreements(tuple(found[:most]), len(found), len(content.test_examples), tuple(constant))


def in_words(answer: str | None, kind: Kind, corpus: Mapping[str, str] = MappingProxyType({})) -> str:
    """Write an answer in words: `refund`, `late, rude`, `date: Friday; people: 4`, `(no span)`, `(failed)`.

    Of a ranking of a `corpus`, texts by id, the first texts are written.
    """
    if answer is None:
        return FAILED
    if not corpus:
        return kind.in_words(answer)
    ids = read_ranking(answer)
    told = [f"“{shortened(corpus.get(id_, id_), LONGEST_RANKED)}”" for id_ in ids[:MOST_RANKED]]
    more = f" and {len(ids) - MOST_RANKED} more" if len(ids) > MOST_RANKED else ""
    return ", ".join(told) + more


def labels_by_example(evaluation: Evaluation, examples: Sequence[Example]) -> dict[str, str | None]:
    """Map example ids to predicted labels (None after a failure).

    Predictions are matched by id, or by position where predictors numbered them and the references agree.
    """
    ids = [example.id for example in examples]
    if evaluation.references == tuple(example.reference for example in examples):
        return dict(zip(ids, (prediction.answer for prediction in evaluation.predictions), strict=True))
    known = set(ids)
    return {prediction.id: prediction.answer for prediction in evaluation.predictions if prediction.id in known}


def _is_constant(evaluation: Evaluation) -> bool:
    return evaluation.n > 1 and len({prediction.answer for prediction in evaluation.predictions}) == 1


def shortened(text: str, most: int = LONGEST_TEXT) -> str:
    """Cut a text to bearable length."""
    return text if len(text) <= most else f"{text[:most].rstrip()} …"


def _scores(evaluation: Evaluation, content: ReportContent) -> dict[str, float]:
    """Return the score of each example by itself, by its id."""
    scores = evaluation.measure(Metric(content.decision.metric)).each(evaluation.answers)
    return {prediction.id: float(score) for prediction, score in zip(evaluation.predictions, scores, strict=True)}


def _disagreement(
    example: Example,
    answers: dict[str, dict[str, str | None]],
    *,
    content: ReportContent,
    scores: dict[str, dict[str, float]],
) -> DisputedExample:
    kind, winner = content.task.kind, content.decision.winner
    strategies: dict[str | None, list[str]] = defaultdict(list)
    for name, labels in answers.items():
        if example.id in labels:
            strategies[labels[example.id]].append(name)
    right = (example.reference, *example.alternatives)
    grouped = [
        SharedAnswer(
            shortened(in_words(label, kind, content.corpus), LONGEST_ANSWER),
            label in right,
            tuple(names),
            scores.get(names[0], {}).get(example.id),
        )
        for label, names in strategies.items()
    ]
    grouped.sort(key=lambda answer: (not answer.right, -(answer.score or 0.0), -len(answer.strategies)))
    return DisputedExample(
        text=shortened(str(example.input)),
        reference=in_words(example.reference, kind, content.corpus),
        answers=tuple(grouped),
        winner_right=answers.get(winner, {}).get(example.id) in right,
    )


def _apart(found: DisputedExample) -> float:
    """Return how far the scores of the answers lie apart."""
    scores = [answer.score or 0.0 for answer in found.answers]
    return max(scores) - min(scores)


def _information(found: DisputedExample) -> tuple[int, int]:
    """Return the number of (right, wrong) pairs of strategies, then the number of different answers."""
    given = sum(len(answer.strategies) for answer in found.answers)
    right = len(found.right_strategies)
    return right * (given - right), len(found.answers)
