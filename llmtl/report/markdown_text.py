"""The report as GitHub-flavoured Markdown: the page's content with tables in place of charts.

Not covered: the heat map of many labels (its most frequent mistakes are listed) and examples beyond the first few.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from statistics import median, stdev

from llmtl.report import wording
from llmtl.report.content import ReportContent
from llmtl.report.markdown_judge import judge_section
from llmtl.report.markdown_money import labels_section, money_section, noise_section
from llmtl.report.markdown_pieces import bullets, escape, table
from llmtl.report.view import View, build_view, reading
from llmtl.served import Served

_EXAMPLES = 10
_CURVE_ROWS = 12


def markdown(content: ReportContent) -> str:
    """Return the report as Markdown; every text from outside is escaped."""
    view = build_view(content)
    sections: list[Callable[[View], Iterable[str]]] = [
        _verdict,
        _why,
        _strategies,
        _comparisons,
        judge_section,
        _served,
        labels_section,
        noise_section,
        money_section,
        _learning,
        _search,
        _mistakes,
        _examples,
        _checks,
        _method,
    ]
    return "\n\n".join(block for section in sections for block in section(view)) + "\n"


def _verdict(view: View) -> Iterable[str]:
    yield f"# {escape(view.verdict)}"
    yield f"Verdict for {escape(view.content.task.name)}. {escape(view.reason)}"
    if view.figures:
        cells = [[escape(f.name), f"**{escape(f.value)}**", escape(f.note)] for f in view.figures]
        yield table(["", "", ""], cells)


def _why(view: View) -> Iterable[str]:
    decision = view.content.decision
    if decision.reasons:
        yield "## Why"
        yield bullets(decision.reasons)
    if view.changes:
        yield "## What would change it"
        yield bullets(view.changes)
    if decision.warnings:
        yield "## Read with care"
        yield bullets(decision.warnings)


def _strategies(view: View) -> Iterable[str]:
    yield "## Strategies"
    metric = wording.metric_name(view.content.decision.metric)
    basis = (
        " Served: cost and latency of the live endpoint; all others measured offline." if view.content.served else ""
    )
    yield f"{wording.capital(metric)} with 95% intervals; sorted by test, else dev.{basis}"
    header = ["strategy", "role", "standing", "test", "dev", "failed", "USD per 1,000", "p50", "p95", "training"]
    rows = []
    for row in view.rows:
        result = row.result
        name = f"**{escape(result.name)}**" if row.winner else escape(result.name)
        cells = [name, wording.role_name(result.role), escape(row.standing)]
        cells.append(_scored(result.test.value, result.test.ci95) if result.test else wording.NOTHING)
        cells.append(_scored(result.dev.value, result.dev.ci95))
        cells.append(wording.count(result.test.failed) if result.test else wording.NOTHING)
        served = " served" if row.served else ""
        cells.append(escape(f"{wording.usd(result.usd_per_1k_requests)}{served}"))
        cells += [escape(f"{wording.milliseconds(value)}{served}") for value in (result.p50_ms, result.p95_ms)]
        cells.append(escape(wording.training_time(result.train_seconds)))
        rows.append(cells)
    yield table(header, rows, numbers=3)
    barred = [f"{row.result.name}: {row.why}." for row in view.rows if row.why]
    if barred:
        yield f"Could not be chosen:\n\n{bullets(barred)}"


def _scored(value: float, ends: tuple[float, float]) -> str:
    return f"{wording.score(value)} ({wording.interval(*ends)})"


def _comparisons(view: View) -> Iterable[str]:
    comparisons = view.content.decision.comparisons
    if not comparisons:
        return
    yield "## Comparisons on test"
    rows = [
        [
            escape(f"{c.a} against {c.b}"),
            escape(c.why),
            escape(reading(c)),
            escape(c.method),
            f"{wording.difference(c.difference)} ({wording.difference_interval(*c.ci95)})",
            escape(wording.p_value(c.p)),
            escape(wording.p_value(c.p_holm)),
        ]
        for c in comparisons
    ]
    yield table(["comparison", "why", "reading", "method", "difference", "p", "p (Holm)"], rows, numbers=4)


def _served(view: View) -> Iterable[str]:
    served = view.content.served
    if served is None:
        return
    yield "## As served"
    yield bullets(f"{name}: {value}" for name, value in view.served_facts)
    if view.drift:
        yield f"**{escape(view.drift)}**"
    rows = [
        [
            wording.count(load.concurrency),
            wording.count(load.requests),
            wording.count(load.errors),
            escape(wording.milliseconds(load.p50_ms)),
            escape(wording.milliseconds(load.p95_ms)),
            wording.rate(load.requests_per_second),
        ]
        for load in served.loads
    ]
    if rows:
        yield table(["at once", "requests", "errors", "p50", "p95", "requests/s"], rows, numbers=0)
    yield from _drift(served)


def _drift(served: Served) -> Iterable[str]:
    """Return a table of the served answers that differ from what was measured, if any do."""

    def answer(label: str | None, probabilities: Mapping[str, float]) -> str:
        both = ", ".join(f"{name} {wording.probability(value)}" for name, value in probabilities.items())
        said = f"**{escape('(failed)' if label is None else label)}**"
        return f"{said} ({escape(both)})" if both else said

    rows = [
        [
            escape(found.text),
            answer(found.recorded, found.recorded_probabilities),
            answer(found.served, found.served_probabilities),
            "too close to tell apart" if found.close else "drift",
        ]
        for found in served.parity.disagreements
    ]
    if rows:
        yield table(["text", "measured", "served", "why"], rows)


def _learning(view: View) -> Iterable[str]:
    for strategy, points in view.learning_curves.items():
        every = -(-len(points) // _CURVE_ROWS)
        shown = [point for index, point in enumerate(points) if index % every == 0 or point is points[-1]]
        rows = [
            [
                wording.count(p.step),
                wording.score(p.train_loss),
                wording.score(p.dev_loss),
                wording.score(p.dev_accuracy),
            ]
            for p in shown
        ]
        yield f"## Learning curve of {escape(strategy)}"
        yield table(["step", "train loss", "dev loss", f"accuracy on {points[0].accuracy_of}"], rows, numbers=0)


def _search(view: View) -> Iterable[str]:
    for strategy, candidates in view.candidates.items():
        by_shots: dict[int, list[float]] = defaultdict(list)
        for candidate in candidates:
            by_shots[candidate.shots].append(candidate.score)
        rows = [
            [
                str(shots),
                str(len(values)),
                *map(wording.score, (median(values), min(values), max(values))),
                wording.score(stdev(values)) if len(values) > 1 else wording.NOTHING,
            ]
            for shots, values in sorted(by_shots.items())
        ]
        yield f"## Search of {escape(strategy)} on dev"
        metric = wording.metric_name(view.content.decision.metric)
        heads = ["demonstrations", "seeds x wordings", f"median {metric}", "lowest", "highest", "SD"]
        yield table(heads, rows, numbers=0)


def _mistakes(view: View) -> Iterable[str]:
    if view.by_label:
        yield from _by_label(view)
    if view.lowest:
        yield from _lowest(view)
    if view.confusion is None:
        return
    yield f"## What {escape(view.confusion.strategy)} gets wrong"
    mistakes = view.confusion.mistakes()
    if mistakes:
        rows = [[escape(m.reference), escape(m.predicted), f"{m.count} of {m.of}"] for m in mistakes]
        yield table(["reference", "predicted", "times"], rows, numbers=2)
    else:
        yield "No mistake on test."
    if view.reliability:
        yield f"Calibration: expected calibration error {wording.score(view.reliability.ece)} (0 is perfect)."


def _by_label(view: View) -> Iterable[str]:
    yield f"## What {escape(view.content.decision.winner)} gets wrong"
    rows = [
        [escape(each.label), *map(wording.count, counts), wording.score(each.f1)]
        for each in view.by_label
        for counts in ((each.expected, each.right, each.missed, each.wrong),)
    ]
    yield table([view.labels_are, "expected", "right", "missed", "wrongly given", "F1"], rows, numbers=1)


def _lowest(view: View) -> Iterable[str]:
    metric = wording.metric_name(view.content.decision.metric)
    yield f"## Where {escape(view.content.decision.winner)} scores lowest"
    rows = [[escape(each.text), escape(each.reference), escape(each.answer), wording.score(each.score)]
            for each in view.lowest]  # fmt: skip
    yield table(["text", "reference", "answer", metric], rows, numbers=3)


def _examples(view: View) -> Iterable[str]:
    found = view.disagreements
    if not found.shown:
        return
    yield "## Where the strategies disagree"
    examples = wording.plural(found.examples, "test example")
    generated = any(answer.score is not None for each in found.shown for answer in each.answers)
    scored = f"each answer with its {wording.metric_name(view.content.decision.metric)}"
    yield f"On {wording.count(found.total)} of {examples}; {scored if generated else 'right answers are bold'}."
    rows = []
    for example in found.shown[:_EXAMPLES]:
        answers = []
        for answer in example.answers:
            label = escape(answer.label)
            if answer.score is not None:
                label += f" ({wording.score(answer.score)})"
            answers.append(f"{f'**{label}**' if answer.right else label}: {escape(', '.join(answer.strategies))}")
        rows.append([escape(example.text), escape(example.reference), "; ".join(answers)])
    yield table(["text", "reference", "answers"], rows)


def _checks(view: View) -> Iterable[str]:
    yield "## Data checks"
    findings = view.content.findings
    yield (
        bullets(f"{finding.level.value}: {finding.message}" for finding in findings)
        if findings
        else "The checks found nothing to report."
    )
    yield "## Skipped strategies"
    skipped = view.content.skipped
    yield (
        bullets(f"{name}: {why}" for name, why in skipped.items()) if skipped else "Every strategy of the recipe ran."
    )


def _method(view: View) -> Iterable[str]:
    yield "## How it was measured"
    yield bullets(view.measured)
    if view.content.provenance:
        yield "## Provenance"
        yield table(["", ""], [[escape(name), escape(value)] for name, value in view.content.provenance.items()])
