"""The labels in several orders: which orders, the mean worked out by hand, what it costs, when it is kept on dev."""

from dataclasses import replace
from math import prod

import pytest
from scipy.stats import gmean

from llmtl.engines.vllm.branches import NEGLIGIBLE
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.metrics.recalibration import LabelCalibration, Method
from llmtl.prompting.predictors import LabelPredictor
from llmtl.prompting.prompts import Prompts
from llmtl.prompting.rotations import RotatedPredictor, label_orders, mean_probabilities
from llmtl.prompting.search import Candidate, search
from llmtl.prompting.template import Template
from llmtl.strategies.zero_shot import ZeroShot, ZeroShotConfig
from llmtl.strategy import Budget, Prediction
from llmtl.task import Metric, Task, references
from tests.prompting.test_search import ALL_FIRST, MIXED, Answering, Clock
from tests.support.fitted import again, search_of

LABELS = ("a", "b", "c", "d", "e")


def test_orders_are_evenly_spaced_rotations_and_the_first_is_the_tasks():
    assert label_orders(LABELS, 2) == (LABELS, ("c", "d", "e", "a", "b"))
    assert label_orders(LABELS, 1) == (LABELS,)
    every = label_orders(LABELS, 99)
    assert len(every) == 5
    for place in range(5):
        assert {order[place] for order in every} == set(LABELS)


def test_the_mean_is_the_geometric_one_made_to_sum_to_one():
    rows = [{"a": 0.7, "b": 0.2, "c": 0.1}, {"a": 0.1, "b": 0.6, "c": 0.3}, {"a": 0.3, "b": 0.3, "c": 0.4}]
    # by hand: (.7 * .1 * .3) ** (1/3) = 0.27589, (.2 * .6 * .3) ** (1/3) = 0.33019, (.1 * .3 * .4) ** (1/3) = 0.22894
    found = mean_probabilities(rows)
    assert found == pytest.approx({"a": 0.33039, "b": 0.39543, "c": 0.27418}, abs=1e-4)
    means = [gmean([row[label] for row in rows]) for label in "abc"]
    assert list(found.values()) == pytest.approx([mean / sum(means) for mean in means], rel=1e-12)


def test_a_lean_to_places_falls_out_when_every_label_stood_at_every_place():
    true, lean = {"a": 0.5, "b": 0.3, "c": 0.15, "d": 0.03, "e": 0.02}, (5.0, 1.0, 0.5, 2.0, 9.0)
    rows = []
    for order in label_orders(LABELS, 5):
        weights = {label: true[label] * lean[order.index(label)] for label in LABELS}
        rows.append({label: weight / sum(weights.values()) for label, weight in weights.items()})
    assert max(rows[0], key=rows[0].get) != "b"
    assert mean_probabilities(rows) == pytest.approx(true, rel=1e-9)
    assert {max(row, key=row.get) for row in rows} != {"a"}


def test_what_is_negligible_counts_the_same_however_small_it_was_said_to_be():
    exact = mean_probabilities([{"a": 1 - 1e-9, "b": 1e-9}, {"a": 0.4, "b": 0.6}])
    branch_by_branch = mean_probabilities([{"a": 1 - 5e-7, "b": 5e-7}, {"a": 0.4, "b": 0.6}])
    assert exact == pytest.approx(branch_by_branch, abs=1e-6)
    weights = [prod((1.0, 0.4)) ** 0.5, prod((NEGLIGIBLE, 0.6)) ** 0.5]
    assert exact["b"] == pytest.approx(weights[1] / sum(weights), rel=1e-4)


def test_a_prediction_is_the_mean_of_single_ones_and_costs_all_of_them(make_context, engine):
    context = make_context()
    texts = [example.text for example in context.dev]
    found = Prompts(context, engine).predictor("Sort it.", rotations=3).predict(texts)
    labels = context.task.labels
    told = replace(context.task, instruction="Sort it.")
    rotated = [labels, (*labels[1:], labels[0]), (*labels[2:], *labels[:2])]
    singles = [
        LabelPredictor(context.task, engine, Template(replace(told, labels=order), engine)).predict(texts)
        for order in rotated
    ]
    assert len({row.answer for single in singles for row in single}) > 1
    for prediction, *rows in zip(found, *singles, strict=True):
        means = {label: gmean([row.probabilities[label] for row in rows]) for label in labels}
        total = sum(means.values())
        expected = {label: mean / total for label, mean in means.items()}
        assert prediction.probabilities == pytest.approx(expected, abs=1e-5)
        assert prediction.answer == max(prediction.probabilities, key=prediction.probabilities.get)
        assert prediction.prompt_tokens == sum(row.prompt_tokens for row in rows)
        assert prediction.completion_tokens == sum(row.completion_tokens for row in rows)
        assert prediction.seconds > 0
    assert [prediction.id for prediction in found] == [str(position) for position in range(len(texts))]


def test_prompts_differ_only_in_the_order_of_the_labels_and_those_of_an_order_are_asked_together(make_context, engine):
    context = make_context()
    engine.prompts.clear()
    Prompts(context, engine).predictor("Sort it.", rotations=3).predict(["one", "two"])
    listed = [prompt.split("Labels: ")[1].split("\n")[0].split("<")[0].strip() for prompt in engine.prompts]
    expected = ["billing, card lost, refund", "card lost, refund, billing", "refund, billing, card lost"]
    assert listed == [order for order in expected for _ in range(2)]
    assert len({prompt.replace(order, "") for prompt, order in zip(engine.prompts, listed, strict=True)}) == 2


