"""The report as one self-contained web page: it asks nothing of the network and works without JavaScript.

Every text comes from outside and is escaped by the templates (`*.jinja`); a content security policy admits the page's
own script by its hash and nothing else. Not covered: editing a report after it was written.
"""

import base64
import hashlib
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from llmtl.report import forgetting_words, judging, layer_words, noise, palette, pre_training_words, svg, transfer_words
from llmtl.report.charts.cost_by_volume import volume_chart
from llmtl.report.charts.curves import accuracy_chart, loss_chart, rates_chart
from llmtl.report.charts.differences import difference_strips
from llmtl.report.charts.fewshot import search_chart, search_ends
from llmtl.report.charts.forgetting_bars import forgetting_bars
from llmtl.report.charts.layers import alike_chart, separability_chart
from llmtl.report.charts.learning import learning_chart
from llmtl.report.charts.matrices import heat_map, reliability_chart
from llmtl.report.charts.risk_coverage import risk_chart
from llmtl.report.charts.score_against_cost import cost_chart, costs_differ
from llmtl.report.charts.score_intervals import scores_chart
from llmtl.report.charts.value_of_accuracy import value_chart
from llmtl.report.content import ReportContent
from llmtl.report.folding import stacked
from llmtl.report.left_to_it import LeftToIt, left_to
from llmtl.report.metric_words import Words
from llmtl.report.money import NO_LIMITS
from llmtl.report.prompt_choices import choice_sentences
from llmtl.report.templates import html_templates
from llmtl.report.view import StrategyRow, View, build_view
from llmtl.strategy import Role
from llmtl.task import Metric

_WIDE, _NARROW, _PANEL, _HEAT_MAP = 928.0, 358.0, 430.0, 430.0
_EXAMPLES_BEFORE_MORE = 12
_PARTS = (
    (
        "In detail",
        (
            "mistakes",
            "examples",
            "automation",
            "labels",
            "wrong_answers",
            "money",
            "cost",
            "served",
            "judge",
            "transfer",
            "forgetting",
            "fitting",
        ),
    ),
    ("Appendix: method and proof", ("comparisons", "method", "glossary")),
)
"""The folded parts of the page by heading, as the names of their templates."""


def write_html(content: ReportContent, path: Path) -> None:
    """Write the page to `path`, whose folder must exist."""
    path.write_text(render_html(content), encoding="utf-8", errors="replace")


def render_html(content: ReportContent) -> str:
    """Write the page as HTML."""
    view, left = build_view(content), left_to(content)
    script = files("llmtl.report").joinpath("report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = (
        html_templates("llmtl", "report")
        .get_template("page.jinja")
        .render(
            view=view,
            content=content,
            decision=content.decision,
            charts=_charts(view) | {"risk": _risk(left)},
            left=left,
            marks=_marks(),
            roles=[role for role in Role if any(row.result.role is role for row in view.rows)],
            sections=_sections(view, left),
            judge=judging,
            no_limits=NO_LIMITS,
            noise_words=noise,
            transfer_words=transfer_words,
            layer_words=layer_words,
            pre_training_words=pre_training_words,
            forgetting_words=forgetting_words,
            words=Words(Metric(content.decision.metric)),
            visible=_EXAMPLES_BEFORE_MORE,
            style=Markup(_style()),
            script=Markup(script),
            script_hash=f"sha256-{digest}",
            parts=_PARTS,
        )
    )
    return stacked(page)


def _style() -> str:
    light, dark = palette.properties(), palette.properties(dark=True)
    colours = f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    page = files("llmtl.report").joinpath("report.css").read_text(encoding="utf-8")
    return f"{colours}@media print {{ :root {{ {light} }} }}\n{palette.chart_rules()}{page}"


