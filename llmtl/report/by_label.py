"""What the winner finds and misses of each label (extraction: of each type), and the answers that score lowest.

For tasks where an answer is not a single label, so that there is no confusion of one label with another. Not covered:
classification (`confusion`), other strategies than the winner.
"""

from collections import Counter
from dataclasses import dataclass

from llmtl.measured.evaluation import Evaluation
from llmtl.report.content import ReportContent
from llmtl.report.disagreement import LONGEST_ANSWER, in_words, shortened
from llmtl.task import Metric

LOWEST = 10


@dataclass(frozen=True)
class LabelCounts:
    """How often a label is in the references (`expected`), in the answers (`given`), and in both (`right`).

    For extraction these are spans of a type; right is one with both ends right.
    """

    label: str
    expected: int
    given: int
    right: int

    @property
    def missed(self) -> int:
        """Count how often it was expected and not given."""
        return self.expected - self.right

    @property
    def wrong(self) -> int:
        """Count how often it was given and not expected."""
        return self.given - self.right

    @property
    def f1(self) -> float | None:
        """Compute the F1 score; None for a label that is in no reference and no answer."""
        both = self.expected + self.given
        return 2 * self.right / both if both else None


@dataclass(frozen=True)
class Low:
    """A test example and the winner's answer to it, with its own score."""

    text: str
    reference: str
    answer: str
    score: float


def counts_by_label(evaluation: Evaluation, labels: tuple[str, ...]) -> tuple[LabelCounts, ...]:
    """Count for each label, in the task's order; nothing where an answer is one label or a text."""
    kind = evaluation.kind
    if not kind.lists:
        return ()
    expected, given, right = Counter[str](), Counter[str](), Counter[str]()
    for reference, answer in zip(evaluation.references, evaluation.answers, strict=True):
        wanted = set(kind.items(reference))
        found = set() if answer is None else set(kind.items(answer))
        for counter, items in ((expected, wanted), (given, found), (right, wanted & found)):
            counter.update(label for label, *_ in items)
    known = (*labels, *sorted({*expected, *given} - set(labels)))
    return tuple(LabelCounts(label, expected[label], given[label], right[label]) for label in known)


def lowest_answers(evaluation: Evaluation, content: ReportContent, most: int = LOWEST) -> tuple[Low, ...]:
    """List the generated answers with the lowest score, the lowest first; none where tasks have labels."""
    kind = evaluation.kind
    if kind.has_labels:
        return ()
    scores = evaluation.measure(Metric(content.decision.metric)).each(evaluation.answers)
    texts = {example.id: str(example.input) for example in content.test_examples}
    order = sorted(range(evaluation.n), key=lambda index: float(scores[index]))
    return tuple(
        Low(
            shortened(texts.get(evaluation.predictions[index].id, "")),
            in_words(evaluation.references[index], kind, content.corpus),
            shortened(in_words(evaluation.predictions[index].answer, kind, content.corpus), LONGEST_ANSWER),
            float(scores[index]),
        )
        for index in order[:most]
    )
