"""What the tabs write, without a browser: bars, filters, escaping, and what a run adds."""

import json
import re
import shutil
from dataclasses import replace

import pytest

import llmtl
from llmtl.costs import MemberUse
from llmtl.decision.outcome import Dropped
from llmtl.errors import RunError
from llmtl.measured.endpoint import SERVED, SERVING_FILE, Load, Parity, Served
from llmtl.pipeline.playground import playground_content
from llmtl.pipeline.report import report_content
from llmtl.playground.cost import price
from llmtl.playground.decision_tab import cost_page, decision_page, figures_page
from llmtl.playground.errors_tab import errors_page
from llmtl.playground.http_client import ServedAnswer, ServedModel, ServedTask
from llmtl.playground.page_content import PlaygroundContent, StrategyCost, TestRow
from llmtl.playground.right_answers import WasAsked
from llmtl.playground.style import head
from llmtl.playground.try_tab import asking, split_bars
from llmtl.report.money import money_of
from llmtl.report.palette import COLOURS
from llmtl.store import write_json
from tests.support.canned_server import canned
from tests.support.pages import write_desk

ROWS = (
    TestRow("1", "all well", "a", "a", 0.9),
    TestRow("2", "the Wifi <b>", "a", "b", 0.6),
    TestRow("3", "a pillow", "b", "c", 0.95),
    TestRow("4", "cut off", "b", None, None),
)
TASK = ServedTask(
    task="desk",
    model="desk",
    strategy="tfidf",
    labels=("a", "b"),
    strategies=(ServedModel("desk", "tfidf"), ServedModel("desk/zero-shot", "zero-shot")),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a real run of the two baselines."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "recipe.yaml").write_text(
        "name: front-desk\ndata: {path: desk.csv}\nmodel: {name: pocket-llama}\nstrategies: {run: [majority, tfidf]}\n"
    )
    write_desk(folder / "desk.csv")
    return llmtl.run(folder / "recipe.yaml", out=folder / "run")


@pytest.fixture(scope="module")
def report(run):
    """Return what the report of the run shows."""
    return report_content(run)


class Known:
    """An endpoint that answers with the model's name."""

    def __init__(self):
        self.asked = []

    def answer(self, text, model):
        self.asked.append((text, model))
        return ServedAnswer(model, {"a": 0.25, "b": 0.75}, 12.0, f"prompt of {text}")


def texts(page):
    return re.findall(r'class="lt-text">([^<]*)<', page)


def test_what_is_not_sure_enough_is_sent_to_a_person():
    class Unsure(Known):
        def answer(self, text, model):
            return ServedAnswer("b", {"a": 0.45, "b": 0.55}, 12.0, None, confidence=0.55, abstain=text == "odd")

    content = PlaygroundContent("http://h/v1", TASK)
    ask = asking(content, Unsure())
    assert "Send to a person: it is only 55.0% sure" in list(ask("odd", "nothing"))[-1].page
    sure = list(ask("clear", "nothing"))[-1].page
    assert "Send to a person" not in sure
    assert "without a person" in sure


def test_wrong_predictions_are_listed_with_the_surest_first():
    page = errors_page(ROWS)
    assert texts(page) == ["a pillow", "the Wifi &lt;b&gt;", "cut off"]
    assert "3 of 4 test predictions are wrong" in page
    assert re.findall(r'data-row="(\d+)"', page) == ["2", "1", "3"]


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({"reference": "a"}, ["the Wifi &lt;b&gt;"]),
        ({"predicted": "c"}, ["a pillow"]),
        ({"predicted": "(failed)"}, ["cut off"]),
        ({"contains": " wifi "}, ["the Wifi &lt;b&gt;"]),
        ({"reference": "b", "predicted": "b"}, []),
    ],
)
def test_filters_narrow_the_list(filters, left):
    page = errors_page(ROWS, **filters)
    assert texts(page) == left
    assert f"{len(left)} of the 3 wrong predictions match" in page