def _sections(view: View, left: LeftToIt | None) -> list[tuple[str, str]]:
    shown = [
        ("verdict", "Verdict", True),
        ("why", "Why", True),
        ("scores", "Scores", True),
        ("strategies", "Strategies", True),
        ("mistakes", "Mistakes", bool(view.confusion or view.by_label or view.lowest)),
        ("examples", "Disagreements", bool(view.disagreements.examples)),
        ("automation", "What can be left to it", left is not None),
        ("labels", "How many labels", bool(view.content.curves and view.content.curves.sentence)),
        ("noise", "Doubtful labels", view.content.noise is not None),
        ("wrong-answers", "What a wrong answer costs", view.wrong_answers is not None),
        ("money", "Money and time", view.money is not None),
        ("cost", "Score against cost", costs_differ(_priced(view))),
        ("served", "As served", view.content.served is not None),
        ("judge", "Second opinion", view.content.judging is not None),
        ("transfer", "Did it transfer?", bool(view.transfer)),
        ("forgetting", "What fine-tuning forgot", bool(view.forgetting)),
        ("fitting", "Fitting", bool(view.learning_curves or view.candidates)),
        ("comparisons", "Comparisons", bool(view.content.decision.comparisons)),
        ("checks", "Data checks", True),
        ("skipped", "Skipped strategies", True),
        ("measured", "How it was measured", True),
        ("provenance", "Provenance", True),
        ("glossary", "Words used here", True),
    ]
    return [(name, title) for name, title, present in shown if present]


def _marks() -> dict[str, Markup]:
    """Return a small inline mark for each role, and for test and dev."""

    def mark(role: Role, fill: str, *, colour: str) -> Markup:
        drawn = svg.mark(role, (7, 7), size=5, class_=fill)
        return svg.element("svg", drawn, class_=f"mark role-{colour}", width=14, height=14, aria_hidden="true")

    roles = {role.value: mark(role, "solid", colour=role.value) for role in Role}
    return roles | {
        "test": mark(Role.PROMPTING, "solid", colour="any"),
        "dev": mark(Role.PROMPTING, "hollow", colour="any"),
        "cut": svg.element(
            "svg", svg.ring((8, 8), size=3.5), class_="mark role-any", width=16, height=16, aria_hidden="true"
        ),
    }


def _charts(view: View) -> dict[str, Any]:
    decision = view.content.decision
    metric, rows = decision.metric, view.rows

    def scores(width: float, name: str) -> Markup:
        return scores_chart(rows, metric=metric, target=decision.target, width=width, name=name)

    priced = _priced(view)

    def cost(width: float, name: str) -> Markup | None:
        return cost_chart(priced, metric=metric, width=width, name=name) if costs_differ(priced) else None

    roles = {row.result.name: row.result.role for row in rows}

    def learning(width: float, name: str) -> Markup | None:
        curves = view.content.curves
        return learning_chart(curves, roles=roles, width=width, name=name) if curves else None

    def volume(width: float, name: str) -> Markup | None:
        return volume_chart(view.money, width=width, name=name) if view.money else None

    def value(width: float, name: str) -> Markup | None:
        shown, prices = view.wrong_answers, view.content.prices
        if shown is None or prices is None or not shown.costs_matter:
            return None
        at = shown.usd_per_error
        return value_chart(shown.value, roles, months=prices.months, width=width, name=name, at=at)

    large = view.confusion if view.confusion and not view.confusion.small else None
    return {
        "scores": _both(scores, "scores"),
        "cost": _both(cost, "cost"),
        "learning": _both(learning, "learning"),
        "forgetting": _both(partial(_forgetting, view), "forgetting"),
        "volume": _both(volume, "volume"),
        "value": _both(value, "value"),
        "differences": difference_strips(decision.comparisons, decision.margin),
        "panels": _panels(view),
        "layers": _layers(view),
        "searches": _searches(view),
        "search_caption": _search_caption(view),
        "heat_map": heat_map(large, width=_HEAT_MAP, name="heat-map") if large else None,
        "reliability": reliability_chart(view.reliability, width=270, name="reliability") if view.reliability else None,
    }


def _forgetting(view: View, width: float, name: str) -> Markup | None:
    return forgetting_bars(view.forgetting, width=width, name=name)


def _priced(view: View) -> list[StrategyRow]:
    return [row for row in view.rows if row.result.usd_per_1k_requests is not None]


