"""What must be known of single labels before a verdict is used: which ones the winner hardly finds or nobody can judge.

Not covered: the words for it (`llmtl.report.care_words`), intervals (`llmtl.report.by_label`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llmtl.measured.evaluation import Evaluation

FEWEST_TO_JUDGE = 3
"""With fewer test examples nothing is said of what a winner finds of a label (our choice): a recall of one half misses
two of two one time in four."""
HALF = 0.5
FEWEST_TESTED = 5
"""With fewer test examples the 95% interval of a label's recall is wide, whatever is found
(Wilson: four of four give 0.51 to 1, two of four 0.15 to 0.85)."""


@dataclass(frozen=True)
class LabelFound:
    """How often a label (extraction: a span of that type) was right, of how many expected and how many given."""

    label: str
    right: int
    expected: int
    given: int

    @property
    def recall(self) -> float:
        """Give the share that was found; `expected` must not be 0."""
        return self.right / self.expected


@dataclass(frozen=True)
class MissedLabels:
    """Labels that a strategy never gives or finds less than half of, the worst first; of `labels` in all."""

    strategy: str
    never: tuple[LabelFound, ...]
    rarely: tuple[LabelFound, ...]
    labels: int
    kind: Literal["missed_labels"] = "missed_labels"


@dataclass(frozen=True)
class FewPerLabel:
    """Labels with fewer than `least` test examples, but some, with their number, the fewest first; of `labels`."""

    tested: tuple[tuple[str, int], ...]
    least: int
    labels: int
    kind: Literal["few_per_label"] = "few_per_label"


@dataclass(frozen=True)
class OtherCount:
    """A strategy gives on average less than half as many labels (spans) per input as are right, or over twice."""

    strategy: str
    given: float
    expected: float
    kind: Literal["other_count"] = "other_count"


LabelCare = MissedLabels | FewPerLabel | OtherCount


def found_by_label(evaluation: Evaluation) -> tuple[LabelFound, ...]:
    """Count what was found of each label that is in a reference or an answer, in the task's order; none without labels.

    A span is found with its type and both ends. A failed answer gives nothing.
    """
    kind = evaluation.kind
    if not kind.has_labels:
        return ()
    expected, given, right = Counter[str](), Counter[str](), Counter[str]()
    for reference, answer in zip(evaluation.references, evaluation.answers, strict=True):
        wanted = set(kind.items(reference))
        claimed = set() if answer is None else set(kind.items(answer))
        for counter, items in ((expected, wanted), (given, claimed), (right, wanted & claimed)):
            counter.update(label for label, *_ in items)
    named = {*expected, *given}
    known = [label for label in evaluation.labels if label in named]
    known += sorted(named - set(known))
    return tuple(LabelFound(label, right[label], expected[label], given[label]) for label in known)


def missed_labels(winner: Evaluation) -> tuple[MissedLabels, ...]:
    """Find the labels that the winner never gives or finds less than half of, where test has at least three of them."""
    counted = found_by_label(winner)
    enough = [each for each in counted if each.expected >= FEWEST_TO_JUDGE]
    never = [each for each in enough if not each.given]
    rarely = [each for each in enough if each.given and each.recall < HALF]
    if not never and not rarely:
        return ()
    return (
        MissedLabels(
            winner.strategy,
            tuple(sorted(never, key=lambda each: -each.expected)),
            tuple(sorted(rarely, key=lambda each: (each.recall, -each.expected))),
            _labels(winner, counted),
        ),
    )


def few_per_label(winner: Evaluation) -> tuple[FewPerLabel, ...]:
    """Find labels with one to four test examples; labels with none are found by the checks of the data."""
    counted = found_by_label(winner)
    few = sorted((each for each in counted if 0 < each.expected < FEWEST_TESTED), key=lambda each: each.expected)
    if not few:
        return ()
    return (FewPerLabel(tuple((each.label, each.expected) for each in few), FEWEST_TESTED, _labels(winner, counted)),)


def other_count(winner: Evaluation) -> tuple[OtherCount, ...]:
    """Find a winner whose lists are far shorter, or far longer, than the right ones: a threshold does not suit.

    At least ten must be expected, and a winner that gives nothing at all is left to `missed_labels`.
    """
    if not winner.kind.lists:
        return ()
    counted = found_by_label(winner)
    expected, given = (sum(getattr(each, name) for each in counted) for name in ("expected", "given"))
    if expected < 2 * FEWEST_TESTED or not given or expected / 2 <= given <= 2 * expected:
        return ()
    return (OtherCount(winner.strategy, given / winner.n, expected / winner.n),)


def _labels(evaluation: Evaluation, counted: Sequence[LabelFound]) -> int:
    return len({*evaluation.labels, *(each.label for each in counted)})
