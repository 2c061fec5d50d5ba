"""What the winner mistakes for what, on test.

Not covered: mistakes in sentences (`mix_ups`), confusion on dev, or of other strategies.
"""

from collections import Counter
from dataclasses import dataclass

from llmtl.measured.evaluation import Evaluation

FAILED = "(failed)"
MOST_LABELS_IN_TABLE = 20
"""With more labels the counts can no longer be read: a heat map and a list of mistakes take the table's place."""


@dataclass(frozen=True)
class Mistake:
    """`count` of the `of` examples with this reference were given the label `predicted`."""

    reference: str
    predicted: str
    count: int
    of: int


@dataclass(frozen=True)
class Confusion:
    """Counts by reference (rows) and predicted label (columns); a last column holds failures where there are any."""

    strategy: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def small(self) -> bool:
        """Say whether the counts can be shown as a table."""
        return len(self.columns) <= MOST_LABELS_IN_TABLE

    def share(self, row: int, column: int) -> float:
        """Give the share of the row's examples that were given the column's label; 0 for a row without examples."""
        total = sum(self.counts[row])
        return self.counts[row][column] / total if total else 0.0

    def mistakes(self, most: int = 12) -> list[Mistake]:
        """List the most frequent mistakes, then those that hit the largest share of their label."""
        found = [
            Mistake(reference, predicted, self.counts[i][j], sum(self.counts[i]))
            for i, reference in enumerate(self.rows)
            for j, predicted in enumerate(self.columns)
            if self.counts[i][j] and reference != predicted
        ]
        found.sort(key=lambda mistake: (-mistake.count, mistake.of, mistake.reference, mistake.predicted))
        return found[:most]


def confusion_of(evaluation: Evaluation, labels: tuple[str, ...]) -> Confusion:
    """Count the confusion of one evaluation, labels in the task's order."""
    predicted = [FAILED if prediction.answer is None else prediction.answer for prediction in evaluation.predictions]
    unknown = sorted({*evaluation.references, *predicted} - {*labels, FAILED})
    rows = (*labels, *unknown)
    columns = (*rows, FAILED) if FAILED in predicted else rows
    pairs = Counter(zip(evaluation.references, predicted, strict=True))
    counts = tuple(tuple(pairs[row, column] for column in columns) for row in rows)
    return Confusion(evaluation.strategy, rows, columns, counts)
