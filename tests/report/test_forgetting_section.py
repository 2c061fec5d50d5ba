"""The section on what fine-tuning forgot: its words for every case, its bars, and its place in page and Markdown."""

from dataclasses import replace

import pytest

from llmtl.decision.forgotten import HarderEnglish
from llmtl.measured.forgetting import Forgetting, HarderText, TaskShift
from llmtl.metrics.intervals import Interval
from llmtl.report.charts.forgetting_bars import forgetting_bars
from llmtl.report.forgetting_words import gist, harder_english, in_short, percent, sentences
from llmtl.report.html import render_html
from llmtl.report.markdown_text import markdown
from tests.support.report_factory import make_content

TASKS = (
    TaskShift("topic", 60, 6, 0.48, 0.30, Interval(-0.18, -0.3, -0.06), able=True),
    TaskShift("feeling", 60, 2, 0.52, 0.5, Interval(-0.02, -0.1, 0.06), able=False),
)


def forgot(rise, half=0.01, tasks=TASKS):
    around = Interval(rise, rise - half, rise + half)
    text = HarderText(200, 200, 9468, 3.8, 3.8 * (1 + rise), around, Interval(1.12, 1.08, 1.17))
    return Forgetting(text, tasks)


def content(rise):
    made = make_content()
    rows = tuple(
        replace(item, forgetting=forgot(rise)) if item.name == "qlora" else item for item in made.decision.strategies
    )
    return replace(made, decision=replace(made.decision, strategies=rows))


@pytest.mark.parametrize(
    ("rise", "half", "expected"),
    [
        (0.03, 0.02, "general English became 3% harder to predict (95% interval +1% to +5%)"),
        (
            -0.04,
            0.01,
            "general English became 4% easier to predict (95% interval \N{MINUS SIGN}5% to \N{MINUS SIGN}3%)",
        ),
        (
            0.004,
            0.01,
            "general English is about as easy to predict as before (+0.4%, 95% interval \N{MINUS SIGN}0.6% to +1%)",
        ),
    ],
)
def test_harder_easier_or_about_as_before(rise, half, expected):
    assert in_short(forgot(rise, half).text) == expected


def test_the_warning_names_the_worst_first():
    told = harder_english(HarderEnglish(("lora", "qlora"), (0.42, 0.13)))
    assert "42% by lora and 13% by qlora." in told
    assert "decision.max_forgetting" in told


def test_tasks_that_the_model_could_not_do_before_say_nothing_of_forgetting():
    lines = sentences({"qlora": forgot(0.03)})
    assert lines[1] == (
        "qlora: telling the topic of a text without examples went from 48% to 30% of 60 (worse: \N{MINUS SIGN}18 "
        "points, 95% interval \N{MINUS SIGN}30 to \N{MINUS SIGN}6)."
    )
    assert "no better than chance at telling pleased texts from others" in lines[2]
    assert len(lines) == 3
    assert len(sentences({"qlora": forgot(0.03), "lora": forgot(0.1)})) == 5


def test_page_and_markdown_have_the_section_where_something_was_measured():
    for written in (render_html(content(0.03)), markdown(content(0.03))):
        assert "What fine-tuning forgot" in written
        assert "general English became 3% harder to predict" in written
        assert "3.91 (+3%)" in written or "<svg" not in written
    assert "What fine-tuning forgot" not in render_html(make_content())
    assert "What fine-tuning forgot" not in markdown(make_content())


def test_bars_begin_at_zero_and_are_as_long_as_the_cross_entropies():
    drawn = str(forgetting_bars({"qlora": forgot(0.5), "lora": forgot(0.0)}, width=700, name="bars"))
    widths = [float(part.split('"')[0]) for part in drawn.split(' width="')[2:]]
    assert widths[1] / widths[0] == pytest.approx(1.5, rel=0.01)
    assert widths[2] == pytest.approx(widths[0], rel=0.01)
    assert forgetting_bars({}, width=700, name="bars") is None


def test_small_shares_keep_a_digit():
    assert [percent(share) for share in (0.0, 0.004, 0.03, 1.5)] == ["0%", "0.4%", "3%", "150%"]
    assert gist({"qlora": forgot(0.03), "lora": forgot(0.2)}) == "general English 20% harder to predict"
