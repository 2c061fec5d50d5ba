"""What reading the data dropped, said as findings. Not covered: dropping itself (`llmtl.data.cleaning`)."""

from llmtl.checks.finding import Finding, Level
from llmtl.data import Cleaning
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.kind import Kind


def check_cleaning(cleaning: Cleaning, kind: Kind = CLASSIFICATION) -> list[Finding]:
    """Return one finding a sort of dropped row: incomplete, duplicate, contradictory, leaked into a given test set.

    Rows merged into an earlier one with the same input are told as well.
    """
    findings, noun = [], kind.reference_noun
    if cleaning.incomplete:
        places = ", ".join(cleaning.incomplete[:3])
        findings.append(
            Finding(
                "incomplete",
                Level.WARNING,
                f"{_rows(cleaning.incomplete, cleaning)} without text or {noun} dropped (first: {places}); fill them "
                "in.",
            )
        )
    if cleaning.duplicates:
        findings.append(
            Finding(
                "duplicates",
                Level.INFO,
                f"{_rows(cleaning.duplicates, cleaning)} dropped as copies of an earlier text with the same {noun}.",
                cleaning.duplicates,
            )
        )
    if cleaning.conflicts:
        findings.append(
            Finding(
                "label-noise",
                Level.WARNING,
                f"{_rows(cleaning.conflicts, cleaning)} dropped because the same text is labelled in "
                "different ways; decide on one each.",
                cleaning.conflicts,
            )
        )
    if cleaning.merged:
        findings.append(
            Finding(
                "several-references",
                Level.INFO,
                f"{_rows(cleaning.merged, cleaning)} hold further references of an earlier input; an answer is scored "
                "against all references of its input.",
                cleaning.merged,
            )
        )
    if cleaning.leaked:
        findings.append(
            Finding(
                "leakage",
                Level.WARNING,
                f"{_rows(cleaning.leaked, cleaning)} left out of train and dev because they equal or nearly equal a "
                "text of the separate test set.",
                cleaning.leaked,
            )
        )
    return findings


def _rows(dropped: tuple[str, ...], cleaning: Cleaning) -> str:
    return f"{len(dropped):,} of {cleaning.rows:,} rows"
