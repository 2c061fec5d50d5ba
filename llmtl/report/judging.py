"""A judge's second opinion as every form of the report shows it.

Not covered: its sentence and where it contradicts the decision, which are written with it (`llmtl.judging.opinion`).
"""

from collections.abc import Sequence

from llmtl.judging.result import JudgedComparison, Judging
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
    "and win rate are those of the first strategy, ties half, with Tango's 95% interval; p: sign test of wins against "
    "losses; p (Holm): the same, corrected for the number of comparisons."
)
HEADINGS = ("Comparison", "Reading", "Win rate", "Wins", "Losses", "Ties", "Failures", "Consistent", "p", "p (Holm)")
TEXT_COLUMNS = 2
"""How many of the columns hold text; the others are numbers."""


def cells(item: JudgedComparison, judging: Judging) -> tuple[str, ...]:
    """Return one comparison's row, in the order of `HEADINGS`."""
    preferred = item.preferred(judging.alpha)
    rate = wording.NOTHING
    if item.win_rate is not None and item.ci95 is not None:
        rate = f"{wording.score(item.win_rate)} ({wording.interval(*item.ci95)})"
    return (
        f"{item.a} against {item.b}",
        f"{preferred} is preferred" if preferred else "no preference shown",
        rate,
        *map(wording.count, (item.wins, item.losses, item.ties, item.failures)),
        wording.NOTHING if item.consistency is None else wording.percent(item.consistency),
        wording.p_value(item.p),
        wording.p_value(item.p_holm),
    )


def facts(judging: Judging) -> Sequence[tuple[str, str]]:
    """Return names and values of what was asked and what it took; nothing without an opinion."""
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
