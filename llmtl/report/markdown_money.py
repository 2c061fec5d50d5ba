"""The Markdown report's sections on labels and money. Not covered: the charts, which only the page has."""

from collections.abc import Iterable

from llmtl.report import wording
from llmtl.report.markdown_pieces import bullets, escape, table
from llmtl.report.money import NO_LIMITS, Bill, Money
from llmtl.report.noise import noise_table, refitted
from llmtl.report.view import View


def labels_section(view: View) -> Iterable[str]:
    """Return the learning curves: the advice, every measured point, crossovers and what was not measured."""
    curves = view.content.curves
    if curves is None or not curves.sentence:
        return
    yield "## How many labels"
    yield escape(curves.sentence)
    rows = [
        [escape(item.strategy), wording.count(point.size), f"{wording.score(point.score)} ({_pair(point.ci95)})"]
        for item in curves.forecasts
        for point in item.points
    ]
    rows += [
        [escape(item.strategy), f"{wording.count(band.size)} (forecast)", f"{wording.score(band.median)} ({ends})"]
        for item in curves.forecasts
        if item.band
        for band in (item.band[-1],)
        for ends in (_pair((band.low, band.high)),)
    ]
    if rows:
        yield table(["strategy", "training examples", f"{wording.metric_name(curves.metric)} on dev"], rows, numbers=1)
        yield "Intervals of measured scores are 95%, of forecasts 80%."
    lines = [
        *(advice.text for advice in curves.advice.values() if advice.text != curves.sentence),
        *(item.sentence for item in curves.crossovers),
        *(f"No curve for {name}: {why}." for name, why in curves.skipped.items()),
    ]
    if lines:
        yield bullets(lines)


def noise_section(view: View) -> Iterable[str]:
    """Return the verdict without the labels that look wrong."""
    noise = view.content.noise
    if noise is None:
        return
    yield "## Labels that look wrong"
    yield escape(f"Not checked: {noise.unchecked}." if noise.unchecked else noise.sentence)
    if noise.scores:
        rows = [
            [
                escape(item.strategy),
                refitted(item),
                *map(wording.score, (item.before, item.after)),
                wording.difference(item.after - item.before),
            ]
            for item in sorted(noise.scores, key=lambda each: each.before, reverse=True)
        ]
        yield escape(noise_table(noise, view.content.decision.metric))
        yield table(["strategy", "fitted again", "all", "without", "change"], rows, numbers=2)
    if not noise.unchecked:
        yield escape(noise.how)


def money_section(view: View) -> Iterable[str]:
    """Return costs at the recipe's volume, the constraints, and what deciding cost."""
    money = view.money
    if money is None:
        return
    yield "## Money and time"
    yield bullets(money.facts)
    header = ["strategy", "prompt tokens computed", "from cache", "requests/s", "USD per 1,000", "USD a month"]
    header += ["fitting, once", "labels used", "total"]
    yield table(header, [_row(bill) for bill in money.bills], numbers=1)
    if view.content.limits is not None:
        yield "### Constraints"
        yield _limits(money)
    if money.spent:
        yield "### What this decision cost"
        yield escape(money.spent_note)
        rows = [[escape(work.name), escape(work.time), escape(work.usd)] for work in money.spent]
        yield table(["work", "time", "USD"], rows, numbers=1)


def _row(bill: Bill) -> list[str]:
    tokens = [bill.fresh_tokens, bill.cached_tokens] if bill.prompt_tokens else [None, None]
    speed = bill.requests_per_second
    labels = wording.count(bill.labels)
    if bill.labels_usd is not None:
        labels += f" ({wording.usd(bill.labels_usd)})"
    cells = [
        bill.result.name,
        *(wording.NOTHING if number is None else wording.count(number) for number in tokens),
        wording.NOTHING if speed is None else wording.rate(speed),
        wording.usd(bill.usd_per_1k),
        wording.usd(bill.usd_per_month),
        wording.usd(bill.fitting_usd),
        labels,
        wording.usd(bill.total_usd),
    ]
    return [escape(cell) for cell in cells]


def _limits(money: Money) -> str:
    if not money.limits:
        return NO_LIMITS
    rows = [
        [
            escape(limit.name),
            escape(limit.value),
            escape(limit.winner),
            escape(", ".join(f"{name} ({value})" for name, value in limit.broken_by) or "none"),
        ]
        for limit in money.limits
    ]
    return table(["constraint", "limit", "winner", "broken by"], rows)


def _pair(ends: tuple[float, float]) -> str:
    return wording.interval(*ends)
