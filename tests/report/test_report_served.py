"""What the report says about a live endpoint."""

from dataclasses import replace

import pytest

from llmtl.costs import PriceConfig
from llmtl.measured.endpoint import Disagreement, Int8Check, Load, Paid, Parity, Served
from llmtl.report import markdown
from llmtl.report.charts.score_against_cost import cost_chart
from llmtl.report.html import render_html
from llmtl.report.money import money_of
from llmtl.report.serving import in_int8
from llmtl.report.view import build_view
from llmtl.report.wording import probability, rate
from tests.report.test_report_html import Page
from tests.support.report_factory import make_content

LOADS = (
    Load(1, 50, 0, p50_ms=28.1, p95_ms=40.3, requests_per_second=35.2),
    Load(8, 200, 0, p50_ms=61.0, p95_ms=99.0, requests_per_second=128.2),
    Load(64, 640, 2, p50_ms=410.0, p95_ms=690.0, requests_per_second=1240.4),
)
CLOSE = Disagreement(
    "test-3",
    "<b>two</b> | doors open",
    "returns",
    "delivery",
    {"returns": 0.4312, "delivery": 0.4291},
    {"returns": 0.43, "delivery": 0.4301},
    close=True,
)
DRIFTED = Disagreement("test-4", "no answer", "billing", None, {"billing": 0.9}, {}, close=False)


def served(**changes) -> Served:
    parity = Parity(96, 96, required=0.995, passed=True, largest_difference=0.0000042)
    made = Served(
        "customer messages", "qlora", "vllm 0.32.0", "cpu", "2026-11-23T18:00:00+00:00", parity, LOADS, 0.0021
    )
    return replace(made, **changes)


def drifted() -> Served:
    parity = Parity(96, 94, 0.995, passed=False, largest_difference=0.31, disagreements=(CLOSE, DRIFTED))
    return served(parity=parity, accepted_drift=True)


def content_served(measured=None):
    return replace(make_content(), served=measured or served())


def section(text: str) -> str:
    end = text.index("How the strategies were fitted")
    return text[text.rindex("As served ", 0, end) : end]


def test_an_unserved_report_says_nothing_of_serving():
    page, text = render_html(make_content()), markdown(make_content())
    assert 'id="served"' not in page
    assert "served" not in Page(page).text.lower().replace("observed", "")
    assert "served" not in text.lower().replace("observed", "")


def test_the_page_has_a_section_with_engine_parity_and_load():
    page = Page(render_html(content_served()))
    assert "#served" in page.attributes("href")
    text = section(page.text)
    assert "Engine vllm 0.32.0 on cpu" in text
    assert "96 of 96 recorded test inputs (100.0%, at least 99.5% required)" in text
    assert "differ by at most 0.000004" in text
    assert "$0.0021 per 1,000 requests" in text
    assert "1 50 0 28 ms 40 ms 35.2" in text
    assert "64 640 2 410 ms 690 ms 1,240" in text
    assert "is not what was measured" not in text


def test_a_provider_is_named_as_one_with_what_it_was_paid():
    parity = replace(served().parity, compared_probabilities=False)
    measured = served(engine="llmtl 0.2.0", device="hosted", parity=parity, paid=Paid(51, 0.0041))
    text = section(Page(render_html(content_served(measured))).text)
    assert "Engine llmtl 0.2.0, asking its provider" in text
    assert "$0.0021 per 1,000 requests: 51 requests to the provider cost $0.0041, the parity check included" in text
    assert "differ by at most" not in text
    assert "at the highest throughput" not in text


def test_a_server_that_drifted_is_named_as_one_with_both_probabilities():
    text = section(Page(render_html(content_served(drifted()))).text)
    assert "What is served is not what was measured" in text
    assert "let through by hand" in text
    assert "<b>two</b> | doors open returns returns 0.431, delivery 0.429 delivery returns 0.430" in text
    assert "too close to tell apart" in text
    assert "no answer billing billing 0.900 (failed) drift" in text


