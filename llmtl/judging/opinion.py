"""What a judge says in words, and where it contradicts the decision.

The judge changes no verdict: the decision's error rate holds for the metric that was written down before test was
opened, and a second measure consulted afterwards would add chances to be wrong. Not covered: reports (`llmtl.report`).
"""

from collections.abc import Sequence
from dataclasses import replace

from llmtl.decision.outcome import Decision
from llmtl.judging.judge import Contest
from llmtl.judging.result import JudgedComparison, Judging


def with_words(judging: Judging, decision: Decision) -> Judging:
    """Return the judging with its sentence and its contradictions of the decision."""
    if judging.unjudged is not None:
        said = f"The judge {judging.model} gave no opinion: {judging.unjudged.rstrip('.')}."
        return replace(judging, sentence=said, contradictions=(said,))
    comparisons = judging.opinion.comparisons if judging.opinion else ()
    found = [_contradiction(item, judging, decision) for item in comparisons]
    return replace(judging, sentence=_sentence(judging), contradictions=tuple(line for line in found if line))


def _sentence(judging: Judging) -> str:
    found = judging.opinion
    if found is None or not found.comparisons:
        return f"The judge {judging.model} had no two strategies to compare."
    said = "; ".join(_preference(item, judging.alpha) for item in found.comparisons)
    return (
        f"The judge {judging.model} on {judging.examples:,} test examples: {said} ({found.spent.requests:,} replies, "
        f"{found.spent.usd:.4f} USD)."
    )


def _preference(item: JudgedComparison, alpha: float) -> str:
    preferred = item.preferred(alpha)
    if item.win_rate is None:
        return f"no readable verdict on {item.a} and {item.b}"
    if preferred is None:
        return f"no preference shown between {item.a} and {item.b}"
    return f"{preferred} preferred to {item.b if preferred == item.a else item.a}"


def _contradiction(item: JudgedComparison, judging: Judging, decision: Decision) -> str:
    """Return the sentence on a preference against the winner, or against a difference shown in the metric."""
    preferred = item.preferred(judging.alpha)
    if preferred is None:
        return ""
    other = item.b if preferred == item.a else item.a
    more, fewer = max(item.wins, item.losses), min(item.wins, item.losses)
    counts = f"{more:,} to {fewer:,} with {item.ties:,} ties on {judging.examples:,} test examples"
    if other == decision.winner:
        against = f"to the winner, {other}"
    elif other == _shown_better(item, judging.alpha, decision):
        against = f"to {other}, which is better in {decision.metric}"
    else:
        return ""
    return (
        f"The judge {judging.model} prefers {preferred} {against} ({counts}); the verdict stays with the metric that "
        "was written down before test, so read some of these outputs before you act on it."
    )


def _shown_better(item: JudgedComparison, alpha: float, decision: Decision) -> str | None:
    """Return which of the two strategies test shows better in the metric, if it does."""
    for measured in decision.comparisons:
        if {measured.a, measured.b} == {item.a, item.b} and measured.p_holm <= alpha and measured.difference:
            return measured.a if measured.difference > 0 else measured.b
    return None


def self_judged(model: str, contests: Sequence[Contest], hosted_model: str | None) -> tuple[str, ...]:
    """Return a note where the judge reads outputs of its own, which the strategy `hosted` may have had it write."""
    if model != hosted_model or not any("hosted" in (each.a, each.b) for each in contests):
        return ()
    return (
        f"The judge {model} wrote the outputs of hosted itself, and models lean to their own (Zheng et al. 2023, "
        "section 3.3): take another judge.",
    )