def _risk(left: LeftToIt | None) -> dict[str, Markup | None]:
    def risk(width: float, name: str) -> Markup | None:
        return risk_chart(left, width=width, name=name) if left else None

    return _both(risk, "risk")


def _searches(view: View) -> dict[str, Markup | None]:
    """Return the searches of all strategies side by side, and for narrow screens one below the other."""
    metric, ends = view.content.decision.metric, search_ends(view.candidates)
    alone = [
        search_chart({strategy: tried}, metric=metric, ends=ends, width=_NARROW, name=f"search-{number}")
        for number, (strategy, tried) in enumerate(view.candidates.items())
    ]
    wide = search_chart(view.candidates, metric=metric, ends=ends, width=_WIDE, name="search-wide")
    return {"wide": wide, "narrow": Markup("").join(drawn for drawn in alone if drawn)}


def _search_caption(view: View) -> str:
    """Return what the dots of the searches are."""
    searches = view.candidates.values()
    several = any(len(tried) > len({each.shots for each in tried}) for tried in searches)
    what = (
        "draw of demonstrations and wording of the instruction, bars at the mean"
        if several
        else "number of demonstrations"
    )
    filled = "; each strategy's choice is filled" if any(each.chosen for tried in searches for each in tried) else ""
    return " ".join([f"One dot per {what}{filled}.", *choice_sentences(view.candidates)])


def _both(chart: Callable[[float, str], Markup | None], name: str) -> dict[str, Markup | None]:
    return {"wide": chart(_WIDE, f"{name}-wide"), "narrow": chart(_NARROW, f"{name}-narrow")}


def _panels(view: View) -> list[dict[str, Any]]:
    """Return the small charts of training, each with a title and a caption."""
    panels: list[dict[str, Any]] = []

    def add(drawing: Markup | None, title: str, *, caption: str) -> None:
        if drawing is not None:
            panels.append({"drawing": drawing, "title": title, "caption": caption})

    for number, (strategy, points) in enumerate(view.learning_curves.items()):
        marked = "checkpoint that is kept" if any(point.kept for point in points) else "best"
        stopped = next((row.stopped for row in view.rows if row.result.name == strategy), "")
        averaged = ", ".join(str(point.step) for point in points if point.averaged)
        mean = f" The mean of the weights of steps {averaged} did better on dev and was kept." if averaged else ""
        dot = f"The dot is the {'best single checkpoint' if mean else marked}.{mean}"
        dot += f" Training {stopped}, at its time limit." if stopped else ""
        loss = loss_chart(points, strategy=strategy, width=_PANEL, name=f"loss-{number}")
        warning = "Where dev turns up while train still falls, the model overfits."
        add(loss, f"{strategy}: loss by step", caption=f"{dot} {warning}")
        accuracy = accuracy_chart(points, strategy=strategy, width=_PANEL, name=f"accuracy-{number}")
        add(accuracy, f"{strategy}: {points[0].scored} by step", caption=dot)
        searched = view.rate_searches.get(strategy)
        if searched is not None:
            rates = rates_chart(searched, strategy=strategy, width=_PANEL, name=f"rates-{number}")
            caption = f"A copy was trained while the rate rose; the dot is the rate in use, {searched.used:.1e}."
            add(rates, f"{strategy}: loss by learning rate", caption=caption)
    return panels


def _layers(view: View) -> list[dict[str, Any]]:
    """Return the small charts of what tuning changed, each with a title and a caption."""
    panels: list[dict[str, Any]] = []
    for number, (strategy, changes) in enumerate(view.transfer.layers.items()):
        on = f"On {changes.texts} dev texts."
        alike = alike_chart(changes, strategy=strategy, width=_PANEL, name=f"alike-{number}")
        apart = separability_chart(changes, strategy=strategy, width=_PANEL, name=f"apart-{number}")
        for drawing, title in ((alike, "what tuning changed"), (apart, "labels told apart, by layer")):
            if drawing is not None:
                panels.append({"drawing": drawing, "title": f"{strategy}: {title}", "caption": on})
    return panels
