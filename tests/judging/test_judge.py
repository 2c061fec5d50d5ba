"""A judge behind a real HTTP server: both orders, unreadable replies, cache, limits, and what cannot be asked."""

import json

import pytest

from llmtl.engines.openai.replies import ReplyCache
from llmtl.errors import HostedError
from llmtl.judging.asking import SCHEMA, Brief
from llmtl.judging.config import JudgeConfig
from llmtl.judging.judge import Judge, verdict_rows
from llmtl.judging.pairs import Contest
from llmtl.progress import Silent
from llmtl.task import Example
from tests.support.hosted_server import completion, error, hosted_server
from tests.support.judges import longer, says, shown

EXAMPLES = tuple(Example(str(n), f"input {n}", f"reference {n}") for n in range(6))
OUTPUTS = (("long one", "short"), ("no", "longer"), ("same", "same"), (None, "x"), ("12345", "54321"), ("abc", "ab"))
CONTEST = Contest("qlora", "nearest", OUTPUTS)
BRIEF = Brief("Tell it.", "Be right.", show_references=True)


@pytest.fixture
def server():
    with hosted_server(longer) as server:
        yield server


@pytest.fixture
def ask(server):
    """Return a function that asks a new judge about contests and returns what it said."""

    def asked(*contests, cache=None, **changes):
        settings = {"base_url": server.url, "model": "m", "api_key_env": None, "max_retries": 0, "temperature": 0.0}
        prices = {"usd_per_million_prompt_tokens": 2.0, "usd_per_million_completion_tokens": 10.0}
        judge = Judge(JudgeConfig(**(settings | prices | changes)), BRIEF, ReplyCache() if cache is None else cache)
        try:
            return judge.ask(EXAMPLES, contests or (CONTEST,), Silent())
        finally:
            judge.close()

    return asked


def test_every_pair_is_asked_in_both_orders_and_counted(server, ask):
    opinion, [judged] = ask()
    [found] = opinion.comparisons
    assert sorted(map(shown, server.bodies)) == sorted(
        pair for a, b in (OUTPUTS[0], OUTPUTS[1], OUTPUTS[4], OUTPUTS[5]) for pair in ((a, b), (b, a))
    )
    assert (found.wins, found.losses, found.ties, found.failures) == (2, 2, 2, 0)
    assert (found.identical, found.unanswered, found.consistency) == (1, 1, 1.0)
    assert [item.outcome.value for item in judged] == ["a", "b", "tie", "b", "tie", "a"]
    body = server.bodies[0]
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert (body["model"], body["temperature"], "logprobs" in body) == ("m", 0.0, False)
    assert not {"qlora", "nearest"} & set(json.dumps(body["messages"]).replace('"', " ").split())
    assert opinion.constrained


def test_what_it_took_is_measured_and_was_forecast(server, ask):
    opinion, _ = ask()
    spent = opinion.spent
    assert (spent.requests, spent.prompt_tokens, spent.completion_tokens) == (8, 8 * 200, 8 * 6)
    assert spent.usd == pytest.approx((8 * 200 * 2.0 + 8 * 6 * 10.0) / 1e6)
    letters = sum(len(turn["content"]) for body in server.bodies for turn in body["messages"])
    assert opinion.forecast_usd == pytest.approx((letters / 4 * 2.0 + 8 * 64 * 10.0) / 1e6, rel=0.01)


def test_a_judge_that_leans_to_the_first_place_prefers_nobody(server, ask):
    server.answer = lambda body: says("A")
    [found] = ask()[0].comparisons
    assert (found.wins, found.losses, found.ties, found.consistency) == (0, 1, 5, 0.0)
    assert found.preferred(0.05) is None


