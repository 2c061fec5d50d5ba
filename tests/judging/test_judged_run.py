"""A judge in a whole generation run: what is kept, what is asked again, and what the reports say."""

import json

import pytest

import llmtl
from llmtl.costs import Spent
from llmtl.errors import HostedError
from llmtl.judging.result import JUDGING
from llmtl.kinds.generation import GENERATION
from llmtl.pipeline.report import report_content, summary_notes
from llmtl.pipeline.second_opinion import judged_examples
from llmtl.report.judging import judging_to_json, sentence
from llmtl.settings import load_recipe
from llmtl.store import read_json, read_json_lines
from llmtl.task import Example
from tests.support.hosted_server import error, hosted_server
from tests.support.judges import longer, says, shown

NAMES = ("Tom", "Anna", "Maria", "Peter", "Eve", "Paul", "Nora", "Ben", "Rita", "Hugo")
PLACES = ("Paris", "the market", "the office", "July Street", "the old bridge", "the station")


@pytest.fixture
def server():
    with hosted_server(longer) as server:
        yield server


@pytest.fixture
def make_recipe(tmp_path, server):
    """Return a function that writes a recipe of two baselines and a judge, and returns its file."""
    rows = [(f"name[{name}], place[{place}]", f"{name} is at {place} now.") for name in NAMES for place in PLACES]
    lines = [json.dumps({"text": text, "label": reference}) for text, reference in rows]
    (tmp_path / "data.jsonl").write_text("\n".join(lines))

    def make(**judge):
        price = {"usd_per_million_prompt_tokens": 1.0, "usd_per_million_completion_tokens": 2.0}
        endpoint = {"base_url": server.url, "model": "m", "api_key_env": None, "max_retries": 0}
        document = {
            "name": "told",
            "data": {"path": "data.jsonl", "near_duplicate_threshold": 1.0},
            "task": {"kind": "generation"},
            "model": {"name": "pocket-llama"},
            "strategies": {"run": ["majority", "nearest"]},
            "decision": {"resamples": 1000},
            "learning_curve": {"enabled": False},
            "judge": endpoint | price | judge,
        }
        (tmp_path / "recipe.yaml").write_text(json.dumps(document))
        return tmp_path / "recipe.yaml"

    return make


def test_the_opinion_is_kept_shown_and_not_asked_for_twice(server, make_recipe, tmp_path):
    run = llmtl.run(make_recipe(), out=tmp_path / "run")
    judging = JUDGING.validate_python(read_json(run.folder / "judging.json"))
    [found] = judging.opinion.comparisons
    test = [item for item in run.evaluations if item.split == "test"]
    assert judging.examples == judging.of == test[0].n
    assert {found.a, found.b} == {"majority", "nearest"}
    asked = len(server.bodies)
    assert judging.opinion.spent.requests == asked == 2 * (judging.of - found.identical) > 0
    rows = read_json_lines(run.folder / "judging.jsonl")
    assert len(rows) == judging.of
    answers = {item.strategy: item.answers for item in test}
    for row, a, b in zip(rows, answers[found.a], answers[found.b], strict=True):
        assert row["outcome"] == ("tie" if len(a) == len(b) or a == b else "a" if len(a) > len(b) else "b")
    for report in ("report.md", "report.html"):
        text = (run.folder / report).read_text()
        assert "Second opinion: a judge" in text
        assert "does not change the verdict" in text
    assert sentence(report_content(run).judging) in summary_notes(report_content(run))

    again = llmtl.run(make_recipe(max_usd=5.0, requests_per_minute=600), out=tmp_path / "run")
    assert len(server.bodies) == asked
    assert again.decision == run.decision
    assert read_json(run.folder / "judging.json") == judging_to_json(judging, run.decision)
    llmtl.run(make_recipe(criteria="Be brief."), out=tmp_path / "run")
    assert len(server.bodies) == 2 * asked


