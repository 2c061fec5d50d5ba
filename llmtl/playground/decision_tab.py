"""The *Decision* tab: the verdict, what shows it, what the live endpoint was measured to do, and what it costs.

Not covered: deciding; everything here was worked out by `llmtl.decision` and is drawn by `llmtl.report`.
"""

import math
from typing import Any

import gradio as gr
from markupsafe import Markup

from llmtl.costs import Billing, PriceConfig
from llmtl.playground.cost import cost_view
from llmtl.playground.cost_chart import cost_curves
from llmtl.playground.error_panel import USUAL, error_view
from llmtl.playground.page_content import PlaygroundContent
from llmtl.playground.pages import html, note, render
from llmtl.report.charts.score_against_cost import cost_chart
from llmtl.report.charts.score_intervals import scores_chart
from llmtl.report.content import ReportContent
from llmtl.report.view import build_view

WIDE, NARROW = 928.0, 340.0
NO_RUN = "There is no run to show: start the playground with its folder (--run runs/NAME) to see {what}."
_SLIDERS = """
const round = (value) => value === 0 ? 0 : Number(value.toPrecision(2));
const value = (input) => round(input.dataset.scale === 'log' ? 10 ** Number(input.value) : Number(input.value));
const words = (input) => (input.dataset.unit === 'usd' ? '$' : '')
  + value(input).toLocaleString('en-US', {maximumFractionDigits: 6});
element.addEventListener('input', (event) => {
  const moved = event.target;
  if (!moved.dataset.price) return;
  event.stopPropagation();
  moved.dataset.value = value(moved);
  moved.setAttribute('aria-valuetext', words(moved));
  moved.closest('.lt-control').querySelector('output').textContent = words(moved);
  const prices = {};
  for (const {dataset} of element.querySelectorAll('[data-price]')) prices[dataset.price] = Number(dataset.value);
  clearTimeout(element.waiting);
  element.waiting = setTimeout(() => trigger('input', prices), 100);
});
"""


def build_decision(content: PlaygroundContent) -> None:
    """Lay the tab out in the current Gradio context."""
    if content.report is None:
        html(note(NO_RUN.format(what="the verdict, its charts and its costs")), elem_id="decision")
        return
    html(decision_page(content.report), elem_id="decision")
    if any(cost.name == content.report.decision.winner for cost in content.costs):
        _build_costs(content)
    html(figures_page(content.report), elem_id="figures")


def _build_costs(content: PlaygroundContent) -> None:
    controls = html(_controls(content), js_on_load=_SLIDERS, elem_id="prices")
    costs = html(cost_page(content, content.prices), elem_id="costs")

    def moved(event: gr.EventData) -> str:
        return cost_page(content, priced(content.prices, event), sent(event, "usd_per_error"))

    controls.input(
        moved,
        None,
        costs,
        show_progress="hidden",
        trigger_mode="multiple",  # what always_last puts off is sent without what the sliders say
        api_visibility="private",
        concurrency_limit=1,  # in order, so that the last one stays
    )


def decision_page(report: ReportContent) -> str:
    """Write the verdict and its charts."""
    view = build_view(report)
    metric, target = report.decision.metric, report.decision.target

    def scores(width: float) -> Markup:
        return scores_chart(view.rows, metric=metric, target=target, width=width, name=f"scores-{width:.0f}")

    def against_cost(width: float) -> Markup:
        return cost_chart(view.rows, metric=metric, width=width, name=f"score-cost-{width:.0f}")

    return render(
        "decision",
        view=view,
        decision=report.decision,
        scores={"wide": scores(WIDE), "narrow": scores(NARROW)},
        against_cost={"wide": against_cost(WIDE), "narrow": against_cost(NARROW)},
    )


def figures_page(report: ReportContent) -> str:
    """Write the table of strategies, the reasons and the served measurements."""
    return render("figures", view=build_view(report), decision=report.decision, served=report.served)