def test_a_long_list_is_cut_and_says_so():
    many = [TestRow(str(n), f"message {n}", "a", "b", n / 1000) for n in range(200)]
    page = errors_page(many)
    assert len(texts(page)) == 60
    assert "the 60 surest are shown" in page
    assert texts(page)[0] == "message 199"


def test_bars_are_sorted_and_the_least_likely_folded_away():
    shown, rest = split_bars({f"l{n}": n / 100 for n in range(13)})
    assert [label for label, _ in shown] == [f"l{n}" for n in range(12, 2, -1)]
    assert [label for label, _ in rest] == ["l2", "l1", "l0"]


def test_two_strategies_are_asked_one_after_the_other_and_shown_side_by_side():
    endpoint = Known()
    steps = list(asking(PlaygroundContent("http://h/v1", TASK), endpoint)("hello <b>", "zero-shot"))
    pages = [step.page for step in steps]
    assert endpoint.asked == [("hello <b>", "desk"), ("hello <b>", "desk/zero-shot")]
    assert [page.count("Asking") for page in pages] == [1, 1, 0]
    assert [step.asked for step in steps] == [None, WasAsked("hello <b>", "desk"), WasAsked("hello <b>", "desk")]
    last = pages[-1]
    assert re.findall(r'class="lt-label">([^<]*)<', last) == ["desk", "desk/zero-shot"]
    assert "prompt of hello &lt;b&gt;" in last
    assert "<b>" not in last


def test_a_blank_message_is_not_sent():
    endpoint = Known()
    [step] = asking(PlaygroundContent("http://h/v1", TASK), endpoint)(" \n", "nothing")
    assert "Write a message first." in step.page
    assert endpoint.asked == []


def test_content_without_a_run_has_no_rows_and_keeps_the_key_out_of_its_text():
    content = PlaygroundContent("http://h/v1", TASK, api_key="sesame")
    assert content.rows == ()
    assert "sesame" not in repr(content)
    assert cost_page(content, content.prices) == ""


def test_rows_pair_the_test_examples_with_the_served_strategys_predictions(report):
    content = PlaygroundContent("http://h/v1", TASK, report=report)
    test = next(e for e in report.evaluations if (e.strategy, e.split) == ("TF-IDF and logistic regression", "test"))
    assert [(row.id, row.reference, row.prediction) for row in content.rows] == [
        (example.id, reference, prediction.answer)
        for example, reference, prediction in zip(report.test_examples, test.references, test.predictions, strict=True)
    ]
    other = replace(content, task=replace(TASK, strategy="majority"))
    assert {row.prediction for row in other.rows} == {other.rows[0].prediction}


def served(*rates):
    """Return a measurement of a live server with one load for each rate."""
    return Served(
        task="front-desk",
        strategy="tfidf",
        engine="llmtl 0.1.0",
        device="cpu",
        measured_at="2026-11-23T18:00:00+00:00",
        parity=Parity(compared=96, agreed=96, required=0.995, passed=True, largest_difference=0.0),
        loads=tuple(
            Load(concurrency=n, requests=200, errors=0, p50_ms=12.0, p95_ms=30.0, requests_per_second=rate)
            for n, rate in enumerate(rates, start=1)
        ),
        usd_per_1k_requests=0.00001,
    )


def test_the_decision_pages_show_every_strategy_and_what_was_served(report):
    assert "Use TF-IDF and logistic regression: right " in decision_page(report)
    assert "have not been measured yet" in figures_page(report)
    page = figures_page(replace(report, served=served(321.0)))
    for figure in ("Most frequent answer", "TF-IDF and logistic regression", "12 ms", "30 ms", "321", "0 of 200"):
        assert figure in page, figure


