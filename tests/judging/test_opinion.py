"""What the judge says in words, beside a decision with another opinion."""

from dataclasses import replace

import pytest

from llmtl.judging.judge import Contest
from llmtl.judging.opinion import self_judged, with_words
from llmtl.judging.result import JudgedComparison, Judging, Opinion, Spent
from tests.support.report_factory import make_content

DECISION = make_content().decision


def judging(a, b, wins, losses, p_holm):
    found = JudgedComparison(a, b, wins, losses, 5, 1, 0, 0, 0.9, 0.5, (0.4, 0.6), p_holm, p_holm)
    opinion = Opinion((found,), True, 1.0, Spent(200, 1000, 0, 100, 0.5))
    return Judging("m", "http://x/v1", "Be right.", 0.05, examples=100, of=300, opinion=opinion)


def rival():
    """Return the strategy of a comparison that test decides against, and the better one, neither being the winner."""
    one = next(c for c in DECISION.comparisons if c.p_holm <= 0.05 and c.difference > 0)
    return one.a, one.b


def test_a_preference_for_the_winner_contradicts_nothing():
    better, worse = rival()
    found = with_words(judging(better, worse, 70, 20, 0.001), DECISION)
    assert found.contradictions == ()
    assert f"{better} preferred to {worse} (200 replies, 0.5000 USD)" in found.sentence


def test_a_significant_preference_for_the_other_one_does():
    better, worse = rival()
    for decision, said in (
        (replace(DECISION, winner=better), f"prefers {worse} to the winner, {better} (70 to 20 with 5 ties"),
        (replace(DECISION, winner="tfidf"), f"prefers {worse} to {better}, which is better in {DECISION.metric}"),
    ):
        [line] = with_words(judging(worse, better, 70, 20, 0.001), decision).contradictions
        assert said in line
        assert with_words(judging(better, worse, 20, 70, 0.001), decision).contradictions == (line,)


@pytest.mark.parametrize(("wins", "losses", "p"), [(60, 40, 0.2), (30, 30, 0.01)])
def test_what_is_not_shown_is_no_preference(wins, losses, p):
    better, worse = rival()
    found = with_words(judging(worse, better, wins, losses, p), DECISION)
    assert found.contradictions == ()
    assert f"no preference shown between {worse} and {better}" in found.sentence


def test_a_judge_of_its_own_outputs_is_named():
    contest = Contest("hosted", "nearest", ())
    assert "models lean to their own" in self_judged("m", [contest], "m")[0]
    assert self_judged("m", [contest], "other") == ()
    assert self_judged("m", [replace(contest, a="qlora")], "m") == ()
