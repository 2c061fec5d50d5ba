"""What the judge says in words, beside a decision with another opinion."""

from dataclasses import replace

import pytest

from llmtl.judging.result import JudgedComparison, JudgeSpent, Judging, Opinion
from llmtl.report.judging import cells, judging_from_json, judging_to_json, notes, sentence, warnings
from tests.support.report_factory import make_content

DECISION = make_content().decision


def judging(a, b, wins, losses, p_holm):
    found = JudgedComparison(a, b, wins, losses, 5, 1, 0, 0, 0.9, 0.5, (0.4, 0.6), p_holm, p_holm)
    opinion = Opinion((found,), True, 1.0, JudgeSpent(200, 1000, 0, 100, 0.5))
    return Judging("m", "http://x/v1", "Be right.", 0.05, examples=100, of=300, opinion=opinion)


def rival():
    """Return the strategy of a comparison that test decides against, and the better one, neither being the winner."""
    one = next(c for c in DECISION.comparisons if c.p_holm <= 0.05 and c.difference > 0)
    return one.a, one.b


def test_a_preference_for_the_winner_contradicts_nothing():
    better, worse = rival()
    found = judging(better, worse, 70, 20, 0.001)
    assert warnings(found, DECISION) == ()
    assert f"{better} preferred to {worse} (200 replies, 0.5000 USD)" in sentence(found)


def test_a_significant_preference_for_the_other_one_does():
    better, worse = rival()
    for decision, said in (
        (replace(DECISION, winner=better), f"prefers {worse} to the winner, {better} (70 to 20 with 5 ties"),
        (replace(DECISION, winner="tfidf"), f"prefers {worse} to {better}, which is better in {DECISION.metric}"),
    ):
        [line] = warnings(judging(worse, better, 70, 20, 0.001), decision)
        assert said in line
        assert warnings(judging(better, worse, 20, 70, 0.001), decision) == (line,)


@pytest.mark.parametrize(("wins", "losses", "p"), [(60, 40, 0.2), (30, 30, 0.01)])
def test_what_is_not_shown_is_no_preference(wins, losses, p):
    better, worse = rival()
    found = judging(worse, better, wins, losses, p)
    assert warnings(found, DECISION) == ()
    assert f"no preference shown between {worse} and {better}" in sentence(found)


def test_a_judge_of_its_own_outputs_is_named():
    found = judging(*rival(), 70, 20, 0.001)
    assert notes(found) == ()
    assert "models lean to their own" in notes(replace(found, judged_itself=True))[0]


def test_a_judge_without_an_opinion_is_a_warning():
    silent = Judging("m", "http://x/v1", "Be right.", 0.05, unjudged="The server is down.")
    assert warnings(silent, DECISION) == ("The judge m gave no opinion: The server is down.",)


def test_values_come_back_from_json_with_the_sentences_beside_them():
    found = replace(judging(*rival(), 70, 20, 0.001), judged_itself=True)
    document = judging_to_json(found, DECISION)
    assert judging_from_json(document) == found
    assert document["sentence"] == sentence(found)
    old = {key: value for key, value in document.items() if key not in ("schema_version", "judged_itself")}
    assert judging_from_json(old | {"notes": ["models lean to their own"]}) == found


def test_the_interval_of_the_win_rate_says_what_the_corrected_test_says():
    for wins, losses, p in ((59, 41, 0.04), (62, 38, 0.2)):
        found = judging("x", "y", wins, losses, p)
        several = replace(found, opinion=replace(found.opinion, comparisons=found.opinion.comparisons * 3))
        low = float(cells(several.opinion.comparisons[0], several)[2].split("(")[1].split("\u2013")[0])
        assert low == 0.5  # 59 to 41 reaches below without the test, 62 to 38 stays above