def test_what_left_the_race_is_said_to_have_no_price_and_no_test_score(report):
    majority, tfidf = report.decision.strategies
    left = Dropped(
        "Most frequent answer",
        n_seen=50,
        n=64,
        against="TF-IDF and logistic regression",
        score=0.1,
        against_score=0.5,
        expected=0.1,
    )
    choice = replace(report.decision.choice, dropped=(left,))
    decision = replace(report.decision, strategies=(replace(majority, test=None), tfidf), choice=choice)
    raced = replace(report, decision=decision)
    assert '<small class="lt-narrow-note">left the race after 50 of 64</small>' in figures_page(raced)
    assert "lt-narrow-note" not in figures_page(report)
    one = StrategyCost("TF-IDF and logistic regression", "baseline", MemberUse("tfidf", 1, 0.001, 1.0))
    content = PlaygroundContent("http://x/v1", TASK, report=raced, costs=(one,))
    assert "Left out: Most frequent answer, which left the race before test" in cost_page(content, content.prices)
    both = replace(content, costs=(one, replace(one, name="Most frequent answer")))
    assert "Left out" not in cost_page(both, content.prices)


def test_content_prices_strategies_as_the_report_and_the_decision_do_served_or_not(run, tmp_path):
    copied = tmp_path / "run"
    shutil.copytree(run.folder, copied)
    write_json(copied / SERVING_FILE, SERVED.dump_python(served(10.0, 40.0, 20.0), mode="json"))
    task = {"task": "front-desk", "model": "front-desk", "strategy": "tfidf", "labels": list(run.task.labels)}
    with canned(200, task) as url:
        content = playground_content(url, run=llmtl.load_run(copied), api_key="k")
    assert (content.base_url, content.api_key, content.task.labels) == (url, "k", run.task.labels)
    assert content.corrections == copied / "corrections.jsonl"
    costs = {cost.name: price(cost, content.prices) for cost in content.costs}
    assert list(costs) == ["Most frequent answer", "TF-IDF and logistic regression"]
    bills = {bill.result.name: bill for bill in money_of(content.report).bills}
    written = {item["name"]: item for item in json.loads((run.folder / "decision.json").read_text())["strategies"]}
    for name, priced in costs.items():
        kept = written[content.report.codes[name]]
        assert priced.month == kept["usd_per_month"] == bills[name].usd_per_month
        assert priced.machines == kept["machines"] == bills[name].machines == 1
        assert priced.in_all == pytest.approx(kept["usd_total"])


class Answers:
    """An endpoint that gives each model's answer."""

    def __init__(self, **answers):
        self.answers = answers

    def answer(self, text, model):
        return self.answers[model.rpartition("/")[2].replace("-", "_")]


def test_a_card_has_a_title_with_the_name_in_small_type_and_says_where_a_rare_label_won():
    endpoint = Answers(
        desk=ServedAnswer("b", {"a": 0.6, "b": 0.4}, 2.0, None),
        zero_shot=ServedAnswer("a", {"a": 0.6, "b": 0.4}, 9.0, "p"),
    )
    page = list(asking(PlaygroundContent("http://x/v1", TASK), endpoint)("hello", "zero-shot"))[-1].page
    mine, other = page.split("</article>")[:2]
    assert "<h2>TF-IDF and logistic regression <small>tfidf</small></h2>" in mine
    assert "<h2>Prompt without examples <small>zero-shot</small></h2>" in other
    assert "Another label is more probable" in mine
    assert "Another label is more probable" not in other
    assert re.search(r'<tr class="lt-top">\s*<th scope="row">b<', mine)
    assert re.search(r'<tr class="lt-top">\s*<th scope="row">a<', other)


def test_a_run_of_another_task_is_refused(run):
    task = {"task": "other", "model": "other", "strategy": "tfidf", "labels": ["a", "b"]}
    with canned(200, task) as url, pytest.raises(RunError, match="is a run of task 'front-desk'"):
        playground_content(url, run=run)


def test_the_style_sheet_has_every_colour_that_it_uses_light_and_dark():
    style = head()
    used = set(re.findall(r"var\(--([\w-]+)\)", style))
    assert used - set(COLOURS) == {"tone", "mark", "share"}
    for name, pair in COLOURS.items():
        assert all(style.count(f" --{name}: {colour};") == 1 for colour in pair)
