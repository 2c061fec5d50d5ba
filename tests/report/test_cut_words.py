"""Fits that their time limit stopped, in sentences, tables and charts."""

from dataclasses import replace

import pytest
from rich.console import Console

from llmtl.decision.choice import choose
from llmtl.decision.cut_rivals import CutRival
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Decision
from llmtl.findings import Cut, Unit
from llmtl.report import markdown
from llmtl.report.cut_words import open_question, stopped, told_together, warning
from llmtl.report.decision_file import from_json, to_json
from llmtl.report.html import render_html
from llmtl.report.metric_words import Words
from llmtl.report.sentences import summarize
from llmtl.report.terminal import print_verdict
from llmtl.task import Metric
from tests.support.decision_worlds import CONFIG, PRICES, TASK, evaluation, exactly
from tests.support.report_factory import make_content

RISING = Cut(1.24, 10, Unit.EPOCHS, improving=True)
RIVAL = CutRival("qlora", (RISING,), 0.083, "test", improving=True, more_seconds=720.0)


def decided(*cuts: Cut, qlora: float = 0.6) -> Decision:
    def measured(split):
        of_qlora = {"cuts": cuts, "train_seconds": 60.0}
        right = {"tfidf": 0.8, "qlora": qlora}
        return [
            evaluation(name, exactly(share, 100), split=split, **(of_qlora if name == "qlora" else {}))
            for name, share in right.items()
        ]

    choice = choose(TASK, measured("dev"), config=CONFIG, prices=PRICES, written_at="now")
    return decide(TASK, choice, dev=measured("dev"), test=measured("test"), config=CONFIG, prices=PRICES)


@pytest.mark.parametrize(
    ("cuts", "said"),
    [
        ((), ""),
        ((RISING,), "stopped after 1.2 of 10 epochs"),
        ((replace(RISING, done=0.02),), "stopped after 0.1 of 10 epochs"),
        ((replace(RISING, done=9.98),), "stopped after 9.9 of 10 epochs"),
        ((Cut(640, 2000, Unit.EXAMPLES),), "stopped after 640 of 2,000 training examples"),
        ((Cut(3, 8, Unit.PROMPTS),), "stopped after 3 of 8 prompts"),
        (
            (Cut(640, 2000, Unit.EXAMPLES), Cut(5, 72, Unit.SETTINGS)),
            "stopped after 640 of 2,000 training examples and 5 of 72 settings",
        ),
    ],
)
def test_how_far_a_fit_came(cuts, said):
    assert stopped(cuts) == said


@pytest.mark.parametrize(
    ("improving", "outlook"),
    [
        (True, "it was still improving on dev and could be better with more time"),
        (False, "it had stopped improving on dev, so more time would hardly help"),
        (None, "it could be better with more time"),
    ],
)
def test_what_more_time_may_bring(improving, outlook):
    [said] = told_together({"qlora": (replace(RISING, improving=improving),)})
    assert said == f"qlora reached its time limit and stopped after 1.2 of 10 epochs: {outlook}."


def test_who_was_cut_with_the_same_outlook_shares_a_sentence():
    unknown, flat = replace(RISING, improving=None), replace(RISING, improving=False)
    assert told_together({"setfit": (unknown,), "qlora": (flat,), "encoder": (unknown,)}) == [
        f"setfit ({stopped((unknown,))}) and encoder ({stopped((unknown,))}) reached their time limits: each could be "
        "better with more time.",
        f"qlora reached its time limit and {stopped((flat,))}: it had stopped improving on dev, so more time would "
        "hardly help.",
    ]


@pytest.mark.parametrize(
    ("rival", "said"),
    [
        (
            RIVAL,
            "qlora might have won with more time: it stopped after 1.2 of 10 epochs, still improving on dev, and "
            "scored 8.3 points less than tfidf on test. Fitting it to the end would take about 12 minutes longer; "
            "raise --budget-minutes to see.",
        ),
        (
            replace(RIVAL, cuts=(Cut(3, 8, Unit.PROMPTS),), gap=0.0, improving=False, more_seconds=None),
            "qlora might have won with more time: it stopped after 3 of 8 prompts and scored the same as tfidf "
            "on test; what the rest would have brought is not known. Raise --budget-minutes to see.",
        ),
    ],
)
def test_a_rival_that_might_have_won_is_warned_of(rival, said):
    assert warning(rival, Words(Metric.ACCURACY), "tfidf") == said


def test_the_reason_of_the_verdict_says_so_too():
    found = summarize(decided(RISING))
    assert found.reason.endswith(" But qlora was stopped by the time limit and might have won with more time.")
    assert any(line.startswith("qlora might have won with more time: it stopped after 1.2") for line in found.warnings)
    assert not any("reached its time limit" in line for line in found.reasons)


def test_one_that_could_not_have_won_is_named_among_the_reasons_alone():
    found = summarize(decided(replace(RISING, improving=False)))
    assert "stopped" not in found.reason
    assert told_together({"qlora": (replace(RISING, improving=False),)})[0] in found.reasons
    assert not any("more time" in line for line in found.warnings)


def test_nothing_is_said_where_nothing_was_cut():
    found = decided()
    assert open_question(found) == ""
    assert "time limit" not in " ".join([*summarize(found).reasons, *summarize(found).warnings])


def test_decision_json_keeps_it():
    found = decided(RISING)
    assert from_json(to_json(found, summarize(found))) == found


def test_tables_and_charts_mark_it():
    content = make_content()
    cut = tuple(replace(item, cuts=(RISING,)) if item.name == "qlora" else item for item in content.decision.strategies)
    content = replace(content, decision=replace(content.decision, strategies=cut))
    page = render_html(content)
    assert "winner, chosen on dev; stopped after 1.2 of 10 epochs" in page
    assert page.count('class="ring"') == 5  # two charts in two widths, and the key
    assert "</svg> stopped by its time limit" in page
    assert "Training stopped after 1.2 of 10 epochs, at its time limit." in page
    assert "winner, chosen on dev; stopped after 1.2 of 10 epochs" in markdown(content)
    console = Console(width=100)
    with console.capture() as shown:
        print_verdict(content.decision, content.summary, console=console)
    lines = " ".join(shown.get().split())
    assert "3 min 20 s, cut" in lines
    assert "cut: stopped by its time limit" in lines


def test_nothing_is_marked_where_nothing_was_cut():
    page = render_html(make_content())
    assert 'class="ring"' not in page
    assert "time limit" not in page
