import re
from dataclasses import replace

import numpy as np
import pytest

from llmtl.costs import PriceConfig, Spending, Spent
from llmtl.decision.config import DecisionConfig
from llmtl.decision.outcome import Verdict
from llmtl.decision.sensitivity import NoiseSensitivity, Rescored
from llmtl.judging.result import Judging
from llmtl.learning_curve import CurvePoint, LearningCurves, MeasuredCurve, conclude
from llmtl.report import wording
from llmtl.report.charts.cost_steps import steps_plot
from llmtl.report.charts.placing import Box
from llmtl.report.html import render_html
from llmtl.report.markdown_text import markdown
from llmtl.report.money import money_of, near
from tests.support.report_factory import make_content

SIZES = (10, 20, 40, 80, 160)


def curve(strategy: str, a: float, b: float) -> MeasuredCurve:
    scores = [1 - a * size**-b for size in SIZES]
    points = tuple(
        CurvePoint(size, score, (score - 0.08, score + 0.05)) for size, score in zip(SIZES, scores, strict=True)
    )
    return MeasuredCurve(strategy, points, 0.02**2 * np.eye(5), 200)


def curves() -> LearningCurves:
    level = MeasuredCurve("zero-shot", (CurvePoint(160, 0.5, (0.4, 0.6)),), np.array([[0.02**2]]), 200)
    return conclude(
        [curve("tfidf", 1.0, 0.15), curve("qlora", 1.4, 0.45)],
        metric="accuracy",
        target=0.9,
        margin=0.02,
        usd_per_label=0.3,
        prompting=[level],
        skipped={"few-shot": "its curve <would> take 9 minutes"},
    )


def content():
    noise = NoiseSensitivity(
        dev=("dev-1",),
        test=("test-3", "test-4"),
        verdict=Verdict.ADOPT,
        winner="qlora",
        scores=(Rescored("qlora", 0.9, 0.92), Rescored("tfidf", 0.5, 0.51)),
    )
    return replace(
        make_content(),
        prices=PriceConfig(usd_per_label=0.3, requests_per_month=50_000),
        limits=DecisionConfig(max_p95_ms=50, max_usd_per_1k=0.005, private=True),
        curves=curves(),
        noise=noise,
    )


def test_a_bill_adds_up():
    money = money_of(content())
    bills = {bill.result.name: bill for bill in money.bills}
    assert bills["few-shot"].fresh_tokens == 506 - 470
    assert bills["knn-few-shot"].fresh_tokens == 498 - 84
    assert bills["zero-shot"].labels == 48
    assert bills["tfidf"].labels == 160 + 48
    assert bills["tfidf"].labels_usd == (160 + 48) * 0.3
    assert round(bills["few-shot"].usd_per_month, 9) == round(50 * 0.0013, 9)
    assert round(bills["qlora"].requests_per_second, 6) == round(1000 / 12.9, 6)
    hosted = {item.name: item for item in money.hosted}
    few = money.prompted.index("few-shot")
    assert hosted["openai/gpt-4.1-mini"].usd_per_1k[few] == (506 * 0.40 + 2.4 * 1.60) / 1000


def test_limits_name_who_breaks_them():
    limits = {limit.name: limit for limit in money_of(content()).limits}
    assert limits["max_p95_ms"].broken_by == (("knn-few-shot", "94 ms"),)
    assert limits["max_usd_per_1k"].broken_by == (("knn-few-shot", "0.0062 USD"),)
    assert limits["private"].broken_by == ()
    assert "max_vram_gib" not in limits


def test_gpu_memory_counts_on_a_gpu_only():
    made = replace(content(), limits=DecisionConfig(max_vram_gib=0.5))
    assert money_of(made).limits[0].broken_by == ()
    on_gpu = tuple(replace(item, device="cuda") if item.strategy == "qlora" else item for item in made.evaluations)
    assert money_of(replace(made, evaluations=on_gpu)).limits[0].broken_by == (("qlora", "0.6 GiB"),)


def test_a_limit_shows_the_value_of_the_winner():
    limits = {limit.name: limit.winner for limit in money_of(content()).limits}
    assert limits == {"max_usd_per_1k": "0.0011 USD", "max_p95_ms": "18.4 ms", "private": "they stay"}
    page = render_html(content())
    assert all(f"<code>{name}</code>" in page for name in limits)


