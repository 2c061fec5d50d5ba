"""What reading the data dropped, said as findings. Not covered: dropping itself (`llmtl.data.cleaning`)."""

from llmtl.checks.finding import Finding, Level
from llmtl.data import Cleaning
from llmtl.data.cleaning import RareLabels
from llmtl.data.config import Rare
from llmtl.data.table import quoted
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.kind import Kind
from llmtl.numerals import some_of


def check_cleaning(cleaning: Cleaning, kind: Kind = CLASSIFICATION) -> list[Finding]:
    """Say what was dropped, one finding per sort: incomplete, duplicate, contradictory, leaked into a given test set.

    Rows that were merged into an earlier one with the same input are told as well.
    """
    noun = kind.reference_noun
    findings = []
    if cleaning.incomplete:
        places = ", ".join(cleaning.incomplete[:3])
        dropped = f"{_rows(cleaning.incomplete, cleaning)} without text or {noun} dropped"
        findings.append(Finding("incomplete", Level.WARNING, f"{dropped} (first: {places}); fill them in."))
    if cleaning.repeated:
        places = ", ".join(cleaning.repeated[:3])
        named = f"{_rows(cleaning.repeated, cleaning)} name a {kind.noun} twice, which counts once"
        findings.append(Finding("repeated-labels", Level.WARNING, f"{named} (first: {places}); write each once."))
    if cleaning.rare:
        findings.append(_rare(cleaning.rare, cleaning, kind))
    sorts = (
        ("duplicates", Level.INFO, cleaning.duplicates, f"dropped as copies of an earlier text with the same {noun}."),
        (
            "label-noise",
            Level.WARNING,
            cleaning.conflicts,
            "dropped because the same text is labelled in different ways; decide on one each.",
        ),
        (
            "several-references",
            Level.INFO,
            cleaning.merged,
            "hold further references of an earlier input; an answer is scored against all references of its input.",
        ),
        (
            "leakage",
            Level.WARNING,
            cleaning.leaked,
            "left out of train and dev because they equal or nearly equal a text of the separate test set.",
        ),
        (
            "unanswerable",
            Level.WARNING,
            cleaning.unanswerable,
            "are left out as queries, because no text of the corpus is relevant to them.",
        ),
    )
    findings += [
        Finding(code, level, f"{_rows(rows, cleaning)} {what}", rows) for code, level, rows, what in sorts if rows
    ]
    return [*findings, *_corrected(cleaning), *_preferred(cleaning)]


def _corrected(cleaning: Cleaning) -> list[Finding]:
    """Say what became of corrections, where the recipe names some."""
    if cleaning.corrected is None:
        return []
    told = f"The recipe names {cleaning.corrected.told}"
    return [Finding("corrections", Level.INFO, told, cleaning.corrected.added)]


def _preferred(cleaning: Cleaning) -> list[Finding]:
    """Say the same of preferences."""
    if cleaning.preferred is None:
        return []
    return [Finding("preferences", Level.INFO, f"The recipe names {cleaning.preferred.told}")]


def _rare(rare: RareLabels, cleaning: Cleaning, kind: Kind) -> Finding:
    """Say which labels are not the task's because of their few examples, and what became of their rows."""
    one = len(rare.labels) == 1
    few = "a single example" if rare.least == 2 else f"fewer than {rare.least} examples"
    each = " has" if one else "s have"
    which = f"{len(rare.labels):,} {kind.noun}{each} {few}{'' if one else ' each'} ({quoted(list(rare.labels), 5)})"
    if rare.into is not None:
        became = f"and became '{rare.into}'"
    else:
        rows = f"{_rows(rare.dropped, cleaning)}" if rare.dropped else "no row"
        became = (
            f"and {'was' if one else 'were'} dropped, with {rows}: no strategy can answer {'it' if one else 'them'}"
        )
    cure = f"label more of {'it' if one else 'them'}, or set data.rare_labels ({', '.join(Rare)})"
    return Finding("rare-labels", Level.WARNING, f"{which} {became}; {cure}.", rare.rows)


def _rows(dropped: tuple[str, ...], cleaning: Cleaning) -> str:
    return some_of(len(dropped), cleaning.rows, "row")
