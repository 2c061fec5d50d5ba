"""Beliefs against closed forms: the Beta distribution of one share, and regrets worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta

from llmtl.decision.beliefs import believe, regrets, together
from llmtl.task import Metric
from tests.support.decision_worlds import evaluation, exactly


def test_beliefs_in_one_accuracy_follow_the_beta_distribution():
    beliefs = believe([evaluation("tfidf", exactly(0.9, 50))], Metric.ACCURACY, seed=3, draws=20_000)
    # Dirichlet weights of 45 right and 5 wrong examples and one pseudo-example of each
    expected = beta(46, 6).ppf([0.05, 0.5, 0.95])
    assert np.quantile(beliefs.draws[:, 0], [0.05, 0.5, 0.95]) == pytest.approx(expected, abs=0.003)


def test_what_two_strategies_get_right_together_stays_together():
    alike = [evaluation(name, exactly(0.8, 60)) for name in ("zero-shot", "qlora")]
    beliefs = believe(alike, Metric.ACCURACY, seed=0)
    assert (beliefs.draws[:, 0] == beliefs.draws[:, 1]).all()
    assert beliefs.chance_better("zero-shot", "qlora") == 0


def test_several_draws_of_a_strategy_widen_the_beliefs_in_it():
    base = evaluation("qlora", exactly(0.8, 400))
    seeds = tuple(evaluation("qlora", exactly(share, 400)).predictions for share in (0.7, 0.9))
    plain, seeded = (
        believe([item], Metric.ACCURACY, seed=0).draws for item in (base, replace(base, seed_predictions=seeds))
    )
    # three draws of 0.7, 0.8 and 0.9: the standard error of their mean is 0.1 / sqrt(3)
    assert seeded.var() - plain.var() == pytest.approx(0.1**2 / 3, rel=0.25)


def part_of(item, n):
    """Return an evaluation as of who left the race after n examples."""
    return replace(item, predictions=item.predictions[:n], references=item.references[:n])


def test_who_left_the_race_is_believed_to_be_as_far_behind_on_all_examples_as_on_those_it_saw():
    rng = np.random.default_rng(5)
    hard = np.arange(600) < 200
    right = {"qlora": rng.random(600) < np.where(hard, 0.6, 0.99), "few-shot": rng.random(600) < 0.7}
    right["zero-shot"] = right["qlora"] & (rng.random(600) < 0.6)
    whole = [evaluation(name, each, split="dev") for name, each in right.items()]
    left = [*whole[:2], part_of(whole[2], 200)]
    best, dropped = (right[name][:200].mean() for name in ("qlora", "zero-shot"))
    for order in (left, left[::-1]):
        beliefs = believe(order, Metric.ACCURACY, seed=0)
        found = beliefs.draws[:, beliefs.names.index("zero-shot")]
        assert found.mean() == pytest.approx(right["qlora"].mean() + dropped - best, abs=0.015)
    asked = beliefs.names.index("qlora")
    lead, of_whole = (
        each.draws[:, each.names.index("qlora")] - each.draws[:, each.names.index("zero-shot")]
        for each in (beliefs, believe(whole, Metric.ACCURACY, seed=0))
    )
    assert beliefs.draws[:, asked].mean() == pytest.approx(right["qlora"].mean(), abs=0.01)
    # the difference rests on 200 examples of 600, easy and hard ones apart from what it says of the score
    assert 1.2 < lead.std() / of_whole.std() < 2.2


def test_a_lead_that_may_be_luck_is_not_believed_in_full():
    leader, others = evaluation("qlora", exactly(0.75, 200)), ("tfidf", "zero-shot", "few-shot", "knn-few-shot")
    alike = [evaluation(name, exactly(0.7, 200, offset=40 * at)) for at, name in enumerate(others)]
    for rivals in (alike[:1], alike):
        draws = believe([leader, *rivals], Metric.ACCURACY, seed=0).draws
        assert 0.02 < (draws[:, 0] - draws[:, 1]).mean() < 0.045


def test_regret_is_the_gap_and_the_margin_where_a_cheaper_one_is_good_enough():
    cheaper = np.array([[False, True, True], [False, False, True], [False, False, False]])
    scores = np.array([[0.80, 0.89, 0.90], [0.50, 0.70, 0.90]])
    expected = [[0.10, 0.01, 0.02], [0.40, 0.20, 0.00]]
    assert regrets(scores, cheaper, 0.02) == pytest.approx(np.array(expected))


def test_dev_and_test_are_joined_example_by_example():
    dev = evaluation("qlora", exactly(0.5, 20), split="dev")
    test = replace(evaluation("qlora", exactly(0.9, 30)), groups=("g",) * 30)
    test = replace(test, seed_predictions=(test.predictions,))
    joined = together(dev, test)
    assert (joined.n, len(joined.references), joined.groups) == (50, 50, (None,) * 20 + ("g",) * 30)
    assert [len(each) for each in joined.seed_predictions] == [50]
    assert joined.measure(Metric.ACCURACY).score(joined.answers) == pytest.approx((10 + 27) / 50)