def test_a_value_that_nobody_measured_breaks_its_limit():
    made = content()
    results = tuple(replace(r, p95_ms=None) if r.name == "few-shot" else r for r in made.decision.strategies)
    made = replace(made, decision=replace(made.decision, strategies=results))
    limits = {limit.name: limit for limit in money_of(made).limits}
    assert ("few-shot", "unknown") in limits["max_p95_ms"].broken_by
    assert "unknown" in render_html(made)


def test_a_strategy_of_unknown_cost_has_no_bill_and_no_point():
    made = content()
    results = tuple(
        replace(r, usd_per_1k_requests=None, usd_total=None) if r.name == "few-shot" else r
        for r in made.decision.strategies
    )
    made = replace(made, decision=replace(made.decision, strategies=results))
    assert "few-shot" not in {bill.result.name for bill in money_of(made).bills}
    assert 'id="cost"' in render_html(made)
    nobody = tuple(replace(r, usd_per_1k_requests=None, usd_total=None) for r in made.decision.strategies)
    assert 'id="cost"' not in render_html(replace(made, decision=replace(made.decision, strategies=nobody)))


def test_what_deciding_cost_is_a_table_of_its_own():
    spending = Spending(
        fitting=Spent(240.0, 0.02), training_seeds=Spent(400.0, 0.03), dev=Spent(60.0, 1.25), refits=Spent()
    )
    made = content()
    made = replace(made, spending=spending)
    money = money_of(made)
    assert [(work.name.split(",")[0], work.time, work.usd) for work in money.spent] == [
        ("fitting every strategy once", "4 min 00 s", "$0.02"),
        ("fitting finalists again for further draws and testing them", "6 min 40 s", "$0.03"),
        ("scoring dev", "1 min 00 s", "$1.25"),
        ("loading models", "unknown", "unknown"),
        ("in all", "11 min 40 s", "$1.30"),
    ]
    assert [bill.fitting_usd for bill in money.bills] == [bill.fitting_usd for bill in money_of(content()).bills]
    assert "What this decision cost" in render_html(made)
    assert "11 min 40 s | $1.30" in markdown(made)
    assert "What this decision cost" not in render_html(content())


def test_what_refits_and_a_judge_took_is_shown_and_unknown_is_said():
    spending = Spending(fitting=Spent(240.0, 0.02), refits=Spent(90.0, 0.01), judge=Spent(None, 0.5))
    made = content()
    judging = Judging("m", "http://127.0.0.1/v1", "criteria", 0.05, unjudged="it is down")
    made = replace(made, spending=spending, judging=judging)
    shown = {work.name: (work.time, work.usd) for work in money_of(made).spent}
    assert shown["fitting and scoring again without labels that look wrong"] == ("1 min 30 s", "$0.01")
    assert shown["replies of the judge"] == ("unknown", "$0.50")
    assert shown["in all, as far as known"] == ("5 min 30 s", "$0.53")
    for text in (render_html(made), markdown(made)):
        assert "Waiting for a provider is added up" in text


def test_rows_that_were_fitted_again_are_marked():
    made = content()
    scores = (Rescored("qlora", 0.9, 0.92, refitted=True, seeds=3), Rescored("tfidf", 0.5, 0.51, refitted=True))
    noise = replace(made.noise, train=4, scores=(*scores, Rescored("zero-shot", 0.6, 0.6)))
    made = replace(made, noise=noise)
    page, text = render_html(made), markdown(made)
    for cells in (("qlora", "yes, 1 of 3 seeds"), ("tfidf", "yes"), ("zero-shot", "no")):
        assert f"| {' | '.join(cells)} |" in text
        assert re.search(rf'<th scope="row">{cells[0]}</th>\s*<td data-label="[^"]+">{cells[1]}</td>', page)
    assert "without the 4 suspects of train too" in text
    assert "without the 4 suspects of train too" in page
    assert "suspects of train too" not in markdown(content())


def test_costs_that_cross_far_from_the_expected_volume_are_not_told():
    assert near(100.0, 10_000.0)
    assert not near(99.0, 10_000.0)
    assert not near(1_000_001.0, 10_000.0)


