"""A judge's second opinion as every form of the report shows it.

Not covered: finding where it contradicts the decision (`llmtl.judging.opinion`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llmtl.decision.outcome import Decision
from llmtl.decision.simultaneous import simultaneous
from llmtl.judging.opinion import Contradiction, contradictions
from llmtl.judging.result import JUDGING, JudgedComparison, Judging
from llmtl.metrics.paired import compare_counts
from llmtl.report import wording

WHY_SECOND = (
    "The judge does not change the verdict: the decision's error rate holds for the metric that was written down "
    "before test was opened, and a measure consulted afterwards would add chances to be wrong."
)
HOW = (
    "Every pair of outputs was shown in both orders, without the strategies' names. One wins only when it is preferred "
    "in both orders; a verdict that changes with the order is a tie (Zheng et al. 2023, 'Judging LLM-as-a-Judge', "
    "section 3.4), and consistent counts how many did not change. Identical outputs are ties without a question, a "
    "failed prediction loses to any output. A reply that could not be read is a failure and counts nowhere else. Wins "
    "and win rate are those of the first strategy, ties half, with Tango's interval, simultaneous over the comparisons "
    "and on one side of 0.5 just where p (Holm) shows a preference; p: sign test of wins against losses; p (Holm): the "
    "same, corrected for the number of comparisons."
)
HEADINGS = ("Comparison", "Reading", "Win rate", "Wins", "Losses", "Ties", "Failures", "Consistent", "p", "p (Holm)")
TEXT_COLUMNS = 2
"""How many of the columns hold text; the others are numbers."""


def judging_to_json(judging: Judging, decision: Decision) -> dict[str, Any]:
    """Write what `judging.json` holds: the values, and the sentences on them."""
    values = JUDGING.dump_python(judging, mode="json")
    told = {"sentence": sentence(judging), "contradictions": list(warnings(judging, decision))}
    return {"schema_version": 2, **values, **told}


def judging_from_json(document: Mapping[str, Any]) -> Judging:
    """Read what `judging.json` holds; version 1 held a note in words on a judge that read its own outputs."""
    return JUDGING.validate_python({"judged_itself": bool(document.get("notes")), **document})


def sentence(judging: Judging) -> str:
    """Tell what the judge said, or why it gave no opinion."""
    if judging.unjudged is not None:
        return f"The judge {judging.model} gave no opinion: {judging.unjudged.rstrip('.')}."
    found = judging.opinion
    if found is None or not found.comparisons:
        return f"The judge {judging.model} had no two strategies to compare."
    said = "; ".join(_preference(item, judging.alpha) for item in found.comparisons)
    return (
        f"The judge {judging.model} on {judging.examples:,} test examples: {said} ({found.spent.requests:,} replies, "
        f"{found.spent.usd:.4f} USD)."
    )


def warnings(judging: Judging, decision: Decision) -> tuple[str, ...]:
    """Warn where the judge contradicts the decision, or that it gave no opinion."""
    if judging.unjudged is not None:
        return (sentence(judging),)
    return tuple(_contradicts(item, judging, decision) for item in contradictions(judging, decision))


def notes(judging: Judging) -> tuple[str, ...]:
    """Tell what to know about the judge itself."""
    if not judging.judged_itself:
        return ()
    return (
        f"The judge {judging.model} wrote the outputs of hosted itself, and models lean to their own (Zheng et al. "
        "2023, section 3.3): take another judge.",
    )


def _preference(item: JudgedComparison, alpha: float) -> str:
    preferred = item.preferred(alpha)
    if item.win_rate is None:
        return f"no readable verdict on {item.a} and {item.b}"
    if preferred is None:
        return f"no preference shown between {item.a} and {item.b}"
    return f"{preferred} preferred to {item.b if preferred == item.a else item.a}"


def _contradicts(found: Contradiction, judging: Judging, decision: Decision) -> str:
    item, other = found.comparison, found.other
    more, fewer = max(item.wins, item.losses), min(item.wins, item.losses)
    counts = f"{more:,} to {fewer:,} with {item.ties:,} ties on {judging.examples:,} test examples"
    better = f"to {other}, which is better in {decision.metric}"
    against = f"to the winner, {other}" if found.against_winner else better
    return (
        f"The judge {judging.model} prefers {found.preferred} {against} ({counts}); the verdict stays with the metric "
        "that was written down before test, so read some of these outputs before you act on it."
    )


def cells(item: JudgedComparison, judging: Judging) -> tuple[str, ...]:
    """Write one comparison's row, in the order of `HEADINGS`."""
    preferred = item.preferred(judging.alpha)
    rate = wording.NOTHING
    if item.win_rate is not None:
        rate = f"{wording.score(item.win_rate)} ({wording.interval(*_ends(item, judging))})"
    return (
        f"{item.a} against {item.b}",
        f"{preferred} is preferred" if preferred else "no preference shown",
        rate,
        *map(wording.count, (item.wins, item.losses, item.ties, item.failures)),
        wording.NOTHING if item.consistency is None else wording.percent(item.consistency),
        wording.p_value(item.p, judging.alpha),
        wording.p_value(item.p_holm, judging.alpha),
    )


def _ends(item: JudgedComparison, judging: Judging) -> tuple[float, float]:
    """Return the ends of the win rate's interval, which holds together with those of the judge's other comparisons."""
    number = len(judging.opinion.comparisons) if judging.opinion else 1
    n = item.wins + item.losses + item.ties
    measured = compare_counts(item.wins, item.losses, n, alpha=judging.alpha / number)
    [found] = simultaneous([measured], [item.p_holm], alpha=judging.alpha)
    return (1 + found.low) / 2, (1 + found.high) / 2


def facts(judging: Judging) -> Sequence[tuple[str, str]]:
    """List names and values of what was asked and what it took; nothing without an opinion."""
    found = judging.opinion
    if found is None:
        return ()
    spent = found.spent
    return (
        ("Judge", f"{judging.model} at {judging.base_url}"),
        ("Criteria", judging.criteria),
        ("Test examples", f"{wording.count(judging.examples)} of {wording.count(judging.of)}"),
        ("Replies", f"{wording.count(spent.requests)}, {_held(found.constrained)}"),
        ("Tokens", f"{wording.count(spent.prompt_tokens)} read, {wording.count(spent.completion_tokens)} written"),
        ("Cost", f"{wording.usd(spent.usd)}; forecast {wording.usd(found.forecast_usd)}"),
    )


def _held(constrained: bool) -> str:
    return (
        "to a JSON schema that the server did not refuse"
        if constrained
        else "in free text: the server takes no JSON schema"
    )
