"""The key numbers of the winner: score, what can be left to it, target, cost and latency.

Not covered: the same of every strategy (`view`).
"""

from dataclasses import dataclass, replace

from llmtl.decision.outcome import Decision, StrategyResult
from llmtl.decision.promise import Promise
from llmtl.report import serving, share_words, wording
from llmtl.report.content import ReportContent

_NOT_GIVEN = "the predictions that were given do not say"


@dataclass(frozen=True)
class Figure:
    """One key number of the banner."""

    name: str
    value: str
    note: str
    state: str = ""


def figures_of(content: ReportContent) -> tuple[Figure, ...]:
    """Return the key numbers of the winner, in the order in which they are shown."""
    decision = content.decision
    result = next((result for result in decision.strategies if result.name == decision.winner), None)
    if result is None:
        return ()
    shown = result.test or result.dev
    size = f", {wording.plural(result.test.n, 'example')}" if result.test else ""
    split = "test" if result.test else "dev"
    return (
        Figure(
            f"{wording.capital(wording.metric_name(decision.metric))} on {split}",
            wording.score(shown.value),
            f"95% interval {wording.interval(*shown.ci95)}{size}",
        ),
        *_left_figure(decision),
        _target_figure(content),
        *_running_figures(content, result),
    )


def _left_figure(decision: Decision) -> tuple[Figure, ...]:
    """Return what can be left to the winner, where that is what it was chosen by."""
    found = next((item for item in decision.automation if item.strategy == decision.winner), None)
    if not share_words.by_share(decision) or found is None:
        return ()
    shown = found.promise is Promise.SHOWN and found.share is not None and found.share_ci95 is not None
    limit = wording.small_share(decision.max_error_automated or 0.0)
    note = f"95% interval {wording.shares(found.share_ci95)}" if shown and found.share_ci95 else "not confirmed by test"
    value = wording.percent(found.share or 0.0) if shown else "Nothing"
    return (Figure("Left to it alone", value, f"at most {limit} of these wrong; {note}"),)


def _running_figures(content: ReportContent, result: StrategyResult) -> tuple[Figure, Figure]:
    """Give cost and latency of the winner, measured offline; what it takes as served stands in the notes."""
    served = content.served if content.served and content.served.strategy == result.name else None
    alone = served.alone if served else None
    priced = f"; {wording.usd(served.usd_per_1k_requests)} as served" if served else ""
    timed = (
        f"; as served {wording.milliseconds(alone.p50_ms)}, p95 {wording.milliseconds(alone.p95_ms)}" if alone else ""
    )
    latency = f"median; p95 {wording.milliseconds(result.p95_ms)}{timed}"
    if result.p50_ms is None and result.p95_ms is None:
        latency = _NOT_GIVEN if content.elsewhere else "not measured"
    cost = Figure(
        "Cost per 1,000 requests", wording.usd(result.usd_per_1k_requests), f"at the prices of the recipe{priced}"
    )
    if result.usd_per_1k_requests is None and content.elsewhere:
        cost = replace(cost, note=_NOT_GIVEN)
    if result.usd_per_month is not None and content.prices is not None:
        on = f"{wording.plural(result.machines, 'whole machine')}" if result.machines else "paid by use"
        monthly = serving.usd_per_month(served, content.prices) if served else None
        priced = f"; {wording.readable_usd(monthly)} as served" if served else ""
        requests = wording.count(content.prices.requests_per_month)
        note = f"{on}, for {requests} requests per month{priced}"
        cost = Figure("Cost per month", wording.readable_usd(result.usd_per_month), note)
    return (
        cost,
        Figure("Latency", wording.milliseconds(result.p50_ms), latency),
    )


def _target_figure(content: ReportContent) -> Figure:
    decision = content.decision
    state = wording.target_state(decision)
    if decision.target is None:
        return Figure("Target", "None set", "give the task a target to have it checked")
    reached = {
        True: "the whole interval reaches it",
        False: "not reached",
        None: "reached, but the interval begins below it",
    }[decision.target_met]
    note = f"{wording.target(decision.target)} {wording.metric_name(decision.metric)}: {reached}"
    return Figure("Target", wording.capital(state), note, state.replace(" ", "-"))