@pytest.mark.parametrize(
    ("expected", "met"), [(50_000, ()), (50_000, (400_000.0, 4_900_000.0)), (1, (70.0,)), (1e9, ())]
)
def test_the_cost_chart_shows_the_expected_volume_and_crossings_and_little_else(expected, met):
    lines = money_of(content()).lines
    across = steps_plot(lines, expected, met, months=12, frame=Box(0, 0, 100, 100)).across
    low, high = min(expected, *met, expected), max(expected, *met, expected)
    assert across.low <= low <= high <= across.high
    assert across.high <= 50 * high
    assert across.low >= min(1.0, low / 50)
    for end in (across.low, across.high):
        assert f"{end:.0e}"[0] in "125"


def test_both_forms_round_the_same_amounts_and_the_slider_begins_at_the_stated_volume():
    made = content()
    money, text, page = money_of(made), markdown(made), render_html(made)
    bill = next(bill for bill in money.bills if bill.winner)
    assert wording.readable_usd(bill.serverless_usd) != wording.usd(bill.serverless_usd)
    row = next(line for line in text.splitlines() if line.startswith("| qlora |") and line.count("|") == 11)
    assert f"| {wording.readable_usd(bill.serverless_usd)} |" in row
    assert 'data-volume="50000' in page
    assert money.log_volumes == (pytest.approx(money.log_volume - 2), pytest.approx(money.log_volume + 2))


def test_without_prices_there_is_no_money_section():
    assert money_of(make_content()) is None
    assert 'id="money"' not in render_html(make_content())


def test_the_page_shows_curves_noise_and_money():
    page = render_html(content())
    for name in ("labels", "noise", "money"):
        assert f'id="{name}"' in page
    for name in ("learning-wide", "learning-narrow", "volume-wide", "volume-narrow"):
        assert f'aria-labelledby="{name}-title' in page
    assert "forecast-band" in page
    assert "its curve &lt;would&gt; take" in page
    assert "2 test examples whose labels look wrong, the verdict is the same: adopt, qlora." in page


def test_markdown_says_the_same():
    text = markdown(content())
    for heading in ("## How many labels", "## Labels that look wrong", "## Money and time", "### Constraints"):
        assert heading in text
    assert "640 (forecast)" in text
    assert r"max\_p95\_ms" in text


def test_a_month_at_other_volumes_and_utilisations_stands_in_a_table_and_has_sliders():
    """Each of 20 requests per second: a machine carries 10.5 million of them at a peak of 3 times the mean and 60%."""
    made = content()
    timed = tuple(
        replace(item, stated=None, device="cuda", seconds=item.n / 20) if item.strategy == "qlora" else item
        for item in made.evaluations
    )
    made = replace(made, evaluations=timed, prices=PriceConfig(requests_per_month=1_000_000, gpu="a10g"))
    money = money_of(made)
    [bill] = [bill for bill in money.bills if bill.winner]
    assert (bill.result.name, bill.machines, round(bill.usd_per_month, 2)) == ("qlora", 1, 734.38)
    assert [round(bill.at(volume) / 734.38) for volume in money.volumes] == [1, 1, 1, 10]
    assert round(bill.at(10_000_000, utilisation=0.5) / 734.38) == 2
    page = render_html(made)
    assert 'class="money-sliders" hidden' in page
    assert page.count("$7,344") >= 1
    assert "Requests per month: 1,000,000." in page
    assert "times the mean, 1.1 requests per second (assumed)." in page
    assert "GPU machine: g5.xlarge (Amazon EC2, one A10G 24 GB, Linux, us-east-1), $1.006 per hour" in page


@pytest.mark.parametrize(
    ("usd", "exact", "estimated"),
    [
        (0.0, "$0", "$0"),
        (1e-9, "less than 1 cent", "less than 1 cent"),
        (0.0999, "$0.10", "about $0.10"),
        (12.344, "$12.34", "about $12"),
        (734.38, "$734", "about $730"),
        (8812.6, "$8,813", "about $8,800"),
        (None, "unknown", "unknown"),
    ],
)
def test_amounts_are_those_that_a_person_reads(usd, exact, estimated):
    assert wording.readable_usd(usd) == exact
    assert wording.about_usd(usd) == estimated
