"""The cost panel: crossings worked out by hand, what the sliders may send, and the words beside them."""

import re
from types import SimpleNamespace

import pytest

from llmtl.costs import MemberUse, PriceConfig, Pricing, Tokens
from llmtl.decision.totals import ErrorRate, ValueOfAccuracy
from llmtl.playground.cost import cost_view
from llmtl.playground.cost_chart import cost_curves
from llmtl.playground.decision_tab import priced, sent
from llmtl.playground.error_panel import error_view
from llmtl.playground.page_content import StrategyCost
from llmtl.report.wrong_answers import per_error

PRICES = PriceConfig(
    usd_per_cpu_hour=0.1, usd_per_gpu_hour=1.0, requests_per_month=1000, months=10, peak_factor=2, utilisation=0.5
)


def cost(name, role, device, seconds_per_request, train_seconds, **changes):
    return StrategyCost(name, role, MemberUse(name, 1, seconds_per_request, train_seconds, device=device, **changes))


TUNED = cost("qlora", "tuning", "cuda", 0.01, 3600)
PROMPTED = cost("few-shot", "prompting", "cuda", 0.05, 720)
BAG = cost("tfidf", "baseline", "cpu", 0.001, 0)
# at the peak a machine carries half of what it can, twice the mean: a quarter of 730 x 3600 / seconds
TUNED_CARRIES, PROMPTED_CARRIES, BAG_CARRIES = (730 * 3600 / 4 / seconds for seconds in (0.01, 0.05, 0.001))


def test_the_winner_breaks_even_where_another_needs_a_second_machine():
    view = cost_view((TUNED, PROMPTED), winner="qlora", prices=PRICES)
    assert view.crossing == pytest.approx(PROMPTED_CARRIES)
    assert view.against == "few-shot"
    assert view.headline == "Above about 13,000,000 requests per month qlora costs less than few-shot."
    rows = {row.priced.name: row for row in view.rows}
    assert rows["qlora"].priced.in_all == pytest.approx(1 + 10 * 730)
    assert rows["few-shot"].priced.month == pytest.approx(730)
    assert [rows[name].priced.machines for name in ("qlora", "few-shot")] == [1, 1]
    busy = PRICES.model_copy(update={"requests_per_month": 1.5 * PROMPTED_CARRIES})
    rows = {row.priced.name: row for row in cost_view((TUNED, PROMPTED), winner="qlora", prices=busy).rows}
    assert [rows[name].priced.machines for name in ("qlora", "few-shot")] == [1, 2]


def test_a_dearer_gpu_moves_the_crossing_with_a_strategy_on_the_cpu():
    slow_bag = cost("tfidf", "baseline", "cpu", 0.5, 0)
    carries = 730 * 3600 / 4 / 0.5

    def crossing(**changes):
        return cost_view((TUNED, slow_bag), winner="qlora", prices=PRICES.model_copy(update=changes)).crossing

    # 730.1 USD per month against 73 for each CPU machine, fitting spread over ten months
    assert crossing() == pytest.approx(10 * carries)
    assert crossing(usd_per_gpu_hour=2.0) == pytest.approx(20 * carries)


def test_the_panel_counts_as_the_report_does():
    for prices in (PRICES, PRICES.model_copy(update={"requests_per_month": 1e9, "utilisation": 0.9})):
        for row in cost_view((TUNED, PROMPTED, BAG), winner="qlora", prices=prices).rows:
            used = next(item.used for item in (TUNED, PROMPTED, BAG) if item.name == row.priced.name)
            assert row.priced.month == Pricing(prices).per_month(used)
            assert row.priced.in_all == pytest.approx(Pricing(prices).total(used))


def test_a_model_at_its_provider_is_paid_by_tokens_whatever_machines_cost():
    tokens = {"prompt_tokens_per_request": 100, "fitting_tokens": Tokens(prompt=50_000)}
    hosted = cost("hosted", "prompting", "hosted", 2.0, 500, **tokens)
    paid = PRICES.model_copy(update={"usd_per_million_prompt_tokens": 2.0, "usd_per_million_completion_tokens": 8.0})
    for prices in (paid, paid.model_copy(update={"usd_per_gpu_hour": 36.0})):
        rows = {row.priced.name: row for row in cost_view((TUNED, hosted), winner="qlora", prices=prices).rows}
        assert rows["hosted"].priced.in_all == pytest.approx(0.1 + 10_000 * 0.0002)
        assert rows["hosted"].priced.machines == 0
    # 730 + 1 / 10 USD per month against 0.01 + n x 0.0002
    assert cost_view((TUNED, hosted), winner="qlora", prices=paid).crossing == pytest.approx(730.09 / 0.0002)


