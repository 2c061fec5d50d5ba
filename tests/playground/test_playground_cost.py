"""The cost panel: crossings worked out by hand, what the sliders may send, and the words beside them."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from llmtl.costs import PriceConfig
from llmtl.decision.totals import ErrorRate, ValueOfAccuracy
from llmtl.playground.cost import after, cost_view
from llmtl.playground.cost_chart import cost_curves
from llmtl.playground.decision_tab import priced, sent
from llmtl.playground.error_panel import error_view
from llmtl.playground.page_content import StrategyCost
from llmtl.report.wrong_answers import per_error

PRICES = PriceConfig(usd_per_cpu_hour=0.36, usd_per_gpu_hour=3.6, requests_per_month=1000, months=10)
TUNED = StrategyCost("qlora", "tuning", "cuda", "cuda", seconds_per_request=0.01, train_seconds=1000)
PROMPTED = StrategyCost("few-shot", "prompting", "cuda", "cuda", seconds_per_request=0.05, train_seconds=200)
BAG = StrategyCost("tfidf", "baseline", "cpu", "cpu", seconds_per_request=0.001, train_seconds=1)


def test_the_winner_breaks_even_where_both_lines_cross():
    # 1 USD + n x 0.00001 = 0.2 USD + n x 0.00005, so n = 0.8 / 0.00004; a GPU second costs 0.001 USD.
    view = cost_view((TUNED, PROMPTED), winner="qlora", prices=PRICES)
    assert view.crossing == pytest.approx(20_000)
    assert view.against == "few-shot"
    assert view.headline == (
        "Above 20,000 requests in all qlora costs less than few-shot: 20 months at 1,000 requests per month."
    )
    rows = {row.priced.name: row for row in view.rows}
    assert rows["qlora"].in_all == pytest.approx(1 + 10_000 * 0.00001)
    assert rows["few-shot"].month == pytest.approx(1000 * 0.00005)


def test_a_dearer_gpu_moves_the_crossing_with_a_strategy_on_the_cpu():
    slow_bag = replace(BAG, seconds_per_request=0.5, train_seconds=0)  # 0.00005 USD a request
    before = cost_view((TUNED, slow_bag), winner="qlora", prices=PRICES).crossing
    after_ = cost_view(
        (TUNED, slow_bag), winner="qlora", prices=PRICES.model_copy(update={"usd_per_gpu_hour": 7.2})
    ).crossing
    assert before == pytest.approx(1 / 0.00004)
    assert after_ == pytest.approx(2 / 0.00003)


def test_a_model_at_its_provider_is_paid_by_tokens_whatever_machines_cost():
    hosted = StrategyCost(
        "hosted", "prompting", "hosted", "hosted", 2.0, 500, paid_per_request=0.0002, paid_for_fitting=0.1
    )
    for prices in (PRICES, PRICES.model_copy(update={"usd_per_gpu_hour": 36.0})):
        rows = {row.priced.name: row for row in cost_view((TUNED, hosted), winner="qlora", prices=prices).rows}
        assert rows["hosted"].in_all == pytest.approx(0.1 + 10_000 * 0.0002)
    # 1 USD + n x 0.00001 = 0.1 USD + n x 0.0002
    assert cost_view((TUNED, hosted), winner="qlora", prices=PRICES).crossing == pytest.approx(0.9 / 0.00019)


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


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        (10, "less than a day"),
        (2000 / 30.4375, "2 days"),
        (3000, "3 months"),
        (36_000, "3 years"),
        (1e7, "more than 100"),
    ],
)
def test_volumes_become_times(requests, words):
    assert after(requests, PRICES).startswith(words)


def test_without_requests_nothing_is_ever_reached():
    assert after(10, PRICES.model_copy(update={"requests_per_month": 0})) == "never, without requests"


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
    # 10,000 requests: tfidf takes 1 USD and 3,000 errors, qlora 1 + 0.1 USD and 1,000 errors
    [tfidf, qlora] = cost_view((TUNED, BAG), winner="qlora", prices=PRICES).rows
    at = (qlora.in_all - tfidf.in_all) / 2000
    below, above = (error_view((TUNED, BAG), MEASURED, PRICES, factor * at) for factor in (0.9, 1.1))
    assert (below.best, above.best) == ("tfidf", "qlora")
    assert above.usd_per_month == pytest.approx((qlora.in_all + 1000 * 1.1 * at) / 10)
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