def test_an_unreadable_reply_is_a_failure_and_no_tie(server, ask):
    server.answer = lambda body: completion("I cannot say.") if shown(body)[0] == "abc" else longer(body)
    opinion, [judged] = ask()
    [found] = opinion.comparisons
    assert (found.wins, found.losses, found.ties, found.failures) == (1, 2, 2, 1)
    assert found.consistency == 1.0
    row = verdict_rows(EXAMPLES, (CONTEST,), [judged])[5]
    expected = {"id": "5", "a": "qlora", "b": "nearest", "outcome": "failure", "asked": True}
    assert row == expected | {"a_shown_first": None, "b_shown_first": "B"}


def test_a_server_without_schemas_is_read_all_the_same(server, ask):
    def plain(body):
        return error(400, "response_format is not supported") if "response_format" in body else longer(body)

    server.answer = plain
    opinion, _ = ask()
    assert not opinion.constrained
    assert (opinion.comparisons[0].wins, opinion.comparisons[0].failures) == (2, 0)


def test_questions_that_two_comparisons_share_are_asked_once(server, ask):
    turned = Contest("nearest", "zero-shot", tuple((b, a) for a, b in OUTPUTS))
    opinion, _ = ask(CONTEST, turned)
    assert len(server.bodies) == opinion.spent.requests == 8
    first, second = opinion.comparisons
    assert (first.wins, first.losses, first.ties) == (second.losses, second.wins, second.ties)


def test_an_interrupted_judgement_asks_only_what_is_left(server, ask, tmp_path):
    path = tmp_path / "replies.jsonl"
    server.answer = lambda body: error(500, "down") if "12345" in shown(body) else longer(body)
    with pytest.raises(HostedError, match="try again later"):
        ask(cache=ReplyCache(path), concurrency=1)
    paid = len(ReplyCache(path))
    server.answer, server.bodies = longer, []
    opinion, _ = ask(cache=ReplyCache(path))
    assert 4 <= paid < 8
    assert (len(server.bodies), opinion.spent.requests) == (8 - paid, 8)
    server.bodies = []
    assert ask(cache=ReplyCache(path))[0] == opinion
    assert server.bodies == []


def test_a_forecast_above_the_limit_is_refused_before_anything_is_sent(server, ask):
    with pytest.raises(HostedError, match=r"above its limit of 0\.001; raise judge\.max_usd, or lower judge\.max_ex"):
        ask(max_usd=0.001)
    assert server.bodies == []


def test_the_spend_limit_holds_when_the_forecast_was_too_low(server, ask):
    server.answer = lambda body: says("A", prompt_tokens=5000)
    with pytest.raises(HostedError, match=r"spend limit of 0\.02 USD is reached .* raise judge\.max_usd"):
        ask(max_usd=0.02, concurrency=1)
    assert 0 < len(server.bodies) < 8


def test_a_question_that_does_not_fit_the_context_is_a_failure(server, ask):
    def short_sighted(body):
        too_long = "long one" in shown(body)
        return error(400, "too long", code="context_length_exceeded") if too_long else longer(body)

    server.answer = short_sighted
    [found] = ask()[0].comparisons
    assert (found.wins, found.losses, found.ties, found.failures) == (1, 2, 2, 1)


def test_a_wrong_key_or_address_says_where_to_look(server, ask, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "sk-wrong")
    server.answer = lambda body: error(401, "bad key")
    with pytest.raises(HostedError, match=r"refuses the key .* check JUDGE_KEY"):
        ask(api_key_env="JUDGE_KEY")
    assert server.keys[0] == "Bearer sk-wrong"
    with pytest.raises(HostedError, match=r"check judge\.api_key_env"):
        ask()
    server.answer = lambda body: error(404, "no such model")
    with pytest.raises(HostedError, match=r"no model 'm' .* check judge\."):
        ask()
    monkeypatch.delenv("JUDGE_KEY")
    with pytest.raises(HostedError, match="set the environment variable JUDGE_KEY"):
        ask(api_key_env="JUDGE_KEY")
    with pytest.raises(HostedError, match="did not answer after 0 retries"):
        ask(base_url="http://127.0.0.1:9/v1")
