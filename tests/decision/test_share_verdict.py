"""Choice and verdict where the goal is to automate: confidences, answers and costs are made up."""

from dataclasses import replace

import numpy as np
import pytest

from llmtl.decision.automation import check_goal
from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig, Goal
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Rule, Verdict
from llmtl.decision.outlook import NarrowerMargin, WiderMargin
from llmtl.decision.promise import Promise
from llmtl.decision.share_beliefs import ShareBeliefs
from llmtl.decision.share_choice import by_goal
from llmtl.errors import RecipeError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.generation import GENERATION
from llmtl.report.decision_file import choice_from_json, choice_to_json, from_json, to_json
from llmtl.report.sentences import summarize
from llmtl.task import Draw, Metric
from tests.decision.test_automation import sure
from tests.support.decision_worlds import PRICES, ROLES, TASK

AUTOMATE = DecisionConfig(goal=Goal.AUTOMATE, resamples=1000)
LIMITED = AUTOMATE.model_copy(update={"max_usd_per_1k": 0.009})


def silent(made):
    return replace(made, predictions=tuple(replace(item, confidence=None) for item in made.predictions))


def worlds(n, *, on_test=None, mute=(), **right):
    """Return dev and test: strategies are right so often, and surer where they are right unless told otherwise."""
    made = {"dev": [], "test": []}
    for split, items in made.items():
        for seed, name in enumerate(name for name in ROLES if name.replace("-", "_") in right):
            share = right[name.replace("-", "_")]
            share = (on_test or {}).get(name, share) if split == "test" else share
            item = sure(name, n, split=split, right=share, seed=seed)
            items.append(silent(item) if name in mute else item)
    return made["dev"], made["test"]


def decided(dev, test, config=AUTOMATE):
    choice = choose(TASK, dev, config=config, prices=PRICES, written_at="then")
    choice = by_goal(choice, TASK, dev, test[0].n, config=config, prices=PRICES)
    return decide(TASK, choice, dev=dev, test=test, config=config, prices=PRICES)


def test_by_the_goal_score_nothing_changes():
    dev, _ = worlds(200, tfidf=0.6, qlora=0.9)
    choice = choose(TASK, dev, config=DecisionConfig(), prices=PRICES, written_at="then")
    assert by_goal(choice, TASK, dev, 200, config=DecisionConfig(), prices=PRICES) is choice


def test_the_one_of_which_more_can_be_left_is_adopted_with_a_confirmed_promise():
    found = decided(*worlds(600, tfidf=0.5, qlora=0.9))
    assert (found.verdict, found.winner, found.rule) == (Verdict.ADOPT, "qlora", Rule.LARGER_SHARE)
    (compared,) = found.share_comparisons
    assert compared.difference > 0.3
    assert compared.p_holm <= 0.05
    assert next(item for item in found.automation if item.strategy == "qlora").promise is Promise.SHOWN
    assert found.comparisons[0].method != compared.method  # scores are still compared, in their own terms


def test_a_strategy_that_scores_more_but_is_sure_of_nothing_is_not_chosen():
    dev, test = worlds(600, tfidf=0.8, zero_shot=0.75)
    vague = [sure("qlora", 600, split=split, right=0.85, informative=False, seed=9) for split in ("dev", "test")]
    found = decided([*dev, vague[0]], [*test, vague[1]])
    assert max(found.strategies, key=lambda item: item.dev.value).name == "qlora"
    assert found.choice.expected_shares["qlora"] == 0
    assert found.chosen_before_test != "qlora"


def test_the_expected_regret_counts_the_margin_where_a_cheaper_one_can_be_left_as_much():
    dev, test = worlds(1000, tfidf=0.4, zero_shot=0.9)
    dear = [replace(items[1], strategy="knn-few-shot") for items in (dev, test)]
    dear = [replace(item, stated=replace(item.stated, usd_per_request=1.0)) for item in dear]
    found = decided([*dev, dear[0]], [*test, dear[1]])
    regret = found.choice.expected_regret
    # the same answers: nothing is forgone but by the dearer one, which forgoes the margin wherever both are level
    assert found.choice.strategy == "zero-shot"
    assert regret["knn-few-shot"] - regret["zero-shot"] == pytest.approx(0.02, abs=0.005)


def test_who_does_not_say_how_sure_it_is_cannot_win_and_that_is_said():
    found = decided(*worlds(600, mute=("qlora",), tfidf=0.8, zero_shot=0.7, qlora=0.95))
    assert set(found.choice.expected_regret) == {"tfidf", "zero-shot"}
    assert not found.result("qlora").eligible
    summary = summarize(found)
    assert "do not say how sure they are" in summary.why_not["qlora"]
    assert any("qlora could not be chosen" in line for line in summary.reasons)


