"""What a fit that its time limit cut short means, in words.

Not covered: whether it might have won (`llmtl.decision.cut_rivals`).
"""

from collections.abc import Mapping, Sequence

from llmtl.decision.cut_rivals import CutRival
from llmtl.decision.outcome import Decision
from llmtl.findings import Cut, Unit
from llmtl.report import wording
from llmtl.report.metric_words import Words, listed

RINGS = "Dashed rings: fitting was stopped by its time limit."


def stopped(cuts: Sequence[Cut]) -> str:
    """Say how far fitting came: `stopped after 1.2 of 10 epochs`; empty where nothing was cut."""
    return f"stopped after {listed([_done(each) for each in cuts])}" if cuts else ""


def told_together(cut: Mapping[str, Sequence[Cut]]) -> list[str]:
    """Say what the time limit left undone, and whether more time may help: one sentence for all of one outlook."""
    alike: dict[str, list[str]] = {}
    for name, cuts in cut.items():
        alike.setdefault(_outlook(cuts), []).append(name)
    return [_sentence({name: cut[name] for name in names}, outlook) for outlook, names in alike.items()]


def _sentence(cut: Mapping[str, Sequence[Cut]], outlook: str) -> str:
    if len(cut) == 1:
        [(name, cuts)] = cut.items()
        return f"{name} reached its time limit and {stopped(cuts)}: it {outlook}."
    each = listed([f"{name} ({stopped(cuts)})" for name, cuts in cut.items()])
    return f"{each} reached their time limits: each {outlook}."


def sentences(decision: Decision) -> list[str]:
    """Tell of the strategies that were cut, but those that a warning tells more about."""
    told = {item.strategy for item in decision.cautions if isinstance(item, CutRival)}
    return told_together({item.name: item.cuts for item in decision.strategies if item.cuts and item.name not in told})


def open_question(decision: Decision) -> str:
    """Say beside the verdict that cut rivals might have won; empty where none might."""
    names = [item.strategy for item in decision.cautions if isinstance(item, CutRival)]
    if not names:
        return ""
    were = "was" if len(names) == 1 else "were"
    return f" But {listed(names)} {were} stopped by the time limit and might have won with more time."


def of_all(decision: Decision) -> list[str]:
    """Tell of all strategies that were cut."""
    return told_together({item.name: item.cuts for item in decision.strategies if item.cuts})


def warning(item: CutRival, words: Words, winner: str) -> str:
    """Say how far a rival came that might have won, how it compares now, and what would settle it."""
    came, scored = stopped(item.cuts), f"scored {_beside(item, words, winner)}"
    how = (
        f"{came}, still improving on dev, and {scored}"
        if item.improving
        else f"{came} and {scored}; what the rest would have brought is not known"
    )
    return f"{item.strategy} might have won with more time: it {how}. {_cure(item)}"


def _beside(item: CutRival, words: Words, winner: str) -> str:
    gap = words.gap(abs(item.gap))
    if gap == words.gap(0.0):
        return f"the same as {winner} on {item.split}"
    return f"{gap} {'less' if item.gap > 0 else 'more'} than {winner} on {item.split}"


def _cure(item: CutRival) -> str:
    if item.more_seconds is None:
        return "Raise --budget-minutes to see."
    seconds = item.more_seconds
    longer = wording.duration(seconds) if seconds < 90 else wording.plural(round(seconds / 60), "minute")
    return f"Fitting it to the end would take about {longer} longer; raise --budget-minutes to see."


def _done(cut: Cut) -> str:
    """Write `1.2 of 10 epochs`."""
    if cut.unit is Unit.EPOCHS:
        # not rounded up to all of them, nor down to none
        done = min(max(cut.done, 0.1), cut.planned - 0.1)
        return f"{done:.1f} of {cut.planned:g} {cut.unit}"
    return f"{wording.count(cut.done)} of {wording.count(cut.planned)} {cut.unit}"


def _outlook(cuts: Sequence[Cut]) -> str:
    if any(each.improving for each in cuts):
        return "was still improving on dev and could be better with more time"
    if all(each.improving is False for each in cuts):
        return "had stopped improving on dev, so more time would hardly help"
    return "could be better with more time"
