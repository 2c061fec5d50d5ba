"""Where a judge contradicts a decision, beside a decision with another opinion."""

from dataclasses import replace

from llmtl.judging.opinion import contradictions, judges_itself
from llmtl.judging.pairs import Contest
from llmtl.judging.result import JudgedComparison, JudgeSpent, Judging, Opinion
from tests.support.report_factory import make_content

DECISION = make_content().decision


def judging(a, b, wins, losses, p_holm):
    found = JudgedComparison(a, b, wins, losses, 5, 1, 0, 0, 0.9, 0.5, (0.4, 0.6), p_holm, p_holm)
    opinion = Opinion((found,), True, 1.0, JudgeSpent(200, 1000, 0, 100, 0.5))
    return Judging("m", "http://x/v1", "Be right.", 0.05, examples=100, of=300, opinion=opinion)


def test_a_shown_preference_for_another_than_the_winner_or_the_better_one_contradicts():
    measured = next(item for item in DECISION.comparisons if item.p_holm <= 0.05 and item.difference > 0)
    better, worse = measured.a, measured.b
    for decision, against_winner in ((replace(DECISION, winner=better), True), (replace(DECISION, winner="x"), False)):
        [found] = contradictions(judging(worse, better, 70, 20, 0.001), decision)
        assert (found.preferred, found.other, found.against_winner) == (worse, better, against_winner)
        assert contradictions(judging(better, worse, 70, 20, 0.001), decision) == ()
        assert contradictions(judging(worse, better, 70, 20, 0.2), decision) == ()
    assert contradictions(replace(judging(worse, better, 70, 20, 0.001), opinion=None), DECISION) == ()


def test_a_judge_of_its_own_outputs_is_told_from_others():
    contest = Contest("hosted", "nearest", ())
    assert judges_itself("m", [contest], {"hosted": "m"})
    assert not judges_itself("m", [contest], {"hosted": "other"})
    assert not judges_itself("m", [replace(contest, a="qlora")], {"hosted": "m"})
