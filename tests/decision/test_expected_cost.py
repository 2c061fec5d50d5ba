"""Expected total costs and switching points, where both can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta

from llmtl.costs import PriceConfig
from llmtl.decision.config import DecisionConfig
from llmtl.decision.expected_cost import (
    ErrorCosts,
    check_error_costs,
    joint_totals,
    spending_of,
    value_of_accuracy,
    wrong_answers,
)
from llmtl.errors import RecipeError
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.recipe import validate
from llmtl.strategy import Prediction
from llmtl.task import Metric, Task
from tests.support.decision_worlds import LABELS, TASK, evaluation, exactly

N = 199  # so that a posterior mean is (errors + 1/2) / 200
REQUESTS = 1000.0
ACCURACY = Metric.ACCURACY


def right(wrong, n=N, *, offset=0):
    """Return n outcomes with so many wrong ones in a run."""
    return exactly(1 - wrong / n, n, offset=offset)


def pair(wrong_a=40, wrong_b=20):
    """Return a cheap and a dear strategy with so many errors each."""
    return [evaluation("tfidf", right(wrong_a)), evaluation("qlora", right(wrong_b))]


SPENT = {"tfidf": 10.0, "qlora": 60.0}


def test_two_strategies_switch_at_the_difference_of_costs_over_the_difference_of_error_rates():
    found = value_of_accuracy(pair(), SPENT, metric=ACCURACY, requests=REQUESTS)
    [switch] = found.switches
    assert (switch.below, switch.above) == ("tfidf", "qlora")
    assert switch.usd_per_error == pytest.approx((60 - 10) / (REQUESTS * 20 / 200))
    assert [item.wrong for item in found.strategies] == pytest.approx([40.5 / 200, 20.5 / 200])


def test_the_band_of_a_switch_follows_from_the_posterior_of_the_difference():
    # all errors of qlora are errors of tfidf too: the difference is the share that only tfidf gets wrong, plus what the
    # prior adds to both sides, a quarter each
    [switch] = value_of_accuracy(pair(60, 20), SPENT, metric=ACCURACY, requests=REQUESTS).switches
    only_tfidf = beta(40.25, 199 + 1 - 40.25)
    ends = [50 / (REQUESTS * only_tfidf.ppf(level)) for level in (0.975, 0.025)]
    assert switch.ci95 == pytest.approx(ends, rel=0.05)
    assert switch.pays == 1.0


def test_a_switch_that_may_never_come_has_no_upper_end():
    outcomes = [evaluation("tfidf", right(21)), evaluation("qlora", right(20, offset=100))]
    [switch] = value_of_accuracy(outcomes, SPENT, metric=ACCURACY, requests=REQUESTS).switches
    assert switch.ci95[0] > 0
    assert switch.ci95[1] is None
    assert switch.pays == pytest.approx(0.56, abs=0.03)  # P(N(1, 41) > 0), the discordant ones being 21 and 20


def test_where_the_cheapest_errs_least_nothing_switches():
    assert value_of_accuracy(pair(20, 40), SPENT, metric=ACCURACY, requests=REQUESTS).switches == ()


def test_one_strategy_or_no_request_has_no_value_of_accuracy():
    assert value_of_accuracy(pair()[:1], SPENT, metric=ACCURACY, requests=REQUESTS) is None
    assert value_of_accuracy(pair(), SPENT, metric=ACCURACY, requests=0.0) is None
    assert value_of_accuracy(pair(), {"tfidf": 1.0}, metric=ACCURACY, requests=REQUESTS) is None


@pytest.mark.parametrize(("usd", "best"), [(0.1, "tfidf"), (0.49, "tfidf"), (0.51, "qlora"), (5.0, "qlora")])
def test_the_lowest_expected_total_changes_at_the_switching_point(usd, best):
    totals = joint_totals(pair(), SPENT, ErrorCosts(usd, {}), metric=ACCURACY, requests=REQUESTS)
    assert totals.best(totals.names) == best


def test_a_total_is_what_is_spent_and_the_expected_errors_at_their_cost():
    costs = ErrorCosts(2.0, {})
    totals = joint_totals(pair(), SPENT, costs, metric=ACCURACY, requests=REQUESTS)
    found = totals.described()
    tfidf = found.of("tfidf")
    assert tfidf.errors == pytest.approx(REQUESTS * 40.5 / 200)
    assert tfidf.usd_total == pytest.approx(10 + 2 * REQUESTS * 40.5 / 200)
    exact = beta(40.5, 159.5)
    assert tfidf.ci95 == pytest.approx([10 + 2 * REQUESTS * exact.ppf(level) for level in (0.025, 0.975)], rel=0.03)
    assert sum(item.cheapest for item in found.strategies) == pytest.approx(1.0)
    assert (found.split, found.n, found.by_label) == ("test", N, False)


def test_equal_strategies_are_each_the_cheapest_with_even_chances():
    twins = [evaluation("tfidf", right(40)), evaluation("qlora", right(40, offset=90))]
    totals = joint_totals(twins, {"tfidf": 1.0, "qlora": 1.0}, ErrorCosts(1.0, {}), metric=ACCURACY, requests=REQUESTS)
    assert [row.cheapest for row in totals.described().strategies] == pytest.approx([0.5, 0.5], abs=0.03)
    assert totals.saving("tfidf", "qlora").usd == pytest.approx(0.0)
    assert totals.saving("tfidf", "qlora").probability == pytest.approx(0.5, abs=0.03)


def test_a_table_of_labels_prices_each_confusion_and_a_failure_costs_what_the_others_do():
    # references go a, b, c, d, a, ...; a wrong answer is the next label
    made = evaluation("tfidf", np.zeros(4, dtype=bool), failed=[3])
    table = {"a": {"b": 10.0, "c": 99.0}, "c": {"d": 0.0}}
    costs = ErrorCosts(1.0, table)
    totals = joint_totals([made], {"tfidf": 0.0}, costs, metric=ACCURACY, requests=1.0)
    paid = 10.0 + 1.0 + 0.0 + 1.0
    # what an unknown error costs is the mean of those seen, and the prior adds half of one to five examples
    assert totals.expected == pytest.approx([(paid + paid / 4 / 2) / 5])
    assert totals.errors == pytest.approx([4.5 / 5])


def test_labels_with_a_price_are_part_of_what_is_spent():
    prices = PriceConfig(requests_per_month=1000, months=10, usd_per_label=0.5)
    made = [evaluation("tfidf", right(40), usd=2.0), evaluation("qlora", right(20), usd=3.0, usd_fitting=7.0)]
    found = spending_of(made, prices, {"tfidf": 30, "qlora": 130})
    assert found == pytest.approx({"tfidf": 20 + 15, "qlora": 30 + 7 + 65})
    unpriced = PriceConfig(requests_per_month=1000, months=10)
    assert spending_of(made, unpriced, {"tfidf": 30}) == pytest.approx({"tfidf": 20, "qlora": 37})


def test_a_strategy_without_a_known_cost_has_no_total():
    made = replace(evaluation("tfidf", right(40)), stated=None, seconds=None)
    assert spending_of([made], PriceConfig(), {}) == {}


def test_a_text_counts_as_the_part_of_an_error_that_its_score_lacks():
    made = replace(
        evaluation("tfidf", right(0, n=2)),
        kind=GENERATION,
        labels=(),
        references=("the card is blocked", "yes"),
        predictions=(Prediction("1", "the card is lost"), Prediction("2", "no")),
    )
    wrong = wrong_answers(made, Metric.ROUGE_L)
    assert wrong == pytest.approx(1 - made.measure(Metric.ROUGE_L).each(made.answers)[None])
    assert 0 < wrong[0, 0] < wrong[0, 1] == 1
    assert wrong_answers(made, Metric.EXACT_MATCH).tolist() == [[1.0, 1.0]]


def test_spans_are_wrong_where_any_of_them_is():
    spans = '[{"type": "city", "text": "Rome", "start": 0, "end": 4}]'
    made = replace(
        evaluation("tfidf", right(0, n=2)),
        kind=EXTRACTION,
        labels=("city",),
        references=(spans, spans),
        predictions=(Prediction("1", spans), Prediction("2", "[]")),
    )
    assert wrong_answers(made, Metric.MICRO_F1).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"error_costs": {"a": {"b": 1}}}, "error_costs needs usd_per_error too"),
        ({"usd_per_error": 1, "error_costs": {"a": {"a": 1}}}, "gives a cost to answering 'a' where that is right"),
        ({"usd_per_error": -1}, "'usd_per_error'"),
        ({"usd_per_error": 1, "error_costs": {"a": {"b": -1}}}, "'error_costs.a.b'"),
    ],
)
def test_costs_of_errors_that_mean_nothing_are_refused(given, said):
    with pytest.raises(RecipeError) as raised:
        validate(DecisionConfig, given, source="The recipe")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_table_must_name_labels_of_the_task():
    check_error_costs(DecisionConfig(usd_per_error=1, error_costs={"a": {"b": 2}}), TASK)
    with pytest.raises(RecipeError, match="names 'z', which is not a label of the task; use a, b, c, d"):
        check_error_costs(DecisionConfig(usd_per_error=1, error_costs={"a": {"z": 2}}), TASK)


def test_a_table_needs_answers_of_one_label():
    task = Task("spans", LABELS, kind=EXTRACTION, metric=Metric.MICRO_F1)
    with pytest.raises(RecipeError, match="answers of extraction are not one label"):
        check_error_costs(DecisionConfig(usd_per_error=1, error_costs={"a": {"b": 2}}), task)