def test_where_lines_do_not_cross_it_is_said_who_is_cheaper():
    view = cost_view((TUNED, BAG), winner="tfidf", prices=PRICES)
    assert view.crossing is None
    assert "no other strategy breaks even with tfidf" in view.headline
    assert {row.priced.name: row.reading for row in view.rows} == {
        "tfidf": "the winner",
        "qlora": "dearer at every volume",
    }
    seen_from_qlora = cost_view((TUNED, BAG), winner="qlora", prices=PRICES)
    assert {row.reading for row in seen_from_qlora.rows} == {"the winner", "cheaper at every volume"}


def test_free_machines_make_everything_cost_the_same_and_draw_nothing():
    free = PriceConfig(usd_per_cpu_hour=0, usd_per_gpu_hour=0)
    view = cost_view((TUNED, BAG), winner="qlora", prices=free)
    assert view.headline == "At these prices all strategies cost the same."
    assert cost_curves(view, width=900, name="c") == ""


def test_a_strategy_that_nobody_timed_is_left_out():
    untimed = StrategyCost("bm25", "baseline", MemberUse("bm25", 1, None, 0.0))
    view = cost_view((TUNED, untimed), winner="qlora", prices=PRICES)
    assert [row.priced.name for row in view.rows] == ["qlora"]


@pytest.mark.parametrize("width", [340, 928])
@pytest.mark.parametrize("requests", [1, 100, 1e9])
def test_the_curves_stay_inside_the_drawing_at_every_volume(width, requests):
    prices = PRICES.model_copy(update={"requests_per_month": requests})
    drawing = cost_curves(cost_view((TUNED, PROMPTED, BAG), winner="qlora", prices=prices), width=width, name="c")
    height = float(re.search(r'viewBox="0 0 \d+ (\d+)"', drawing)[1])
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", drawing)]
    assert len(points) > 50
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    assert drawing.count('class="cost-line"') == 3
    assert "⁻" not in drawing


@pytest.mark.parametrize("sent", [None, "x", {"requests_per_month": "9"}, {"months": float("nan")}, {"months": -1}, {}])
def test_a_page_that_sends_nonsense_changes_nothing(sent):
    assert priced(PRICES, SimpleNamespace(_data=sent)) == PRICES


def test_what_the_sliders_send_is_taken():
    moved = priced(PRICES, SimpleNamespace(_data={"requests_per_month": 5, "usd_per_gpu_hour": 2.5, "other": 1}))
    assert moved == PRICES.model_copy(update={"requests_per_month": 5.0, "usd_per_gpu_hour": 2.5})


MEASURED = ValueOfAccuracy(
    "test",
    199,
    1.0,
    (ErrorRate("qlora", 0.0, 0.1, (0.05, 0.15)), ErrorRate("tfidf", 0.0, 0.3, (0.25, 0.35))),
    switches=(),
)


def test_the_best_strategy_changes_where_fewer_errors_pay_for_what_they_cost():
    # 10,000 requests: 3,000 errors of tfidf and 1,000 of qlora
    rows = {row.priced.name: row.priced for row in cost_view((TUNED, BAG), winner="qlora", prices=PRICES).rows}
    at = (rows["qlora"].in_all - rows["tfidf"].in_all) / 2000
    below, above = (error_view((TUNED, BAG), MEASURED, PRICES, factor * at) for factor in (0.9, 1.1))
    assert (below.best, above.best) == ("tfidf", "qlora")
    assert above.usd_per_month == pytest.approx((rows["qlora"].in_all + 1000 * 1.1 * at) / 10)
    assert above.usd_of_errors == pytest.approx(1000 * 1.1 * at / 10)
    assert above.advice == f"If a wrong answer costs you more than {per_error(at)}, use qlora; below that, tfidf."
    assert above.headline.startswith(f"If a wrong answer costs {per_error(1.1 * at)}, qlora costs least in all: $")


def test_what_errors_cost_is_not_told_where_nobody_counted_them():
    assert error_view((TUNED, BAG), None, PRICES, 0.01) is None
    assert error_view((TUNED, PROMPTED), MEASURED, PRICES, 0.01) is None


@pytest.mark.parametrize("width", [340, 928])
def test_the_chart_of_errors_marks_the_slider(width):
    drawing = error_view((TUNED, BAG), MEASURED, PRICES, 0.5).chart(width=width, name="e")
    assert "yours" in drawing
    assert drawing.count('class="crossing"') == 1


def test_a_slider_that_sends_nonsense_is_not_heard():
    assert sent(SimpleNamespace(_data={"usd_per_error": 0.25}), "usd_per_error") == 0.25
    for data in ({"usd_per_error": "x"}, {"usd_per_error": -1}, {}, None):
        assert sent(SimpleNamespace(_data=data), "usd_per_error") is None