def cost_page(content: PlaygroundContent, prices: PriceConfig, usd_per_error: float | None = None) -> str:
    """Write break-even, curves and costs at these prices, and who is the best; the content must have a report."""
    if content.report is None:
        return ""
    view = cost_view(content.costs, winner=content.report.decision.winner, prices=prices)
    curves = {
        "wide": cost_curves(view, width=WIDE, name="curves-wide"),
        "narrow": cost_curves(view, width=NARROW, name="curves-narrow"),
    }
    priced_names = {row.priced.name for row in view.rows}
    unpriced = [each.name for each in content.report.decision.strategies if each.name not in priced_names]
    at = _usd_per_error(content) if usd_per_error is None else usd_per_error
    errors = error_view(content.costs, content.report.decision.value_of_accuracy, prices, at)
    by_error = {
        size: errors.chart(width=width, name=f"errors-{size}") if errors else ""
        for size, width in (("wide", WIDE), ("narrow", NARROW))
    }
    return render("costs", view=view, curves=curves, unpriced=unpriced, errors=errors, by_error=by_error)


def priced(prices: PriceConfig, event: Any) -> PriceConfig:
    """Read the prices that the sliders say, each kept where it was if the page sent no usable number."""
    names = ("requests_per_month", "usd_per_cpu_hour", "usd_per_gpu_hour", "months", "peak_factor")
    changes = {name: sent(event, name) for name in names}
    percent = sent(event, "utilisation_percent")
    changes["utilisation"] = None if percent is None else min(100.0, percent) / 100
    return prices.model_copy(update={name: value for name, value in changes.items() if value is not None})


def sent(event: Any, name: str) -> float | None:
    """Read the number that one slider says; None where the page sent no usable one."""
    value = event._data.get(name) if isinstance(event._data, dict) else None
    if isinstance(value, (int, float)) and math.isfinite(value) and 0 < value < 1e12:
        return float(value)
    return None


def _usd_per_error(content: PlaygroundContent) -> float:
    """Return the cost of a wrong answer that the recipe says, or a usual one."""
    limits = content.report.limits if content.report else None
    return (limits.usd_per_error if limits else None) or USUAL


def _controls(content: PlaygroundContent) -> str:
    prices = content.prices
    devices = {device for cost in content.costs for device in cost.devices}
    sliders = [_slider("requests_per_month", "Requests per month", value=prices.requests_per_month, ends=(2, 9))]
    serverless = prices.billing is Billing.SERVERLESS
    if not serverless:
        percent = 100 * prices.utilisation
        sliders.append(
            _linear("utilisation_percent", "Utilisation at the peak, percent", percent, ends=(5, 100), step=5)
        )
        sliders.append(_linear("peak_factor", "Peak, times the mean", prices.peak_factor, ends=(1, 20), step=0.5))
    if "cuda" in devices:
        sliders.append(
            _slider("usd_per_gpu_hour", "GPU machine, USD per hour", value=prices.usd_per_gpu_hour, ends=(-2, 2))
        )
    if "cpu" in devices:
        sliders.append(
            _slider("usd_per_cpu_hour", "CPU machine, USD per hour", value=prices.usd_per_cpu_hour, ends=(-3, 1))
        )
    sliders.append(_linear("months", "Months", prices.months, ends=(1, 60), step=1))
    if content.report and content.report.decision.value_of_accuracy:
        at = _usd_per_error(content)
        sliders.append(_slider("usd_per_error", "A wrong answer, USD", value=at, ends=(-5, 3)))
    served = content.report.served if content.report else None
    return render("controls", sliders=sliders, served=served, hosted="hosted" in devices, serverless=serverless)


def _linear(name: str, label: str, value: float, *, ends: tuple[float, float], step: float) -> dict[str, Any]:
    """Return an even slider between two values."""
    low, high = ends
    at = {"value": value, "at": value, "low": low, "high": high, "step": step}
    return {"price": name, "label": label, "scale": "linear", "unit": "", **at}


def _slider(name: str, label: str, *, value: float, ends: tuple[int, int]) -> dict[str, Any]:
    """Return a logarithmic slider between two powers of ten."""
    low, high = ends
    at = min(max(math.log10(value), low), high) if value > 0 else low
    return {
        "price": name,
        "label": label,
        "value": value,
        "at": round(at, 4),
        "low": low,
        "high": high,
        "step": 0.05,
        "scale": "log",
        "unit": "usd" if name.startswith("usd") else "",
    }
