"""Choice and verdict where it is known what a wrong answer costs: scores, costs and what follows are made up."""

from dataclasses import replace

import numpy as np
import pytest

from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Rule, Verdict
from llmtl.decision.totals import ErrorCostChange
from llmtl.errors import RunError
from llmtl.report.decision_file import choice_from_json, choice_to_json, from_json, to_json
from llmtl.report.sentences import summarize
from tests.support.decision_worlds import CONFIG, PRICES, TASK, both, drawn, evaluation, exactly, run

# 120,000 requests: tfidf 0.12 USD, zero-shot 1.20, few-shot 4.80, qlora 6.21, knn-few-shot 9.60


def config(usd, **changes):
    return DecisionConfig(resamples=1000, usd_per_error=usd, **changes)


def decided(usd, n=400, **shares):
    dev, test = both(n, **shares)
    return run(dev, test, config=config(usd))


def test_without_a_cost_of_errors_nothing_is_priced():
    dev, test = both(400, tfidf=0.6, qlora=0.9)
    found = run(dev, test, config=CONFIG)
    assert found.expected_totals is None
    assert found.choice.expected_totals is None
    assert found.value_of_accuracy is not None


@pytest.mark.parametrize(
    ("usd", "winner", "verdict"),
    [
        (1e-5, "tfidf", Verdict.BASELINE),  # 36,000 errors fewer are worth 36 cents, and cost 6.09 USD
        (1.0, "qlora", Verdict.ADOPT),
    ],
)
def test_the_cost_of_an_error_decides_whether_accuracy_is_worth_its_price(usd, winner, verdict):
    found = decided(usd, tfidf=0.6, qlora=0.9)
    assert (found.winner, found.verdict, found.rule) == (winner, verdict, Rule.LOWER_TOTAL)
    assert found.chosen_before_test == winner
    assert found.expected_totals.split == "test"
    assert found.choice.expected_totals.split == "dev"
    assert found.expected_totals.of(winner).cheapest > 0.97


def test_a_margin_no_longer_gives_up_accuracy_that_is_worth_more_than_it_costs():
    found = decided(1.0, n=4000, tfidf=0.5, zero_shot=0.90, qlora=0.91)
    assert found.choice.strategy == found.winner == "qlora"
    unaware = run(*both(4000, tfidf=0.5, zero_shot=0.90, qlora=0.91), config=CONFIG)
    assert unaware.choice.strategy == "zero-shot"  # within the margin of 2 points


def test_a_baseline_that_scores_worse_may_still_be_right_and_test_does_not_contradict_it():
    found = decided(1e-5, tfidf=0.6, qlora=0.9)
    assert found.verdict is Verdict.BASELINE
    assert any(item.p_holm < 0.001 and item.difference > 0.2 for item in found.comparisons)


def test_totals_that_test_cannot_tell_apart_are_inconclusive():
    found = decided(1.0, n=60, tfidf=0.80, qlora=0.82)
    assert (found.verdict, found.rule) == (Verdict.INCONCLUSIVE, Rule.TOTALS_OPEN)
    assert found.hangs_on == (("qlora", "tfidf"),)
    assert found.expected_totals.savings[0].probability < 0.975


def test_one_that_costs_less_to_run_and_may_cost_as_little_in_all_ties():
    found = decided(0.01, n=200, tfidf=0.3, zero_shot=0.90, qlora=0.91)
    assert (found.verdict, found.rule) == (Verdict.TIE, Rule.TOTALS_TIED)
    assert found.hangs_on == (("qlora", "zero-shot"),)
    assert found.winner == "qlora"


def test_where_test_shows_another_to_cost_less_dev_and_test_disagree():
    dev = {"tfidf": exactly(0.3, 300), "zero-shot": exactly(0.7, 300), "qlora": exactly(0.9, 300)}
    test = {**dev, "zero-shot": exactly(0.95, 300), "qlora": exactly(0.5, 300)}
    found = run(dev, test, config=config(1.0))
    assert (found.verdict, found.rule) == (Verdict.INCONCLUSIVE, Rule.TOTAL_CONTRADICTED)
    assert found.choice.strategy == "qlora"
    assert found.hangs_on == (("zero-shot", "qlora"),)
    assert found.winner == "zero-shot"  # the lowest expected total on dev and test together


