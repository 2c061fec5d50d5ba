import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from llmtl.progress import Progress
from llmtl.report import TerminalProgress, print_verdict
from llmtl.strategy import Role
from tests.support.report_factory import VARIANTS, hostile, make_content


def plain_console(width=80):
    return Console(file=io.StringIO(), width=width, color_system=None)


def printed(content, width=80):
    console = plain_console(width)
    print_verdict(content.decision, content.summary, console=console)
    return console.file.getvalue()


@pytest.mark.parametrize("variant", VARIANTS)
def test_verdict_fits_eighty_columns_and_names_every_strategy(variant):
    content = VARIANTS[variant]()
    text = printed(content)
    assert max(map(len, text.splitlines())) <= 80
    assert "\u2026" not in text
    for result in content.decision.strategies:
        assert result.name in text


def test_a_cascade_has_its_name_in_two_lines():
    content = make_content()
    results = tuple(
        replace(each, name="tfidf-else-knn-few-shot", role=Role.CASCADE) if each.name == "few-shot" else each
        for each in content.decision.strategies
    )
    text = printed(replace(content, decision=replace(content.decision, strategies=results)))
    assert max(map(len, text.splitlines())) <= 80
    assert "\u2026" not in text
    assert re.search(r"tfidf-else- .*\n +knn-few-shot", text)


def test_verdict_shows_score_interval_target_and_reasons():
    text = printed(make_content())
    assert "Use qlora: right 96 times in 100, above your target of 85" in " ".join(text.replace("\u2502", "").split())
    assert re.search(r"\* +qlora\s+0\.958 0\.90\u20130\.98\s+0\.958\s+\$0\.0011\s+18 ms\s+3 min 20 s", text)
    assert "Target 0.85: met." in text
    assert "What would change it" in text


def test_markup_in_texts_is_printed_as_it_is():
    assert "[red]reason[/red]" in printed(hostile())


def test_ineligible_strategies_are_marked():
    text = printed(VARIANTS["failures"]())
    assert re.search(r"^ *x +knn-few-shot", text, re.MULTILINE)
    assert "* winner, x not eligible" in text


def test_only_marks_that_are_there_are_explained():
    assert "x not eligible" not in printed(make_content())


def test_progress_without_a_terminal_prints_start_and_end():
    console = plain_console()
    progress: Progress = TerminalProgress(console)
    with progress.stage("few-shot: dev [48]", total=48) as advance:
        advance(40)
        progress.say("Chosen: [bold]8[/bold] demonstrations")
        advance(8)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "few-shot: dev [48]: 48 to do"
    assert lines[1] == "Chosen: [bold]8[/bold] demonstrations"
    assert re.fullmatch(r"few-shot: dev \[48\]: 48 in <?0\.\d s", lines[2])


def test_progress_says_where_work_stopped():
    console = plain_console()
    progress = TerminalProgress(console)

    def work():
        with progress.stage("training", 60) as advance:
            advance(12)
            raise ValueError("out of data")

    with pytest.raises(ValueError, match="out of data"):
        work()
    assert "training: stopped at 12 of 60 after" in console.file.getvalue()


def test_progress_on_a_terminal_draws_bars_and_leaves_lines():
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    with TerminalProgress(console) as progress:
        with progress.stage("outer", 2) as outer, progress.stage("inner", 10) as inner:
            inner(10)
            outer(1)
            progress.say("half way")
        with progress.stage("again", 1) as advance:
            advance(1)
    text = console.file.getvalue()
    assert "left" in text
    ends = re.findall(r"(outer|inner|again): (\d+) in", text)
    assert ends == [("inner", "10"), ("outer", "1"), ("again", "1")]
    assert "half way" in text


def test_the_terminal_has_the_three_most_important_lines_to_read_with_care():
    said = printed(make_content(warnings=("first", "second", "third", "fourth", "fifth")))
    assert "third" in said
    assert "fourth" not in said
    assert "2 more in the report." in said