def test_a_preference_against_the_winner_is_a_warning_and_no_other_verdict(server, make_recipe, tmp_path):
    file = make_recipe()
    with_judge = file.read_text()
    without = {name: section for name, section in json.loads(with_judge).items() if name != "judge"}
    file.write_text(json.dumps(without))
    plain = llmtl.run(file, out=tmp_path / "plain")
    assert plain.decision.winner == "nearest"
    [constant] = {row["prediction"] for row in read_json_lines(plain.folder / "predictions" / "majority.test.jsonl")}
    server.answer = lambda body: says("AB"[shown(body).index(constant)])
    file.write_text(with_judge)
    judged = llmtl.run(file, out=tmp_path / "judged")
    assert (judged.decision.verdict, judged.decision.winner) == (plain.decision.verdict, plain.decision.winner)
    [warning] = set(judged.summary.warnings) - set(plain.summary.warnings)
    assert "prefers majority to the winner, nearest" in warning
    assert "prefers majority to the winner, nearest" in (judged.folder / "decision.json").read_text()
    titled = "prefers Most frequent answer to the winner, Answer of the most similar input"
    for name in ("report.md", "report.html"):
        assert titled in (judged.folder / name).read_text()
    assert not (plain.folder / "judging.json").exists()
    assert "Second opinion" not in (plain.folder / "report.html").read_text()
    file.write_text(json.dumps(without))
    llmtl.run(file, out=judged.folder)
    assert not (judged.folder / "judging.json").exists()


def test_a_judge_that_cannot_be_asked_costs_no_verdict_and_is_asked_again(server, make_recipe, tmp_path):
    server.answer = lambda body: error(401, "bad key")
    run = llmtl.run(make_recipe(), out=tmp_path / "run")
    assert run.decision.winner == "nearest"
    assert [line for line in run.summary.warnings if "gave no opinion" in line and "refuses the key" in line]
    assert "gave no opinion" in (run.folder / "report.html").read_text()
    server.answer = longer
    again = llmtl.run(make_recipe(), out=tmp_path / "run")
    assert not [line for line in again.summary.warnings if "gave no opinion" in line]
    assert read_json(run.folder / "judging.json")["opinion"]["comparisons"]


def test_the_fees_of_a_judge_are_in_what_the_decision_cost_and_counted_once(server, make_recipe, tmp_path):
    each = (200 * 1.0 + 6 * 2.0) / 1e6  # of every reply of `says`, at the prices of the recipe
    server.answer = lambda body: longer(body) if len(server.bodies) <= 7 else error(401, "gone")
    failed = llmtl.run(make_recipe(concurrency=1), out=tmp_path / "run")
    assert failed.result.spending.judge.usd == pytest.approx(7 * each)
    assert failed.result.spending.judge.seconds > 0
    server.answer, server.bodies = longer, []
    run = llmtl.run(make_recipe(), out=tmp_path / "run")
    spent = JUDGING.validate_python(read_json(run.folder / "judging.json")).opinion.spent
    assert spent.requests == 7 + len(server.bodies)
    assert run.result.spending.judge == Spent(spent.seconds, pytest.approx(spent.requests * each))
    assert run.result.spending.total.usd > spent.usd
    assert llmtl.run(make_recipe(), out=tmp_path / "run").result.spending == run.result.spending
    for name in ("report.md", "report.html"):
        assert "replies of the judge" in (run.folder / name).read_text()


def test_a_missing_key_is_said_before_the_run_costs_anything(make_recipe, tmp_path, monkeypatch):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with pytest.raises(HostedError, match="set the environment variable JUDGE_KEY"):
        llmtl.run(make_recipe(api_key_env="JUDGE_KEY"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_judged_sample_is_bounded_seeded_and_of_independent_examples(make_recipe):
    examples = [Example(str(n), f"input {n}", "x", group=str(n // 3) if n < 30 else None) for n in range(60)]
    most = load_recipe(make_recipe()).judge.max_examples
    everyone = judged_examples(examples, most, seed=0, kind=GENERATION)
    assert len(everyone) == 10 + 30
    assert len({example.group or example.id for example in everyone}) == len(everyone)
    some = judged_examples(examples, 12, seed=0, kind=GENERATION)
    assert (len(some), judged_examples(examples, 12, seed=0, kind=GENERATION)) == (12, some)
    assert set(some) <= set(everyone)
    assert judged_examples(examples, 12, seed=1, kind=GENERATION) != some
