"""A decision, and all that a report shows, with every strategy under the name that people read.

Sentences and charts are written from the renamed values, so none of them needs to look a name up. Not covered: the
names themselves (`naming`); predictions made elsewhere, whose strategies are called as their files are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import TypeVar, cast

from llmtl.decision.outcome import Decision
from llmtl.learning_curve import LearningCurves, advise
from llmtl.report.content import ReportContent
from llmtl.report.naming import title
from llmtl.report.sentences import summarize

T = TypeVar("T")
_NAMES = frozenset(
    {
        "a",
        "above",
        "advice",
        "against",
        "b",
        "barred",
        "below",
        "best_baseline",
        "best_llm",
        "best_on_dev",
        "cheaper_above",
        "cheaper_below",
        "cheapest_tied",
        "chosen_before_test",
        "control",
        "enough",
        "expected_regret",
        "expected_shares",
        "first",
        "focus",
        "hangs_on",
        "labels_used",
        "learner",
        "left_out",
        "levels",
        "name",
        "nor",
        "not_refitted",
        "not_shown_worse",
        "rival",
        "runner_up",
        "skipped",
        "strategies",
        "strategy",
        "then",
        "winner",
        "within_margin",
    }
)
"""The fields whose texts, or keys, are names of strategies; a label or an input may read like one and stays."""


def titles(names: Iterable[str]) -> dict[str, str]:
    """Map the names of strategies to their titles; of two that would be called the same, both keep their names."""
    found = {name: title(name) for name in names}
    told = list(found.values())
    return {name: said if told.count(said) == 1 else name for name, said in found.items()}


def titled_decision(decision: Decision) -> Decision:
    """Return the decision with its strategies under their titles."""
    return _renamed(decision, titles(item.name for item in decision.strategies))


def titled(content: ReportContent) -> ReportContent:
    """Return the content with its strategies under their titles, the names of the table in `codes`.

    The sentences are written anew, but those of a decision of version 1, which kept them and not its rule.
    """
    names = titles(dict.fromkeys([*(item.name for item in content.decision.strategies), *content.skipped]))
    decision, told = _renamed(content.decision, names), content.summary
    noise, judging = _renamed(content.noise, names), _renamed(content.judging, names)
    if decision.rule is not None:
        summary = summarize(decision, noise=noise, judging=judging)
    else:
        summary = replace(told, why_not={names.get(name, name): why for name, why in told.why_not.items()})
    return replace(
        content,
        decision=decision,
        summary=summary,
        noise=noise,
        judging=judging,
        evaluations=tuple(
            replace(each, strategy=names.get(each.strategy, each.strategy)) for each in content.evaluations
        ),
        fit_findings=_renamed(content.fit_findings, names),
        skipped={names[name]: why for name, why in content.skipped.items()},
        served=_renamed(content.served, names),
        curves=_advised(_renamed(content.curves, names), content),
        codes={said: name for name, said in names.items()},
    )


def _advised(curves: LearningCurves | None, content: ReportContent) -> LearningCurves | None:
    """Write the advice anew, which was kept as a text with names in it."""
    if curves is None:
        return None
    margin, usd = content.decision.margin, content.prices.usd_per_label if content.prices else None
    advice = {
        item.strategy: advise(item, target=curves.target, margin=margin, usd_per_label=usd) for item in curves.forecasts
    }
    return replace(curves, advice=advice)


def _renamed(value: T, names: Mapping[str, str]) -> T:
    """Return a value, or what it holds by the names of strategies, with every such name as its title, however deep."""
    return cast("T", _within(value, names, named=True))


def _within(value: object, names: Mapping[str, str], *, named: bool) -> object:
    """Rename in a value that holds names of strategies, or in those parts of another one that do."""
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return names.get(value, value) if named else value
    if isinstance(value, Mapping):
        return {_within(key, names, named=named): _within(item, names, named=named) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_within(item, names, named=named) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        held = {each.name: getattr(value, each.name) for each in fields(value)}
        made = {name: _within(item, names, named=name in _NAMES) for name, item in held.items()}
        changed = {name: item for name, item in made.items() if item != held[name]}
        return replace(value, **changed) if changed else value
    return value