def test_a_prefix_with_its_labels_is_computed_once_per_order(make_context, tiny_engine):
    context = make_context()
    texts = [f"message {number}" for number in range(40)]
    found = Prompts(context, tiny_engine).predictor("Sort it.", rotations=3).predict(texts)
    fresh = [prediction.prompt_tokens - prediction.cached_tokens for prediction in found[1:]]
    assert max(fresh) <= 3 * 12 < found[0].prompt_tokens / 2


class Told:
    """A predictor that gives the listed probabilities of "yes", None for a failure."""

    def __init__(self, *chances):
        self.chances = chances

    def predict(self, texts, *, advance=None):
        return [
            Prediction(str(place), None, failure="too long")
            if chance is None
            else Prediction(str(place), "yes", {"yes": chance, "no": 1 - chance}, prompt_tokens=7)
            for place, chance in enumerate(self.chances)
        ]


def test_an_input_that_fails_in_one_order_fails():
    first, second = RotatedPredictor([Told(0.9, 0.9), Told(0.2, None)]).predict(["x", "y"])
    assert (first.answer, first.probabilities["yes"]) == ("yes", pytest.approx(0.6))  # odds: sqrt(9 * 1/4) = 1.5
    assert (second.answer, second.failure, second.probabilities) == (None, "too long", {})


def test_calibration_follows_the_averaging():
    calibration = LabelCalibration(Method.AFFINE, (1.0, 1.0), (0.0, 1.0))
    [row] = RotatedPredictor([Told(0.9), Told(0.2)], calibration=calibration).predict(["x"])
    label, probabilities = calibration.label({"yes": 0.6, "no": 0.4})
    assert row.answer == label == "no"
    assert row.probabilities == pytest.approx(probabilities, abs=1e-12)


def rotated(labels, seconds=0.0, clock=None):
    return Candidate(0, 0, Answering(labels, seconds, clock), rotations=4)


@pytest.mark.parametrize(("plain", "kept"), [(MIXED, 1), (ALL_FIRST, 4)])
def test_several_orders_are_kept_only_where_they_score_better(make_context, plain, kept):
    context = make_context(task=Task("routing", ("billing", "card lost", "refund"), metric=Metric.ACCURACY))
    truth = references(context.dev)
    wanted = truth if kept > 1 else plain  # equal scores go to one order
    told = search(
        [Candidate(0, 0, Answering(plain))],
        context.dev,
        context,
        name="zero-shot",
        instructions=("tell",),
        further=[lambda best: [rotated(wanted)]],
    )
    assert told.best.rotations == kept
    trace = told.trace("accuracy")
    assert (trace.rotations, [row.rotations for row in trace.tried]) == (kept, [1, 4])


def test_their_time_is_counted_four_times_and_again_for_what_scoring_dev_and_test_would_take(make_context, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("llmtl.prompting.search.perf_counter", clock)
    # plain: 0.1 s of dev. In four orders: 0.4 s, and 3 * 2 * 0.1 s more than planned for dev and test: 1 s.
    for limit, orders in ((0.9, [1]), (1.6, [1, 4])):
        context = make_context(budget=Budget(train_seconds=limit))
        found = search(
            [Candidate(0, 0, Answering(ALL_FIRST, 0.1, clock)), rotated(ALL_FIRST)],
            context.dev,
            context,
            name="zero-shot",
            instructions=("tell",),
        )
        assert [row.rotations for row in found.tried] == orders
        assert [row.rotations for row in found.left_out] == [4][len(orders) - 1 :]


def test_zero_shot_tries_its_best_wording_in_several_orders_and_restores_what_it_chose(make_context, engine):
    strategy = ZeroShot(ZeroShotConfig(rotations=3))
    context = make_context()
    fitted = strategy.fit(context)
    trace = search_of(fitted)
    *plain, last = trace.tried
    best = max(plain, key=lambda row: (row.scores["accuracy"], -row.instruction))
    assert {row.rotations for row in plain} == {1}
    assert (last.rotations, last.instruction) == (3, best.instruction)
    better = last.scores["accuracy"] > best.scores["accuracy"]
    assert trace.rotations == fitted.predictor.served().rotations == (3 if better else 1)
    restored = again(strategy, context, fitted.predictor)
    assert restored.served() == fitted.predictor.served()


def test_a_prompt_in_several_orders_is_kept_and_restored(make_context, engine):
    from llmtl.prompting.fitted import kept_form, prompt_of
    from llmtl.strategy import PromptServed

    prompt = PromptServed("Sort it.", rotations=3)
    context = make_context()
    assert prompt_of(context, kept_form(prompt)) == prompt
    assert "rotations" not in kept_form(PromptServed("Sort it."))


def test_it_can_be_turned_off_and_needs_labels_that_have_probabilities(make_context):
    off = search_of(ZeroShot(ZeroShotConfig(rotations=1)).fit(make_context()))
    assert {row.rotations for row in off.tried} == {1}
    sets = Task("routing", ("billing", "card lost", "refund"), metric=MULTI_LABEL.metrics[0], kind=MULTI_LABEL)
    context = make_context(task=sets, train=(), dev=())
    examples = [replace(each, reference=f'["{each.reference}"]') for each in make_context().dev]
    fitted = ZeroShot().fit(replace(context, train=tuple(examples), dev=tuple(examples)))
    assert {row.rotations for row in search_of(fitted).tried} == {1}
