"""What every score starts from: one answer a reference. Not covered: what an answer is (`llmtl.answers`)."""

from collections.abc import Sequence

from llmtl.errors import DataError

Labels = Sequence[str | None]
"""One canonical answer an example (classification: the label); None records a failure."""


def check_aligned(references: Sequence[str], predictions: Labels) -> None:
    """Raise `DataError` unless there is one prediction a reference and at least one."""
    if not references:
        raise DataError("There is nothing to score; give at least one example.")
    if len(references) != len(predictions):
        raise DataError(
            f"There are {len(predictions)} predictions for {len(references)} references; give one for each."
        )
