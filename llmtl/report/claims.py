"""What is claimed of a model: never more than what was measured of it, with its name and the strategies tested.

Not covered: the rest of a verdict's reason (`rules`).
"""

from collections.abc import Sequence

from llmtl.decision.capability import AllZero, Cannot, Incapable
from llmtl.decision.outcome import Decision
from llmtl.report import wording
from llmtl.report.metric_words import Words, listed


def short_name(model: str) -> str:
    """Take the last part of a model's name: `SmolLM2-135M` of `HuggingFaceTB/SmolLM2-135M`."""
    return model.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]


def on_models(decision: Decision, names: Sequence[str]) -> list[str]:
    """List strategies, those of one model in a row with its name behind the last: `few-shot`, `qlora on pocket`."""
    by_model: dict[str, list[str]] = {}
    for name in names:
        by_model.setdefault(decision.result(name).model, []).append(name)
    told = []
    for model, found in by_model.items():
        told += [*found[:-1], f"{found[-1]} on {short_name(model)}" if model else found[-1]]
    return told


def none_better(decision: Decision, names: Sequence[str], margin: str) -> str:
    """Say that no strategy is shown better than the winner by more than the margin."""
    told = on_models(decision, names)
    subject = f"{told[0]} is not" if len(told) == 1 else f"none of {listed(told)} is"
    return f"{subject} shown better by more than the margin of {margin}"


def cannot(item: Incapable, words: Words) -> str:
    """Say that a model cannot do the task, and what shows it, as a clause.

    Of one that mostly fails nothing is said but that: prompts that do not fit, or answers that are cut off, do not show
    what a model can do.
    """
    one = len(item.strategies) == 1
    names = listed(list(item.strategies))
    if item.why is Cannot.FAILS:
        share, on = wording.percent(item.failed), f" on {short_name(item.model)}" if item.model else ""
        how = f"{names}{on} failed on {share} of the test examples{'' if one else ' or more'}"
        return f"{how}, so what the model can do is not known"
    who = f"{short_name(item.model)} cannot do this task: " if item.model else ""
    subject = f"{names} does" if one else f"none of {names} does"
    scored = words.plain(item.best)
    return (
        f"{who}{subject} {'no better' if one else 'better'} on test than chance, {words.plain(item.level)} "
        f"({'it' if one else 'the best of them'} reaches {scored})"
    )


def nor(item: Incapable) -> str:
    """Say which baselines do no better than chance either, as a sentence; empty where one does."""
    if not item.nor:
        return ""
    verb = "does" if len(item.nor) == 1 else "do"
    return f" Nor {verb} {listed(list(item.nor))}: the labels may not follow from the inputs."


def warning(item: Incapable | AllZero, words: Words, *, winner: str) -> str:
    """Say what stands against a model, or against all of them, as a sentence."""
    if isinstance(item, AllZero):
        return all_zero(item, winner)
    look = " Look at the failed answers first." if item.why is Cannot.FAILS else ""
    return f"{unable(item, words)}{look}{nor(item)}"


def unable(item: Incapable, words: Words) -> str:
    """Say that a model cannot do the task, as a sentence, which leaves a name at its beginning as it is written."""
    clause = cannot(item, words)
    named = clause.startswith((short_name(item.model) or item.strategies[0], item.strategies[0]))
    return f"{clause if named else wording.capital(clause)}."


def all_zero(item: AllZero, winner: str) -> str:
    """Say that every strategy scores 0."""
    return (
        f"Every strategy scores 0 on {wording.plural(item.n, 'unseen example')}, so nothing was measured that could do "
        f"this task, and {winner} is no recommendation; look at some answers beside their references first."
    )
