"""Whether lists of labels were read as they were meant: a wrong separator and vectors of marks give labels, too.

Not covered: what only a person knows, such as whether a label with a comma is one.
"""

import re
from collections.abc import Sequence

from llmtl.data.config import DataConfig
from llmtl.data.table import quoted
from llmtl.errors import DataError
from llmtl.kinds.kind import AnswerShape, Kind
from llmtl.kinds.multi_label import INDICATORS
from llmtl.values import Example

SEPARATORS = (";", ",", "|", "\t", "\n", " / ", " + ", " & ")
"""What people write between several labels. Not "/" alone: names such as `sport/football` are made with it."""
_MARKS = re.compile(r"[01](?:[\s,;|]*[01])+")
"""Zeros and ones, one for each label, written as one text."""


def require_plausible(examples: Sequence[Example], kind: Kind, config: DataConfig) -> None:
    """Raise `DataError` where lists of labels cannot be meant so.

    That is where no row has two labels and labels share parts around another separator, unless the section names its
    separator, and where all rows have the same labels.
    """
    if kind.shape is not AnswerShape.LABELS or len(examples) < 2:
        return
    named = [kind.named(example.reference) for example in examples]
    labels = sorted({label for each in named for label in each})
    single = max(map(len, named)) == 1
    if single and (all(map(_MARKS.fullmatch, labels)) or {label.casefold() for label in labels} <= INDICATORS):
        raise DataError(
            f"Column '{config.label}' of '{config.path}' holds {quoted(labels, 3)}, which are marks and not names of "
            'labels; write the names of the labels that apply in one column, such as ["refund", "card"] or '
            f"refund{config.label_separator}card."
        )
    unsaid = single and "label_separator" not in config.model_fields_set
    if unsaid and (separator := shared_separator(labels)) is not None:
        raise DataError(
            f"No row of '{config.path}' has two labels, and {separator!r} stands inside labels ({quoted(labels, 3)}); "
            f"set data.label_separator={separator!r}, or to {config.label_separator!r} if they are single labels."
        )
    if len(labels) > 1 and len(set(named)) == 1:
        raise DataError(
            f"Every row of '{config.path}' has the same labels ({quoted(labels, 5)}): nothing to tell apart; "
            f'write the names of the labels that apply in column \'{config.label}\', such as ["refund", "card"].'
        )


def shared_separator(labels: Sequence[str]) -> str | None:
    """Find a separator around which several of the labels have a part in common; None where there is none."""
    for separator in SEPARATORS:
        parts = [
            part for label in labels if separator in label for part in {each.strip() for each in label.split(separator)}
        ]
        others = [label for label in labels if separator not in label]
        if len(set(parts)) < len(parts) or set(parts) & set(others):
            return separator
    return None
