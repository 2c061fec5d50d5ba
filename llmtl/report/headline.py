"""The verdict in one line that cannot mislead: what to do, with which model, how right it was, and the target.

Not covered: why (`brief`, `rules`), what to read with care (`care_words`).
"""

from collections.abc import Mapping

from llmtl.decision.capability import AllZero, Incapable
from llmtl.decision.model_care import ToyModel
from llmtl.decision.outcome import Decision, Failures, Rule, StrategyResult, Verdict
from llmtl.decision.promise import Promise
from llmtl.kinds.kind import Kind
from llmtl.report import naming, wording
from llmtl.report.metric_words import SHARES
from llmtl.report.share_words import by_share
from llmtl.strategy import Role
from llmtl.task import Metric

_FOR_NOW = {
    Rule.ALONE: "Nothing to compare with yet",
    Rule.CONTRADICTED: "No clear winner yet",
    Rule.SHARE_CONTRADICTED: "No clear winner yet",
    Rule.TOTAL_CONTRADICTED: "No clear winner yet",
    Rule.NOT_CONFIRMED: "Nothing can be left to it alone yet",
}
"""What an inconclusive verdict begins with; the others are too close to call."""
_NO_MODEL = (Rule.NO_LLM, Rule.NO_SURE_LLM, Rule.LOWER_TOTAL)
"""Verdicts for a baseline that say nothing of how good models are."""


def headline(decision: Decision, codes: Mapping[str, str] | None = None, *, kind: Kind | None = None) -> str:
    """Return the verdict as a person would say it, without a full stop.

    `codes` maps the names of strategies in the decision to those of the table; what it does not hold was predicted
    elsewhere, and is called as its file is. `kind` says what a right answer is; without it, one label.
    """
    if any(isinstance(item, AllZero) for item in decision.cautions):
        return "Nothing that was tried can do this task yet: every score is 0"
    do, told = advice(decision, codes or {}), ", ".join(_told(decision, kind))
    begin = {
        Verdict.ADOPT: do,
        Verdict.TIE: f"{do}, in a tie",
        Verdict.BASELINE: f"{do}{_of_baseline(decision)}",
        Verdict.INCONCLUSIVE: f"{_still_open(decision)}. For now, {do[:1].lower()}{do[1:]}",
    }[decision.verdict]
    return f"{begin}: {told}"


def _of_baseline(decision: Decision) -> str:
    """Say what a verdict for a baseline claims of pre-trained models: nothing where none was seen at its best."""
    if decision.rule in _NO_MODEL or _only_baselines(decision):
        return ""
    return " for now" if _failed(decision) else ", as no pre-trained model tried is worth more"


def _still_open(decision: Decision) -> str:
    return _FOR_NOW.get(decision.rule, "Too close to call") if decision.rule else "Too close to call"


def advice(decision: Decision, codes: Mapping[str, str]) -> str:
    """Say what to do with the winner: `Fine-tune SmolLM2-135M-Instruct (QLoRA)`."""
    result, code = _winner(decision), codes.get(decision.winner)
    return naming.advice(code, result.model if result else "") if code else f"Use {decision.winner}"


def how_right(metric: Metric, value: float, *, kind: Kind | None = None, beside: float | None = None) -> str:
    """Say how right a strategy was: `right 75 times in 100`, or `macro-F1 0.75` where the metric counts nothing.

    With as many decimals as tell it from the value `beside` it.
    """
    if metric in SHARES:
        return f"{right(metric, kind)} {so_many_times(value, beside)} in 100"
    return f"{wording.metric_name(metric)} {plain(value, beside)}"


def right(metric: Metric, kind: Kind | None) -> str:
    """Say what an answer that counts is: `right`, `exactly right`."""
    several = bool(kind and not kind.one_label)
    return "exactly right" if several or metric is Metric.EXACT_MATCH else "right"


def times(value: float, beside: float | None = None) -> str:
    """Write a share as a number of times in 100, and neither 0 nor 100 where it is only nearly that."""
    for decimals in range(4):
        digits = f"{100 * value:.{decimals}f}"
        told = beside is None or beside == value or (float(digits) - 100 * beside) * (value - beside) > 0
        if told and (value in (0, 1) or float(digits) not in (0, 100)):
            return digits
    return digits


def so_many_times(value: float, beside: float | None = None) -> str:
    """Write the same with its noun: `75 times`, `1 time`."""
    digits = times(value, beside)
    return f"{digits} time{'' if digits == '1' else 's'}"


def plain(value: float, beside: float | None = None) -> str:
    """Write a score with two decimals, or with as many as tell it from the one beside it."""
    digits = ""
    for decimals in range(2, 6):
        digits = f"{value:.{decimals}f}"
        if beside is None or beside == value or digits != f"{beside:.{decimals}f}":
            break
    return digits


def _told(decision: Decision, kind: Kind | None) -> list[str]:
    """Return how good the winner is, in the terms that it was chosen by, and how that stands to the target."""
    result = _winner(decision)
    told = _left(decision) if by_share(decision) else []
    told += ["the lowest expected cost in all"] if decision.rule is Rule.LOWER_TOTAL else []
    if result is None or (told and decision.target is None and by_share(decision)):
        return told or ["not measured"]
    metric, shown, target = Metric(decision.metric), result.test or result.dev, decision.target
    score = how_right(metric, shown.value, kind=kind, beside=target) + ("" if result.test else " on dev")
    return [*told, score, *_target(decision, metric)]


def _target(decision: Decision, metric: Metric) -> list[str]:
    if decision.target is None:
        return []
    aim = _aim(metric, decision.target)
    return {
        True: [f"above your target of {aim}"],
        False: [f"short of your target of {aim}"],
        None: [f"not yet shown to reach your target of {aim}"],
    }[decision.target_met]


def _aim(metric: Metric, target: float) -> str:
    if metric not in SHARES:
        return wording.target(target)
    return f"{100 * target:.3f}".rstrip("0").rstrip(".")


def _left(decision: Decision) -> list[str]:
    """Return how much can be left to the winner alone."""
    found = next((item for item in decision.automation if item.strategy == decision.winner), None)
    if found is None or found.promise is not Promise.SHOWN or not found.share:
        return ["nothing can be left to it alone yet"]
    limit = wording.small_share(decision.max_error_automated or 0.0)
    return [f"{times(found.share)} of 100 inputs can be left to it alone, with at most {limit} of them wrong"]


def _failed(decision: Decision) -> bool:
    """Say whether what was tried says nothing of better models: a toy, or one that could not do the task."""
    return any(
        isinstance(item, Incapable | ToyModel) or (isinstance(item, Failures) and item.many)
        for item in decision.cautions
    )


def _only_baselines(decision: Decision) -> bool:
    return all(item.role is Role.BASELINE for item in decision.strategies)


def _winner(decision: Decision) -> StrategyResult | None:
    return next((item for item in decision.strategies if item.name == decision.winner), None)
