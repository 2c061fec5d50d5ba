"""What is found and missed of each label (extraction: of each type), and the answers that score lowest.

Precision and recall of a label have Wilson intervals, F1 that of `llmtl.metrics.intervals.f1_interval`, all as if items
were independent. Not covered: which label is taken for which (`confusion`, `mix_ups`), strategies but the winner and
its best rival, further draws of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llmtl.decision.label_care import LabelFound, found_by_label
from llmtl.decision.outcome import Decision
from llmtl.kinds.kind import Kind
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.intervals import Interval, f1_interval, wilson
from llmtl.report.content import ReportContent
from llmtl.report.disagreement import LONGEST_ANSWER, in_words, shortened
from llmtl.task import Metric

LOWEST = 10
MOST_ROWS = 20
"""With more labels the worst `LOWEST` stand in the table, and all of them are folded below it."""


@dataclass(frozen=True)
class ScoredLabel:
    """Precision, recall and F1 of a label with their 95% intervals; None where nothing was given, or expected.

    `rival_f1` is that of the best rival; None without one.
    """

    counts: LabelFound
    precision: Interval | None
    recall: Interval | None
    f1: Interval | None
    rival_f1: Interval | None = None

    @property
    def label(self) -> str:
        """Name the label."""
        return self.counts.label

    @property
    def missed(self) -> int:
        """Count how often it was expected and not given."""
        return self.counts.expected - self.counts.right

    @property
    def wrong(self) -> int:
        """Count how often it was given and not expected."""
        return self.counts.given - self.counts.right


@dataclass(frozen=True)
class LabelTable:
    """The scores of all labels in the task's order, of the winner beside its best rival, if there is one."""

    strategy: str
    rival: str | None
    rows: tuple[ScoredLabel, ...]

    @property
    def small(self) -> bool:
        """Say whether all rows can be shown at once."""
        return len(self.rows) <= MOST_ROWS

    @property
    def worst(self) -> tuple[ScoredLabel, ...]:
        """List the tested labels with the lowest F1, the worst first; all rows of a small table as they are."""
        if self.small:
            return self.rows
        tested = [row for row in self.rows if row.counts.expected]
        tested.sort(key=lambda row: (row.f1.value if row.f1 else 0.0, -row.counts.expected))
        return tuple(tested[:LOWEST])


@dataclass(frozen=True)
class Low:
    """A test example and the winner's answer to it, with its own score."""

    text: str
    reference: str
    answer: str
    score: float


def best_rival(decision: Decision) -> str | None:
    """Name the strategy with the highest score on test beside the winner; None where no other was tested."""
    others = [item for item in decision.strategies if item.test and item.name != decision.winner]
    return max(others, key=lambda item: item.test.value if item.test else 0.0).name if others else None


def label_table(winner: Evaluation, rival: Evaluation | None, labels: Sequence[str]) -> LabelTable | None:
    """Score every label in the task's order; None where answers are texts or rankings."""
    if not winner.kind.has_labels:
        return None
    ours, theirs = (_counted(each, labels) if each else {} for each in (winner, rival))
    rows = tuple(_scores(counts, theirs.get(label)) for label, counts in ours.items())
    return LabelTable(winner.strategy, rival.strategy if rival else None, rows)


def not_applicable(kind: Kind) -> str:
    """Say why there is no table by label, of a kind without labels; empty otherwise."""
    if kind.has_labels:
        return ""
    what = "rankings of texts" if kind.searches else "free texts"
    return f"Precision and recall by label do not apply: answers are {what}, which are better or worse as a whole."


def _counted(evaluation: Evaluation, labels: Sequence[str]) -> dict[str, LabelFound]:
    found = {each.label: each for each in found_by_label(evaluation)}
    return {label: found.get(label) or LabelFound(label, 0, 0, 0) for label in dict.fromkeys([*labels, *found])}


def _scores(counts: LabelFound, rival: LabelFound | None) -> ScoredLabel:
    right, expected, given = counts.right, counts.expected, counts.given
    return ScoredLabel(
        counts,
        precision=wilson(right, given) if given else None,
        recall=wilson(right, expected) if expected else None,
        f1=_f1(counts),
        rival_f1=_f1(rival) if rival else None,
    )


def _f1(counts: LabelFound) -> Interval | None:
    if not counts.expected + counts.given:
        return None
    return f1_interval(counts.right, counts.expected, counts.given)


def lowest_answers(evaluation: Evaluation, content: ReportContent) -> tuple[Low, ...]:
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
        for index in order[:LOWEST]
    )
