"""Whether there are enough examples of every label, and whether one label is much more frequent than the others.

Not covered: whether test is large enough to tell two strategies apart; the decision says that, from the results.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from llmtl.checks.finding import Finding, Level
from llmtl.data.plausible import SEPARATORS, shared_separator
from llmtl.data.table import quoted
from llmtl.kinds.kind import AnswerShape, Kind
from llmtl.lookalikes import look
from llmtl.numerals import HAS, some_of
from llmtl.task import Example, Metric, Split, Task, references

IMBALANCE_RATIO = 3.0
"""From this many times the examples of the rarest label on, accuracy hides how rare labels fare. The ratio is the usual
measure of imbalance (He and Garcia 2009, https://doi.org/10.1109/TKDE.2008.239); the bound is our choice."""
LARGE_SHARE = 0.2
"""Below this share of the commonest label, answering it always is no temptation, so imbalance is only information (our
choice)."""
_MISSING = frozenset({"nan", "<na>", "nat", "na", "n/a", "#n/a", "null", "-", "?"})
"""What stands for no value in what pandas, R, spreadsheets, databases and people write; of `none` only Python's, since
many data sets have a label of that name."""
FEWEST_PER_LABEL = 5
"""With fewer training examples of a label, baselines and demonstrations for it rest on chance wording (our choice)."""


def check_imbalance(split: Split, task: Task) -> list[Finding]:
    """Report when the commonest label of train has 3 times the examples of the rarest, or more.

    It is a warning that names the majority share and macro-F1 when the task decides on accuracy and that label has at
    least a fifth of the examples, else information.
    Labels without training examples are left to `check_size`.
    """
    counts = Counter(references(split.train)).most_common()
    (most, largest), (least, smallest) = counts[0], counts[-1]
    if largest < IMBALANCE_RATIO * smallest:
        return []
    share = largest / len(split.train)
    fact = (
        f"'{most}' makes up {share:.0%} of train, {largest / smallest:.1f} times as many examples as the rarest label, "
        f"'{least}'"
    )
    if task.metric is Metric.MACRO_F1:
        return [Finding("imbalance", Level.INFO, f"{fact}; macro-F1 counts every label alike.")]
    if share < LARGE_SHARE:
        return [Finding("imbalance", Level.INFO, f"{fact}; accuracy counts rare labels less than macro-F1 does.")]
    return [
        Finding(
            "imbalance",
            Level.WARNING,
            f"{fact}; always answering '{most}' is right that often, so decide on macro-F1 (task.metric=macro_f1) "
            "unless rare labels matter less.",
        )
    ]


def check_size(split: Split, task: Task) -> list[Finding]:
    """Warn of labels with fewer than 5 training examples, and of labels that test never asks for.

    For extraction the labels are the types of spans; generation has none, and nothing is said.
    """
    findings = []
    what = task.kind.noun
    trained, tested = _counts(split.train, task.kind), _counts(split.test, task.kind)
    few = [label for label in task.labels if trained[label] < FEWEST_PER_LABEL]
    if few:
        findings.append(
            Finding(
                "small-data",
                Level.WARNING,
                f"{some_of(len(few), len(task.labels), what, HAS)} fewer than {FEWEST_PER_LABEL} training examples "
                f"({quoted(few, 5)}); label more of {_them(few)}.",
            )
        )
    untested = [label for label in task.labels if not tested[label]]
    if untested:
        findings.append(
            Finding(
                "small-data",
                Level.WARNING,
                f"{some_of(len(untested), len(task.labels), what, HAS)} no test example ({quoted(untested, 5)}), so "
                f"nothing is measured for {_them(untested)}; label more of {_them(untested)}.",
            )
        )
    return findings


def _them(labels: Sequence[str]) -> str:
    return "it" if len(labels) == 1 else "them"


def check_spelling(task: Task) -> list[Finding]:
    """Warn of labels that look alike (`llmtl.lookalikes.look`): mostly one label, written in two ways.

    They stay different labels: only the owner of the data knows whether they mean the same.
    """
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for label in task.labels:
        alike[look(label)].append(label)
    groups = [labels for labels in alike.values() if len(labels) > 1]
    if not groups:
        return []
    return [
        Finding(
            "label-spelling",
            Level.WARNING,
            f"{sum(map(len, groups))} labels differ from another only in case, spaces, hyphens or look-alikes (first: "
            f"{quoted(groups[0], 5)}) and count as different; write each label in one way.",
        )
    ]


def check_missing_names(task: Task) -> list[Finding]:
    """Warn of labels that are what programs write where there is none, such as `nan`."""
    found = [label for label in task.labels if label.casefold() in _MISSING or label == "None"]
    if not found:
        return []
    return [
        Finding(
            "missing-label",
            Level.WARNING,
            f"{quoted(found, 5)} {'counts' if len(found) == 1 else 'count'} as a {task.kind.noun} like any other and "
            "may stand for a missing one; leave the cell empty where that is so.",
        )
    ]


def check_separators(task: Task, examples: Sequence[Example] = ()) -> list[Finding]:
    """Warn of labels that may be several in one, and of lists of labels that never hold two.

    Labels of a task with one label per text share parts around a separator, and those of one with several are made of
    others around it.
    """
    if task.kind.shape is AnswerShape.LABELS:
        return _joined_labels(task) or _never_two(task, examples)
    separator = shared_separator(task.labels) if task.kind.one_label else None
    if separator is None:
        return []
    held = [label for label in task.labels if separator in label]
    return [
        Finding(
            "label-separator",
            Level.WARNING,
            f"{len(held)} of {len(task.labels)} labels hold {separator!r} and share parts ({quoted(held, 3)}); if a "
            f"text can have several labels, set task.kind=multi-label and data.label_separator={separator!r}.",
        )
    ]


def _joined_labels(task: Task) -> list[Finding]:
    """Warn of a label all of whose parts around a separator are labels themselves."""
    for separator in (*SEPARATORS, "/", "+", "&", " "):
        parts = {label: {part.strip() for part in label.split(separator)} for label in task.labels}
        held = [label for label, each in parts.items() if len(each) > 1 and each <= set(task.labels)]
        if held:
            return [
                Finding(
                    "label-separator",
                    Level.WARNING,
                    f"{quoted(held, 3)} {'counts' if len(held) == 1 else 'count'} as one label, and all parts around "
                    f"{separator!r} are labels, too; write the same separator in every row, or lists.",
                )
            ]
    return []


def _never_two(task: Task, examples: Sequence[Example]) -> list[Finding]:
    if not examples or any(len(task.kind.named(example.reference)) > 1 for example in examples):
        return []
    return [
        Finding(
            "label-separator",
            Level.WARNING,
            f"No text has two labels ({quoted(task.labels, 3)}); set task.kind=classification if none can, or "
            "data.label_separator to what stands between them.",
        )
    ]


def _counts(examples: Sequence[Example], kind: Kind) -> Counter[str]:
    """Return how many examples name each label."""
    return Counter(label for example in examples for label in kind.named(example.reference))
