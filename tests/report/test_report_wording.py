from dataclasses import replace

import pytest

from llmtl.decision.outcome import Verdict
from llmtl.decision.simultaneous import SimultaneousInterval
from llmtl.kinds.table import KINDS
from llmtl.report import wording
from llmtl.report.metric_words import Words
from llmtl.task import Metric
from tests.support.report_factory import make_content


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "$0"),
        (1e-9, "<$0.000001"),
        (0.0000042, "$0.0000042"),
        (0.0012, "$0.0012"),
        (0.0999, "$0.100"),
        (0.5, "$0.50"),
        (12.345, "$12.35"),
        (1234.5, "$1,234"),
        (float("nan"), "unknown"),
        (None, "unknown"),
    ],
)
def test_usd(value, shown):
    assert wording.usd(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.003, "<0.1 ms"), (0.41, "0.4 ms"), (9.96, "10 ms"), (12.2, "12 ms"), (999.4, "999 ms"), (1250, "1.2 s")],
)
def test_milliseconds(value, shown):
    assert wording.milliseconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.01, "<0.1 s"),
        (0.4, "0.4 s"),
        (12.2, "12 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ],
)
def test_duration(value, shown):
    assert wording.duration(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0421, "+0.042"), (-0.0421, "\u22120.042"), (-0.0001, "0.000"), (0.0, "0.000")]
)
def test_difference_has_a_sign_unless_it_rounds_to_zero(value, shown):
    assert wording.difference(value) == shown


def test_numbers_that_people_read_have_a_minus_sign_and_no_hyphen():
    assert Words(Metric.ACCURACY).bare(-0.0123) == "\u22121.2"
    assert Words(Metric.MACRO_F1).bare(-0.0123) == "\u22120.012"
    assert Words(Metric.ACCURACY).bare(-0.0001) == "0.0"


def test_what_nobody_measured_is_unknown_and_never_a_small_number():
    shown = (wording.milliseconds(None), wording.usd(None), wording.training_time(None), wording.memory(None))
    assert set(shown) == {"unknown"}
    assert (wording.training_time(0), wording.memory(0.994)) == ("none", "0.99 GiB")


@pytest.mark.parametrize(("kind", "metric"), [(kind, metric) for kind in KINDS for metric in kind.metrics])
def test_every_metric_of_every_kind_has_a_name_and_a_meaning(kind, metric):
    assert "_" not in wording.metric_name(metric.value)
    assert len(wording.metric_meaning(metric.value, kind)) > 20


def test_a_metric_keeps_its_own_spelling_at_the_beginning_of_a_line():
    assert [wording.capital(wording.metric_name(name)) for name in ("chrf", "micro_f1", "bleu")] == [
        "chrF",
        "Micro-F1",
        "BLEU",
    ]


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.1])
def test_a_p_value_near_the_threshold_shows_on_which_side_it_is(alpha):
    for step in range(-400, 401):
        value = alpha * (1 + step / 20_000)
        shown = float(wording.p_value(value, alpha))
        assert (shown <= alpha) == (value <= alpha)
        assert shown != alpha or value == alpha
    assert [wording.p_value(value) for value in (0.048, 0.052, 0.04996, 0.05004)] == [
        "0.048",
        "0.052",
        "0.04996",
        "0.05004",
    ]


def test_an_interval_that_excludes_zero_never_seems_to_reach_it():
    one = make_content().decision.comparisons[0]
    ends = SimultaneousInterval(0.0, 0.07, 0.95, 0.9875, excludes_zero=True)
    cut = replace(one, ci_simultaneous=ends)
    assert wording.difference_interval(cut) == "above 0 to +0.07"
    near = replace(one, ci_simultaneous=replace(ends, low=-0.07, high=-0.0004))
    assert wording.difference_interval(near) == "\u22120.07 to below 0"
    touching = replace(one, ci_simultaneous=replace(ends, excludes_zero=False))
    assert wording.difference_interval(touching) == "0.00 to +0.07"
    assert wording.difference_interval(replace(one, ci95=(-0.012, 0.07))) == "\u22120.01 to +0.07"


def test_small_formats():
    assert wording.rate(98_159_178.0) == ">100,000"
    assert wording.interval(0.8444, 0.9) == "0.84\u20130.90"
    assert wording.p_value(0.0004) == "<0.001"
    assert wording.p_value(0.0124) == "0.012"
    assert wording.p_value(0.0034) == "0.0034"
    assert wording.p_value(0.16) == "0.160"
    assert wording.target(0.85) == "0.85"
    assert wording.target(0.875) == "0.875"
    assert wording.usd_tick(0.00001) == "$0.00001"
    assert wording.plural(1, "example") == "1 example"
    assert wording.plural(12300, "request") == "12,300 requests"


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.ADOPT, "Adopt qlora"),
        (Verdict.TIE, "Tie: take qlora"),
        (Verdict.BASELINE, "Use the baseline: qlora"),
        (Verdict.INCONCLUSIVE, "Too close to call"),
    ],
)
def test_reason_does_not_repeat_the_verdict(verdict, words):
    content = make_content(verdict=verdict, reason=f"{words}: on 96 examples", opening=f"{words}: ")
    assert wording.verdict(content.decision) == words
    assert content.summary.below_verdict == "On 96 examples"


def test_a_reason_that_starts_with_a_name_keeps_its_case():
    assert make_content(reason="qlora wins").summary.below_verdict == "qlora wins"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2026-11-24T04:06:04+00:00", "24 November 2026, 04:06 UTC"),
        ("2026-01-02T01:30:00+02:00", "1 January 2026, 23:30 UTC"),
        ("2026-01-02T01:30:00", "2026-01-02T01:30:00"),
        ("then", "then"),
    ],
)
def test_moments_are_dates_in_words(written, said):
    assert wording.moment(written) == said
