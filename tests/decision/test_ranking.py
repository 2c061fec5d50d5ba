"""Which strategy is cheaper where costs rest on seconds: noise, load, and parts that two of them share."""

from dataclasses import replace

import pytest

from llmtl.costs import Billing
from llmtl.decision.ranking import Ranking
from llmtl.decision.unclear_costs import UnclearCost, unclear_costs
from llmtl.report.care_words import unclear_cost
from llmtl.task import Metric
from tests.support.decision_worlds import PRICES, evaluation, exactly

BY_USE = PRICES.model_copy(update={"billing": Billing.SERVERLESS})


def ranking(*, head=1.0, tuned=1.0, parts=5, waited=(0.0, 0.0), prices=BY_USE):
    """Return a head and a tuned model whose seconds were measured in passes that took alike."""
    found = []
    for name, seconds, lost in (("embedding-head", head, waited[0]), ("qlora", tuned, waited[1])):
        made = evaluation(name, exactly(0.9, 50), split="dev")
        timings = ((50, seconds),) * parts
        found.append(
            replace(made, stated=None, seconds=seconds, train_seconds=0.0, timings=timings, waited_seconds=lost)
        )
    return Ranking(tuple(found), Metric.ACCURACY, prices)


def test_on_an_idle_machine_a_dearer_model_is_not_cheaper_and_a_cheaper_one_is():
    assert ranking(tuned=0.8).surely_cheaper("qlora", "embedding-head")
    for dearer in (1.0, 1.2):
        assert not ranking(tuned=dearer).may_be_cheaper("qlora", "embedding-head")
        assert ranking(tuned=dearer).may_be_cheaper("embedding-head", "qlora")


def test_as_cheap_within_noise_the_simpler_one_counts_as_cheaper():
    assert ranking(head=1.05).may_be_cheaper("embedding-head", "qlora")
    assert not ranking(head=1.05).may_be_cheaper("qlora", "embedding-head")
    assert not ranking(head=1.2).may_be_cheaper("embedding-head", "qlora")


def test_seconds_that_were_waited_for_a_processor_may_be_owed_to_the_load():
    # measured 1.5 times as dear, but half of that was waiting
    busy = ranking(tuned=1.5, waited=(0.0, 0.75))
    assert not busy.surely_cheaper("embedding-head", "qlora")
    assert busy.may_be_cheaper("qlora", "embedding-head")
    # cheaper by the clock, where the other one was slowed down: still nothing is sure
    slowed = ranking(tuned=0.6, waited=(0.5, 0.0))
    assert not slowed.surely_cheaper("qlora", "embedding-head")
    assert slowed.may_be_cheaper("qlora", "embedding-head")


def test_a_load_that_cannot_explain_a_difference_leaves_it_sure():
    assert ranking(tuned=10.0, waited=(0.2, 2.0)).surely_cheaper("embedding-head", "qlora")
    assert not ranking(tuned=10.0, waited=(0.2, 2.0)).may_be_cheaper("qlora", "embedding-head")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_more_load_never_makes_a_difference_surer(share):
    for tuned in (0.2, 0.6, 0.9, 1.0, 1.1, 1.5, 4.0):
        idle, busy = ranking(tuned=tuned), ranking(tuned=tuned, waited=(share, share * tuned))
        for a, b in (("qlora", "embedding-head"), ("embedding-head", "qlora")):
            assert idle.surely_cheaper(a, b) or not busy.surely_cheaper(a, b)
            assert busy.may_be_cheaper(a, b) or not idle.may_be_cheaper(a, b)


def test_one_timing_alone_leaves_a_quarter_more_open():
    assert not ranking(tuned=1.2, parts=3).may_be_cheaper("qlora", "embedding-head")
    assert ranking(tuned=1.2, parts=1).may_be_cheaper("qlora", "embedding-head")


def test_it_is_said_of_which_two_noise_or_load_leaves_open_which_costs_less():
    pairs = [("embedding-head", "qlora")]
    assert unclear_costs(ranking(tuned=1.5), pairs) == ()
    assert unclear_costs(ranking(), pairs) == ()  # as cheap, and that is known
    assert unclear_costs(ranking(tuned=1.5, waited=(0.1, 0.75)), pairs) == (UnclearCost(*pairs[0], 0.5),)
    unknown = ranking(tuned=1.5, waited=(0.0, 0.75))
    nobody = Ranking(tuple(replace(item, seconds=None) for item in unknown.evaluations), Metric.ACCURACY, PRICES)
    assert unclear_costs(nobody, pairs) == ()


def test_the_sentence_on_unclear_costs_names_the_load_or_the_timings():
    assert "up to 50% of the time" in unclear_cost(UnclearCost("setfit", "qlora", 0.5))
    assert "timings differ too much" in unclear_cost(UnclearCost("setfit", "qlora", 0.01))


def test_on_whole_machines_that_are_far_from_full_the_simpler_one_is_cheaper_however_slow():
    for head, tuned in ((5.0, 1.0), (1.0, 1.0), (1.0, 5.0)):
        same = ranking(head=head, tuned=tuned, prices=PRICES)
        assert same.usd_total("qlora") == same.usd_total("embedding-head") == pytest.approx(12 * 730 * 0.0816)
        assert same.cheaper("embedding-head", "qlora")
        assert not same.surely_cheaper("embedding-head", "qlora")
        assert not same.may_be_cheaper("qlora", "embedding-head")


def test_where_noise_may_need_another_machine_nothing_is_sure():
    # 0.02 seconds per request: 26,280,000 requests fill a machine at a peak of 3 times the mean and 60%
    full = PRICES.model_copy(update={"requests_per_month": 25_000_000})
    assert not ranking(head=2.0, tuned=1.0, parts=1, prices=full).surely_cheaper("qlora", "embedding-head")
    assert ranking(head=2.0, tuned=0.5, parts=5, prices=full).surely_cheaper("qlora", "embedding-head")
