"""What a wrong answer costs, in words and drawn."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from llmtl.costs import PriceConfig
from llmtl.decision.totals import ErrorRate, ExpectedTotal, ExpectedTotals, Switch, ValueOfAccuracy
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.report.charts.value_of_accuracy import value_chart
from llmtl.report.html import render_html
from llmtl.report.markdown_text import markdown
from llmtl.report.wrong_answers import advice, between, per_error, wrong_answers_of
from llmtl.strategy import Role
from tests.support.report_factory import make_content

RATES = (
    ErrorRate("tfidf", 1.0, 0.40, (0.35, 0.45)),
    ErrorRate("zero-shot", 121.0, 0.30, (0.25, 0.35)),
    ErrorRate("few-shot", 400.0, 0.35, (0.30, 0.40)),
    ErrorRate("qlora", 3721.0, 0.20, (0.15, 0.25)),
)
SWITCHES = (
    Switch("tfidf", "zero-shot", 0.001, (0.0007, 0.0021), 0.999),
    Switch("zero-shot", "qlora", 0.03, (0.02, 0.11), 1.0),
)
ROLES = {"tfidf": Role.BASELINE, "zero-shot": Role.PROMPTING, "few-shot": Role.PROMPTING, "qlora": Role.TUNING}
VALUE = ValueOfAccuracy("test", 96, 1_200_000, RATES, SWITCHES)


def content(value=VALUE, **changes):
    made = make_content(**changes)
    return replace(made, prices=PriceConfig(), decision=replace(made.decision, value_of_accuracy=value))


def shown(value=VALUE, kind=CLASSIFICATION):
    return wrong_answers_of(content(value).decision, kind)


@pytest.mark.parametrize(
    ("usd", "said"),
    [
        (1234.0, "$1,200"),
        (3.24, "$3.20"),
        (1.0, "$1.00"),
        (0.5, "50 cents"),
        (0.0324, "3.2 cents"),
        (0.01, "1 cent"),
        (0.000123, "0.012 cents"),
        (0.0000045, "$4.50 per million"),
    ],
)
def test_an_amount_per_error_can_be_read_by_a_person(usd, said):
    assert per_error(usd) == said


def test_two_amounts_name_a_shared_unit_once():
    assert between(0.02, 0.11) == "2 to 11 cents"
    assert between(0.11, 2.0) == "11 cents to $2.00"
    assert between(1e-6, 4e-6) == "$1.00 to $4.00 per million"


def test_the_advice_names_each_strategy_where_it_is_the_best():
    assert advice(VALUE) == (
        "If a wrong answer costs you more than 3 cents, use qlora; below that, zero-shot; below 0.1 cents, tfidf."
    )
    assert [row.where for row in shown().rows] == ["below 0.1 cents", "0.1 to 3 cents", "never", "above 3 cents"]


def test_what_would_be_the_best_at_less_than_ten_dollars_per_million_errors_is_not_told():
    tiny = replace(SWITCHES[0], usd_per_error=3e-9, ci95=(2e-9, 5e-9))
    assert advice(replace(VALUE, switches=(tiny,))) == "If a wrong answer costs you anything, use zero-shot."
    found = shown(replace(VALUE, switches=(tiny,)))
    assert [row.name for row in found.rows if row.best] == ["zero-shot"]
    assert not found.costs_matter
    page = render_html(content(replace(VALUE, switches=(tiny,))))
    assert "Table of costs and wrong answers" not in page
    assert "Table of costs and wrong answers" in render_html(content())


def test_a_switch_that_may_never_pay_says_so_with_its_chance():
    doubtful = replace(VALUE, switches=(replace(SWITCHES[1], ci95=(0.02, None), pays=0.81),))
    assert "use qlora (if it makes fewer errors at all: 81% likely); below that, zero-shot." in advice(doubtful)
    [fact] = [fact for fact in shown(doubtful).facts if "in place of" in fact]
    assert "with 95% confidence not below 2 cents" in fact
    assert "It may never pay" in fact
    nearly = replace(VALUE, switches=(replace(doubtful.switches[0], pays=0.9996),))
    assert "(if it makes fewer errors at all: more than 99% likely)" in advice(nearly)


def test_one_strategy_may_be_the_best_at_every_cost():
    level = replace(VALUE, strategies=(RATES[3], RATES[2]), switches=())
    level = replace(level, strategies=(replace(RATES[3], usd_spent=0.5), RATES[2]))
    assert advice(level).startswith("Whatever a wrong answer costs, qlora costs least in all")
    assert [row.where for row in shown(level).rows] == ["always", "never"]


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (VALUE, CLASSIFICATION, "wrong when it is not the reference"),
        (VALUE, MULTI_LABEL, "wrong unless its labels are exactly those of the reference"),
        (VALUE, EXTRACTION, "wrong unless its spans are exactly those of the reference"),
        (replace(VALUE, graded=True), GENERATION, "the part of an error that its own accuracy lacks"),
    ],
)
def test_it_is_said_what_counts_as_wrong_and_on_which_examples(value, kind, said):
    basis = shown(value, kind).facts[0]
    assert said in basis
    assert "Measured on the 96 test examples, for 1,200,000 requests in all" in basis


def test_the_page_and_the_text_show_it_and_nothing_where_it_is_not_known():
    page, text = render_html(content()), markdown(content())
    for written in (page, text):
        assert "What a wrong answer costs" in written
        assert advice(VALUE) in written
    assert 'href="#wrong-answers"' in page
    for written in (render_html(content(None)), markdown(content(None))):
        assert "What a wrong answer costs" not in written


@pytest.mark.parametrize("at", [None, 0.0, 0.5])
@pytest.mark.parametrize("width", [928.0, 358.0])
@pytest.mark.parametrize(
    "value",
    [
        VALUE,
        replace(VALUE, switches=()),
        replace(VALUE, switches=(replace(SWITCHES[1], ci95=(0.02, None)),)),
        replace(VALUE, switches=(replace(SWITCHES[0], usd_per_error=1e-8, ci95=(1e-9, 1e-7)),)),
        replace(VALUE, strategies=(replace(RATES[0], usd_spent=0.0), *RATES[1:])),
    ],
)
def test_the_chart_stays_inside_its_width(value, width, at):
    drawing = value_chart(value, ROLES, months=12, width=width, name="value", at=at)
    for node in ET.fromstring(str(drawing)).iter():
        for name in ("x", "x1", "x2", "cx"):
            assert -1 <= float(node.get(name, 0)) <= width + 1


def test_the_circle_of_a_switch_stands_where_both_lines_meet():
    root = ET.fromstring(str(value_chart(VALUE, ROLES, months=12, width=928, name="value")))
    circles = list(root.iter("circle"))
    assert len(circles) == 2
    left, right = (float(node.get("cx")) for node in circles)
    ticks = {node.text: float(node.get("x")) for node in root.iter("text") if node.get("class") == "tick"}
    per_decade = ticks["$0.1"] - ticks["$0.01"]
    assert left == pytest.approx(ticks["$0.001"], abs=0.2)
    assert right == pytest.approx(ticks["$0.01"] + 0.4771 * per_decade, abs=0.2)


def test_where_errors_have_a_price_totals_are_shown_with_their_chances():
    rows = tuple(
        ExpectedTotal(rate.strategy, rate.usd_spent, 100.0, 200.0, (150.0, 4000.0), chance)
        for rate, chance in zip(RATES, (0.997, 0.0, 0.001, 0.002), strict=True)
    )
    made = content()
    totals = ExpectedTotals("test", 96, 1_200_000, 2.0, False, rows)
    priced = replace(made, decision=replace(made.decision, expected_totals=totals))
    page, text = render_html(priced), markdown(priced)
    assert "yours" in page
    assert "| tfidf | $1.00 | $200.00 | $201.00 ($150.00 to $4,000) | \\>99% |" in text
    assert "The recipe prices a wrong answer at $2.00" in text
    by_label = replace(priced, decision=replace(priced.decision, expected_totals=replace(totals, by_label=True)))
    assert "yours" not in render_html(by_label)
    assert "The recipe prices a wrong answer by label" in markdown(by_label)
