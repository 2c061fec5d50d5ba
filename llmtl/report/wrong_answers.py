"""What a wrong answer costs, in words: which strategy is the best at which cost of an error.

Not covered: working it out (`llmtl.decision.expected_cost`), drawing it (`charts/value_of_accuracy`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmtl.decision.outcome import Decision
from llmtl.decision.totals import ErrorRate, ExpectedTotals, Switch, ValueOfAccuracy
from llmtl.kinds.kind import Kind
from llmtl.report import wording
from llmtl.report.metric_words import listed
from llmtl.strategy import Role

_LEAST_CENTS = 0.01
"""Smaller amounts of cents are written as dollars per million."""

_NOTHING = 1e-5
"""Hardly an error costs less than ten dollars per million, so what would be the best there is not told, USD."""


@dataclass(frozen=True)
class ValueRow:
    """One strategy: what it costs without errors, its share of wrong answers, and where it is the best, in words."""

    name: str
    role: Role
    usd_spent: float
    wrong: float
    ci95: tuple[float, float]
    where: str
    best: bool


@dataclass(frozen=True)
class WrongAnswers:
    """Everything about what a wrong answer costs that is shown.

    Without `costs_matter` the strategies cost so nearly the same that errors decide alone, and nothing is drawn.
    """

    value: ValueOfAccuracy
    headline: str
    facts: tuple[str, ...]
    rows: tuple[ValueRow, ...]
    totals: ExpectedTotals | None = None
    costs_matter: bool = True

    @property
    def usd_per_error(self) -> float | None:
        """Give the known cost of every error, USD, if there is one."""
        return None if self.totals is None or self.totals.by_label else self.totals.usd_per_error


def wrong_answers_of(decision: Decision, kind: Kind) -> WrongAnswers | None:
    """Say what is said of the value of accuracy, or None where it is not known."""
    if decision.value_of_accuracy is None:
        return None
    value = told(decision.value_of_accuracy)
    best = best_of(decision.value_of_accuracy)[-1 - len(value.switches) :]
    roles = {result.name: result.role for result in decision.strategies}
    return WrongAnswers(
        value=value,
        headline=advice(decision.value_of_accuracy),
        facts=(
            _basis(value, decision.metric, kind),
            *map(_band, value.switches),
            _how_read(decision.expected_totals),
            *_left_out(value),
        ),
        rows=tuple(_row(item, value, roles[item.strategy], best) for item in value.strategies),
        totals=decision.expected_totals,
        costs_matter=bool(value.switches) or not decision.value_of_accuracy.switches,
    )


def advice(value: ValueOfAccuracy) -> str:
    """Say which strategy to use at which cost of an error, the dearest errors first, in one sentence."""
    if not value.switches:
        best = best_of(value)[0]
        return (
            f"Whatever a wrong answer costs, {best} costs least in all: nothing costs less, nothing makes fewer errors."
        )
    last = value.switches[-1]
    if last.usd_per_error < _NOTHING:
        return f"If a wrong answer costs you anything, use {last.above}{_doubt(last)}."
    lower = told(value).switches[:-1]
    parts = [f"If a wrong answer costs you more than {per_error(last.usd_per_error)}, use {last.above}{_doubt(last)}"]
    parts += [f"below that, {last.below}"]
    parts += [f"below {per_error(switch.usd_per_error)}, {switch.below}" for switch in reversed(lower)]
    return f"{'; '.join(parts)}."


def told(value: ValueOfAccuracy) -> ValueOfAccuracy:
    """Leave out what would be the best only at costs of an error that are practically nothing."""
    kept = tuple(switch for switch in value.switches if switch.usd_per_error >= _NOTHING)
    return replace(value, switches=kept)


def best_of(value: ValueOfAccuracy) -> list[str]:
    """Name the strategies that are the best at some cost of an error, in the order of that cost."""
    if value.switches:
        return [value.switches[0].below, *(switch.above for switch in value.switches)]
    return [min(value.strategies, key=lambda item: (item.usd_spent, item.wrong)).strategy]


def per_error(usd: float) -> str:
    """Write the cost of one error as a person says it: `$3.20`, `3.2 cents`, `$4.50 per million`."""
    if usd >= 1:
        return wording.usd(float(f"{usd:.2g}"))
    cents = 100 * usd
    if cents >= _LEAST_CENTS:
        digits = f"{float(f'{cents:.2g}'):g}"
        return f"{digits} cent{'' if digits == '1' else 's'}"
    return f"{wording.usd(float(f'{1e6 * usd:.2g}'))} per million"


def between(low: float, high: float) -> str:
    """Write two costs of one error, a unit that they share once: `0.46 to 1.1 cents`."""
    first, second = per_error(low), per_error(high)
    unit = next((unit for unit in (" cents", " per million") if first.endswith(unit) and second.endswith(unit)), "")
    return f"{first.removesuffix(unit)} to {second}"


def _doubt(switch: Switch) -> str:
    """Return a remark where it is not certain that accuracy pays at all."""
    if switch.ci95[1] is not None:
        return ""
    return f" (if it makes fewer errors at all: {wording.chance_in_words(switch.pays)} likely)"


def _basis(value: ValueOfAccuracy, metric: str, kind: Kind) -> str:
    if value.graded:
        wrong = f"An answer counts as the part of an error that its own {wording.metric_name(metric)} lacks"
    elif kind.lists:
        wrong = f"An answer is wrong unless its {kind.reference_noun} are exactly those of the reference"
    else:
        wrong = "An answer is wrong when it is not the reference"
    return (
        f"Measured on the {wording.plural(value.n, f'{value.split} example')}, for "
        f"{wording.plural(value.requests, 'request')} in all. {wrong}; a failed answer is wrong."
    )


def _band(switch: Switch) -> str:
    low, high = switch.ci95
    at, name = per_error(switch.usd_per_error), f"{switch.above} in place of {switch.below}"
    if high is None:
        return (
            f"{name} pays from about {at}, with 95% confidence not below {per_error(low)}. It may never pay: on these "
            f"examples the chance that {switch.above} makes fewer errors is {wording.chance_in_words(switch.pays)}."
        )
    return f"{name} pays from about {at} (95% band {between(low, high)})."


def _how_read(totals: ExpectedTotals | None) -> str:
    if totals is not None:
        priced = "by label" if totals.by_label else f"at {per_error(totals.usd_per_error)}"
        return (
            f"The recipe prices a wrong answer {priced}, so choice and verdict rest on expected total cost. Chances of "
            "being the cheapest are of these examples' posterior, all strategies drawn together."
        )
    return (
        "These are expectations, whether or not a difference is shown; the verdict asks what is shown. Set "
        "decision.usd_per_error to have the choice made by expected total cost."
    )


def _left_out(value: ValueOfAccuracy) -> list[str]:
    if not value.left_out:
        return []
    return [
        f"Left out: {listed(list(value.left_out))}, which could not be chosen, was not tested or has no known cost."
    ]


def _row(item: ErrorRate, value: ValueOfAccuracy, role: Role, best: Sequence[str]) -> ValueRow:
    where = _where(item.strategy, value, best)
    return ValueRow(item.strategy, role, item.usd_spent, item.wrong, item.ci95, where, item.strategy in best)


def _where(name: str, value: ValueOfAccuracy, best: Sequence[str]) -> str:
    """Return at which costs of an error a strategy is the best: `below 3 cents`, `never`."""
    begins = next((item.usd_per_error for item in value.switches if item.above == name), None)
    ends = next((item.usd_per_error for item in value.switches if item.below == name), None)
    if begins is not None and ends is not None:
        return between(begins, ends)
    if begins is not None:
        return f"above {per_error(begins)}"
    if ends is not None:
        return f"below {per_error(ends)}"
    return "always" if [name] == list(best) else "never"