def test_an_encoder_in_int8_is_told_with_how_many_answers_stay():
    taken = Int8Check(True, 400, 399, 0.995, largest_difference=0.031, score=0.81, score_before=0.812)
    told = Page(render_html(content_served(served(int8=taken)))).text
    assert "The encoder runs in int8: 399 of 400 answers on dev and test are those that were measured before" in told
    assert "test scores 0.810 (0.812 before)" in told
    refused = replace(taken, taken=False, agreed=396)
    assert "int8 was refused, and the encoder runs as it was measured: 396 of 400 answers on dev and test (99.0%)" in (
        markdown(content_served(served(int8=refused)))
    )
    with_train = replace(taken, compared=2_000, agreed=1_995, compared_on_train=1_600, agreed_on_train=1_597)
    assert (
        "The encoder runs in int8, 5 of its 36 matrix products in float32: 1,995 of 2,000 answers on dev, test and "
        "train are those that were measured before (at least 99.5% required; on dev and test alone 398 of 400)"
    ) in in_int8(replace(with_train, floats=5, products=36))
    assert (
        "as it was measured: even with 18 of its 36 matrix products in float32 1,980 of 2,000 answers on dev, test and "
        "train (99.0%; on dev and test alone 383 of 400) are those"
    ) in in_int8(replace(with_train, taken=False, agreed=1_980, floats=18, products=36))
    fault = Int8Check(False, fault="The encoder cannot be written as ONNX (why).")
    assert in_int8(fault).endswith("as it was measured: The encoder cannot be written as ONNX (why).")


def test_markdown_says_the_same():
    text = markdown(content_served(drifted()))
    assert "## As served" in text
    assert "- Engine: vllm 0.32.0 on cpu" in text
    assert "| 64 | 640 | 2 | 410 ms | 690 ms | 1,240 |" in text
    assert "94 of 96 recorded test inputs" in text
    assert "**What is served is not what was measured" in text
    assert r"\<b\>two\</b\> \| doors open" in text
    assert "| **billing** (billing 0.900) | **(failed)** | drift |" in text


def test_what_the_endpoint_takes_stands_beside_what_was_measured_offline():
    content = replace(content_served(), prices=PriceConfig())
    text = Page(render_html(content)).text
    assert "$0.0011 at the prices of the recipe; $0.0021 as served" in text
    assert "13 ms median; p95 18 ms; as served 28 ms, p95 40 ms" in text
    rows = build_view(content).rows
    assert [row.result.name for row in rows if row.served] == ["qlora"]
    assert "$0.0011 $0.0021 served 13 ms 28 ms served 18 ms 40 ms served" in text
    assert "| $0.0011 ($0.0021 served) | 13 ms (28 ms served) | 18 ms (40 ms served) |" in markdown(content)


def test_no_cost_is_computed_from_a_served_figure():
    priced = replace(make_content(), prices=PriceConfig())
    assert money_of(replace(priced, served=served())) == money_of(priced)


def test_the_cost_chart_compares_offline_costs_and_notes_the_served_one():
    content = content_served()
    chart = cost_chart(build_view(content).rows, metric="accuracy", width=900, name="cost")
    assert "qlora (winner, served)" in chart
    assert "at $0.0011 per 1,000 requests ($0.0021 as served)" in chart
    unserved = cost_chart(build_view(make_content()).rows, metric="accuracy", width=900, name="cost")
    assert unserved.count("as served") == 0


def test_a_measurement_without_load_is_shown_without_a_table():
    content = content_served(served(loads=()))
    assert 'class="load"' not in render_html(content)
    assert "requests/s" not in markdown(content)


@pytest.mark.parametrize(
    ("value", "shown"), [(0.424, "0.42"), (8.34, "8.3"), (1240.4, "1,240"), (99.6, "100"), (float("nan"), "\u2013")]
)
def test_throughput_in_words(value: float, shown: str):
    assert rate(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.000"), (0.00000042, "<0.000001"), (0.0000042, "0.000004"), (0.8731, "0.873"), (None, "\u2013")],
)
def test_probabilities_in_words(value: float | None, shown: str):
    assert probability(value) == shown
