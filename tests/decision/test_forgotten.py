"""What fine-tuning made a model forget: the limit keeps out, its absence warns, and nothing is measured again."""

from dataclasses import replace

import pytest

from llmtl.costs import MemberUse
from llmtl.decision.broken_limits import Broken, Constraint
from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig
from llmtl.decision.decide import decide
from llmtl.decision.eligibility import broken_by
from llmtl.decision.forgotten import HarderEnglish, harder_english
from llmtl.measured.forgetting import Forgetting, HarderText
from llmtl.metrics.intervals import Interval
from llmtl.report.decision_file import from_json, to_json
from llmtl.report.sentences import summarize
from tests.support.decision_worlds import CONFIG, PRICES, TASK, evaluation, exactly

LIMITED = DecisionConfig(max_forgetting=0.05, resamples=1000)


def forgot(rise):
    ratio = Interval(1 + rise, 1 + rise / 2, 1 + 2 * rise)
    return Forgetting(HarderText(200, 200, 9000, 3.0, 3.0 * (1 + rise), Interval(rise, rise / 2, 2 * rise), ratio))


def tuned(rise, *, split="dev", right=0.9):
    item = evaluation("qlora", exactly(right, 60), split=split)
    return item if rise is None else replace(item, forgetting=forgot(rise))


def decided(rise, config):
    dev = [evaluation("tfidf", exactly(0.5, 60), split="dev"), tuned(rise)]
    test = [evaluation("tfidf", exactly(0.5, 60)), evaluation("qlora", exactly(0.9, 60))]
    choice = choose(TASK, dev, config=config, prices=PRICES, written_at="then")
    return decide(TASK, choice, dev=dev, test=test, config=config, prices=PRICES)


@pytest.mark.parametrize(("rise", "kept_out"), [(0.05, False), (-0.2, False), (0.051, True), (None, True)])
def test_a_limit_is_the_most_that_may_be_forgotten_and_what_nobody_measured_keeps_none(rise, kept_out):
    broken = broken_by(tuned(rise), LIMITED, PRICES)
    assert broken == ((Broken(Constraint.FORGETTING, 0.05, rise),) if kept_out else ())


def test_who_tunes_no_language_model_is_not_held_to_it():
    for name in ("tfidf", "few-shot", "encoder"):
        assert broken_by(evaluation(name, exactly(0.9, 20), intervals=False), LIMITED, PRICES) == ()


def test_a_cascade_is_held_to_what_its_member_forgot():
    members = tuple(MemberUse(name, 60, 1.0, None) for name in ("tfidf", "qlora"))
    joined = replace(tuned(0.3), strategy="tfidf-else-qlora", members=members)
    assert broken_by(joined, LIMITED, PRICES) == (Broken(Constraint.FORGETTING, 0.05, 0.3),)
    assert harder_english([joined], CONFIG) == ()


def test_beyond_the_limit_it_cannot_be_chosen_and_the_decision_says_why():
    decision = decided(0.3, LIMITED)
    assert decision.winner == "tfidf"
    assert not decision.result("qlora").eligible
    why = (
        "its model finds general English 30% harder to predict than before tuning, and decision.max_forgetting is 0.05"
    )
    summary = summarize(decision)
    assert summary.why_not == {"qlora": why}
    assert f"qlora could not be chosen: {why}." in summary.reasons
    assert decided(0.3, CONFIG).winner == decided(0.03, LIMITED).winner == "qlora"


def test_without_a_limit_a_reader_is_warned_from_a_tenth_on():
    decision = decided(0.3, CONFIG)
    assert HarderEnglish(("qlora",), (0.3,)) in decision.cautions
    assert any("harder to predict for the model: 30% by qlora." in line for line in summarize(decision).warnings)
    for rise, config in ((0.09, CONFIG), (0.3, DecisionConfig(max_forgetting=0.5, resamples=1000))):
        assert not any(isinstance(item, HarderEnglish) for item in decided(rise, config).cautions)


def test_the_decision_file_keeps_what_was_measured():
    decision = decided(0.3, CONFIG)
    again = from_json(to_json(decision, summarize(decision)))
    assert again == decision
    assert again.result("qlora").forgetting == forgot(0.3)
