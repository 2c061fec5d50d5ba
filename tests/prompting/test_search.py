"""The search over candidates: predictors with known answers, scores from scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from llmtl.findings import Cut, Unit
from llmtl.measured.fitting import FitRecord
from llmtl.prompting.search import Candidate, search
from llmtl.strategy import Budget, Prediction
from llmtl.task import Example, Metric, Task, references


class Clock:
    """The search's clock, which only `Answering` moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr("llmtl.prompting.search.perf_counter", made)
    return made


class Answering:
    """A predictor that gives the listed labels, None for a failure; by a `clock` that takes `seconds`."""

    def __init__(self, labels, seconds=0.0, clock=None):
        self.labels, self.seconds, self.clock = labels, seconds, clock

    def predict(self, texts, *, advance):
        if self.clock is not None:
            self.clock.now += self.seconds
        advance(len(texts))
        return [Prediction(str(position), label) for position, label in enumerate(self.labels)]


LABELS = ("billing", "card lost", "refund")
ALL_FIRST = ["billing"] * 8
MIXED = ["billing", "billing", "refund", "card lost", "refund", "card lost", "card lost", None]


def test_scores_are_those_of_scikit_learn_and_failures_are_errors(make_context):
    context = make_context()
    found = search([Candidate(4, 0, Answering(MIXED))], context.dev, context, name="x", instructions=("tell",))
    truth = references(context.dev)
    (scored,) = found.tried
    assert scored.scores["accuracy"] == pytest.approx(accuracy_score(truth, [label or "" for label in MIXED]))
    assert scored.scores["macro_f1"] == pytest.approx(
        f1_score(truth, [label or "" for label in MIXED], labels=LABELS, average="macro", zero_division=0)
    )
    assert scored.failed == 1


@pytest.mark.parametrize(("metric", "best"), [(Metric.ACCURACY, 4), (Metric.MACRO_F1, 8)])
def test_the_decision_metric_chooses(make_context, metric, best):
    context = make_context(task=Task("routing", LABELS, metric=metric))
    truth = references(context.dev)
    spread_out = ["refund", "card lost", "card lost", "refund", "refund", "refund", "billing", "billing"]
    assert accuracy_score(truth, ALL_FIRST) > accuracy_score(truth, spread_out)
    assert f1_score(truth, ALL_FIRST, average="macro") < f1_score(truth, spread_out, average="macro")
    candidates = [Candidate(4, 0, Answering(ALL_FIRST)), Candidate(8, 0, Answering(spread_out))]
    assert search(candidates, context.dev, context, name="x", instructions=("tell",)).best.shots == best


def test_equal_scores_go_to_fewer_shots_then_to_the_lower_seed(make_context):
    context = make_context()
    candidates = [Candidate(shots, seed, Answering(ALL_FIRST)) for seed in (3, 1, 2) for shots in (16, 8, 32)]
    best = search(candidates, context.dev, context, name="x", instructions=("tell",)).best
    assert (best.shots, best.seed) == (8, 1)


def test_a_time_limit_leaves_candidates_out_and_says_so(make_context, clock):
    context = make_context(budget=Budget(train_seconds=0.35))
    candidates = [Candidate(shots, 0, Answering(ALL_FIRST, 0.2, clock)) for shots in (4, 8, 16)]
    found = search(candidates, context.dev, context, name="few-shot", instructions=("tell",))
    assert [each.shots for each in found.tried] == [4]
    assert [each.shots for each in found.left_out] == [8, 16]
    assert context.progress.lines == ["few-shot: 2 of 3 candidates left out to keep the time limit"]
    assert context.progress.stages["few-shot: choosing demonstrations"] == [24, 24]


def test_without_a_time_limit_all_are_scored(make_context):
    context = make_context()
    candidates = [Candidate(shots, 0, Answering(ALL_FIRST)) for shots in (4, 8, 16)]
    found = search(candidates, context.dev, context, name="few-shot", instructions=("tell",))
    assert len(found.tried) == 3
    assert found.left_out == ()
    assert context.progress.lines == []


def test_what_follows_starts_from_the_best_of_the_first_and_may_win(make_context):
    context = make_context()
    truth = references(context.dev)
    seen = []

    def further(best):
        seen.append((best.shots, best.seed))
        return [Candidate(best.shots, best.seed, Answering(truth), instruction=1)]

    first = [Candidate(4, 0, Answering(["refund"] * 8)), Candidate(8, 0, Answering(ALL_FIRST))]
    told = ("tell", "say")
    found = search(first, context.dev, context, name="x", instructions=told, further=[further])
    assert seen == [(8, 0)]
    assert (found.best.shots, found.instruction) == (8, "say")
    assert [prediction.answer for prediction in found.predictions] == truth
    trace = found.trace("accuracy")
    assert (trace.instruction, trace.instructions, len(trace.tried)) == (1, ("tell", "say"), 3)
    assert context.progress.stages == {"x: choosing demonstrations": [16, 16], "x: choosing the wording": [8, 8]}


def test_equal_scores_go_to_the_earlier_wording(make_context):
    context = make_context()
    candidates = [Candidate(4, 0, Answering(ALL_FIRST), instruction=index) for index in (2, 0, 1)]
    assert search(candidates, context.dev, context, name="x", instructions=("a", "b", "c")).instruction == "a"


def test_the_optimism_of_a_search_is_what_its_best_candidate_loses_on_further_examples(make_context):
    rng = np.random.default_rng(1)
    context = make_context(dev=[Example(str(i), "a text", LABELS[i % 3]) for i in range(90)])
    truth = references(context.dev)

    def guessing():
        right = rng.random(len(truth)) < 0.7
        return Answering([label if ok else "billing" for label, ok in zip(truth, right, strict=True)])

    lost, estimated = [], []
    for _ in range(40):
        candidates = [Candidate(shots, seed, guessing()) for shots in (4, 8) for seed in range(8)]
        found = search(candidates, context.dev, context, name="x", instructions=("tell",))
        # every candidate is right on 70%, and by chance on a third of the others
        lost.append(max(tried.scores["accuracy"] for tried in found.tried) - 0.8)
        estimated.append(found.trace("accuracy").optimism)
    assert np.mean(estimated) == pytest.approx(np.mean(lost), abs=0.01)
    assert search(candidates[:1], context.dev, context, name="x", instructions=("tell",)).optimism == 0


def test_a_search_that_ran_out_of_time_says_how_far_it_came(make_context, clock):
    candidates = [Candidate(shots, 0, Answering(ALL_FIRST, 0.2, clock)) for shots in (4, 8, 16)]
    context = make_context(budget=Budget(train_seconds=0.35))
    found = search(candidates, context.dev, context, name="few-shot", instructions=("tell",))
    record = FitRecord(1.0, "cpu", findings=(found.trace("accuracy"),))
    assert record.cuts == (Cut(1, 3, Unit.PROMPTS),)