def test_where_nobody_says_how_sure_it_is_the_cure_is_told():
    dev, test = worlds(200, mute=("tfidf", "qlora"), tfidf=0.6, qlora=0.9)
    with pytest.raises(RecipeError, match=r"decision\.goal=score"):
        decided(dev, test)


def test_nothing_is_adopted_that_test_does_not_confirm():
    found = decided(*worlds(600, on_test={"qlora": 0.6}, tfidf=0.3, qlora=0.9), config=AUTOMATE)
    row = next(item for item in found.automation if item.strategy == "qlora")
    confirmed = row.promise is Promise.SHOWN
    assert confirmed or found.verdict is Verdict.INCONCLUSIVE
    failing = decided(*worlds(120, tfidf=0.8, qlora=0.8), config=AUTOMATE.model_copy(update={"alpha": 0.001}))
    assert (failing.verdict, failing.rule) == (Verdict.INCONCLUSIVE, Rule.NOT_CONFIRMED)
    assert "none is recommended" in summarize(failing).reason


def test_two_that_can_be_left_as_much_are_not_told_apart():
    found = decided(*worlds(600, tfidf=0.9, qlora=0.9))
    assert (found.verdict, found.rule) == (Verdict.INCONCLUSIVE, Rule.SHARES_OPEN)
    low, high = found.share_comparisons[0].ci95
    assert low < 0 < high


def test_a_baseline_that_can_be_left_more_is_used():
    found = decided(*worlds(600, tfidf=0.95, qlora=0.6))
    assert (found.verdict, found.winner, found.rule) == (Verdict.BASELINE, "tfidf", Rule.SHARE_NOT_WORTH_MORE)


def test_without_a_language_model_that_is_sure_the_baseline_is_used():
    found = decided(*worlds(600, mute=("qlora",), tfidf=0.8, qlora=0.9))
    assert (found.verdict, found.winner, found.rule) == (Verdict.BASELINE, "tfidf", Rule.NO_SURE_LLM)


def test_constraints_hold_for_this_goal_too():
    found = decided(*worlds(600, tfidf=0.6, qlora=0.9), config=LIMITED)
    assert found.winner == "tfidf"
    assert set(found.choice.barred) == {"qlora"}


def test_other_margins_are_told_in_points_of_share():
    found = decided(*worlds(600, tfidf=0.9, qlora=0.92))
    margins = [item for item in found.changes if isinstance(item, WiderMargin | NarrowerMargin)]
    told = [line for line in summarize(found).would_change if "margin" in line]
    assert margins
    assert all("point" in line for line in told)


def test_with_several_draws_their_spread_widens_the_difference():
    dev, test = worlds(600, tfidf=0.6, qlora=0.85)
    other = sure("qlora", 600, split="test", right=0.7, seed=5)
    beliefs = ShareBeliefs.fixed_on(dev, 600, metric=Metric.ACCURACY, config=AUTOMATE)
    mute = {item.strategy: np.zeros(600, dtype=bool) for item in test}

    def error(tuned):
        compared = beliefs.compare(tuned, test[0], answered=mute, config=AUTOMATE, comparisons=1)
        return compared.standard_error, compared.draw_error

    alone, several = error(test[1]), error(replace(test[1], seed_predictions=(other.predictions,), draw=Draw.TRAINING))
    stated = error(replace(test[1], draw=Draw.TRAINING))
    assert alone[1] == several[1] == 0
    assert several[0] > alone[0]
    assert stated[1] > 0


def test_the_goal_and_a_price_of_errors_exclude_each_other():
    with pytest.raises(ValueError, match="unset one of them"):
        DecisionConfig(goal=Goal.AUTOMATE, usd_per_error=0.5)


def test_the_goal_needs_answers_that_are_right_or_wrong():
    check_goal(AUTOMATE, CLASSIFICATION, Metric.MACRO_F1)
    check_goal(AUTOMATE, GENERATION, Metric.EXACT_MATCH)
    with pytest.raises(RecipeError, match=r"task\.metric=exact_match or decision\.goal=score"):
        check_goal(AUTOMATE, GENERATION, Metric.CHRF)


@pytest.mark.parametrize("n", [60, 200, 1000])
@pytest.mark.parametrize("rights", [(0.5, 0.7, 0.9), (0.9, 0.9, 0.9), (0.97, 0.6, 0.8)])
def test_every_decision_by_share_is_said_in_sentences_and_comes_back_from_its_file(n, rights):
    found = decided(*worlds(n, **dict(zip(("tfidf", "zero_shot", "qlora"), rights, strict=True))))
    summary = summarize(found)
    assert "left to" in summary.reason
    assert "can be left to it" in summary.reasons[0]
    assert summary.reason.count("right against") == 0
    assert from_json(to_json(found, summary)) == found
    assert choice_from_json(choice_to_json(found.choice)) == found.choice
    if found.verdict is not Verdict.INCONCLUSIVE:
        assert found.winner in {item.strategy for item in found.automation if item.promise is Promise.SHOWN}