def test_without_a_language_model_the_baseline_is_used():
    found = decided(1.0, majority=0.3, tfidf=0.8)
    assert (found.verdict, found.rule, found.winner) == (Verdict.BASELINE, Rule.NO_LLM, "tfidf")


def test_without_a_baseline_the_choice_must_cost_less_than_every_other():
    assert decided(1.0, zero_shot=0.6, qlora=0.9).verdict is Verdict.ADOPT
    assert decided(1.0, zero_shot=0.895, qlora=0.9).verdict is Verdict.INCONCLUSIVE


def test_a_language_model_that_is_shown_to_score_worse_is_not_adopted_for_being_cheaper():
    dev, test = both(2000, tfidf=0.9, zero_shot=0.8)
    dear = {"usd": 10.0}
    made = {
        split: [
            evaluation("tfidf", outcomes["tfidf"], split=split, **dear),
            evaluation("zero-shot", outcomes["zero-shot"], split=split),
        ]
        for split, outcomes in (("dev", dev), ("test", test))
    }
    priced = config(0.001)
    choice = choose(TASK, made["dev"], config=priced, prices=PRICES, written_at="then")
    found = decide(TASK, choice, dev=made["dev"], test=made["test"], config=priced, prices=PRICES)
    assert choice.strategy == "zero-shot"
    assert (found.verdict, found.rule) == (Verdict.INCONCLUSIVE, Rule.CONTRADICTED)


def test_a_table_of_labels_turns_the_choice():
    # references go a, b, c, d and a wrong answer is the next label: tfidf errs on a, zero-shot on b
    n = 400
    label = np.arange(n) % 4
    outcomes = {"tfidf": (label != 0) | (np.arange(n) % 8 == 0), "zero-shot": label != 1}
    for dear, winner in (({"a": {"b": 5.0}}, "zero-shot"), ({"b": {"c": 5.0}}, "tfidf")):
        found = run(outcomes, outcomes, config=config(0.001, error_costs=dear))
        assert found.choice.strategy == winner
        assert found.expected_totals.by_label
        assert not [item for item in found.changes if isinstance(item, ErrorCostChange)]


def test_what_would_change_the_choice_are_the_nearest_costs_of_an_error():
    found = decided(0.001, n=2000, tfidf=0.6, zero_shot=0.8, qlora=0.81)
    below, above = (item for item in found.changes if isinstance(item, ErrorCostChange))
    assert (below.strategy, below.above) == ("tfidf", False)
    assert (above.strategy, above.above) == ("qlora", True)
    assert below.usd_per_error == pytest.approx((1.2 - 0.12) / (120_000 * 0.2), rel=0.01)
    assert {"wider_margin", "narrower_margin"}.isdisjoint(item.kind for item in found.changes)


def test_a_cost_of_errors_needs_strategies_whose_own_cost_is_known():
    made = [replace(item, stated=None, seconds=None) for item in (evaluation("tfidf", exactly(0.5, 40), split="dev"),)]
    with pytest.raises(RunError, match="No strategy has a known cost"):
        choose(TASK, made, config=config(1.0), prices=PRICES, written_at="then")


@pytest.mark.parametrize("usd", [1e-5, 1e-3, 1.0])
def test_every_decision_by_cost_is_said_in_sentences_and_comes_back_from_its_file(usd):
    rng = np.random.default_rng(4)
    truth = {"majority": 0.3, "tfidf": 0.6, "zero-shot": 0.75, "few-shot": 0.78, "qlora": 0.8}
    for n in (20, 200, 1000):
        found = run(drawn(truth, n, rng), drawn(truth, n, rng), config=config(usd))
        summary = summarize(found)
        assert summary.reason
        assert "expected to cost" in summary.reasons[0]
        assert "within the margin" not in " ".join(summary.reasons)
        assert from_json(to_json(found, summary)) == found
        assert choice_from_json(choice_to_json(found.choice)) == found.choice
