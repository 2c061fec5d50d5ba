"""What reading the data dropped, said as findings. Not covered: dropping itself (`llmtl.data.cleaning`)."""

from llmtl.checks.finding import Finding, Level
from llmtl.data import Cleaning


def check_cleaning(cleaning: Cleaning) -> list[Finding]:
    """Return one finding a kind of dropped row: incomplete, duplicate, contradictory, leaked into a given test set."""
    findings = []
    if cleaning.incomplete:
        places = ", ".join(cleaning.incomplete[:3])
        findings.append(
            Finding(
                "incomplete",
                Level.WARNING,
                f"{_rows(cleaning.incomplete, cleaning)} without text or label dropped (first: {places}); fill them "
                "in.",
            )
        )
    if cleaning.duplicates:
        findings.append(
            Finding(
                "duplicates",
                Level.INFO,
                f"{_rows(cleaning.duplicates, cleaning)} dropped as copies of an earlier text with the same label.",
                cleaning.duplicates,
            )
        )
    if cleaning.conflicts:
        findings.append(
            Finding(
                "label-noise",
                Level.WARNING,
                f"{_rows(cleaning.conflicts, cleaning)} dropped because the same text carries different labels; decide "
                "on one label each.",
                cleaning.conflicts,
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
