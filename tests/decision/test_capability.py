"""Which models cannot do a task: by failures, by chance in every metric, and never on a test that is too small."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from llmtl.decision.capability import AllZero, Cannot, capability, constant_score, dealt_out
from llmtl.metrics.scores import score
from llmtl.strategy import Prediction
from llmtl.task import Metric
from tests.support.decision_worlds import LABELS, evaluation, exactly


def answering(name, references, answers, model="m"):
    """Return an evaluation with these answers, scored in every metric."""
    predictions = tuple(Prediction(id=str(i), answer=answer) for i, answer in enumerate(answers))
    scores = score(references, answers, labels=LABELS, resamples=200)
    made = evaluation(name, [True] * len(references), intervals=False)
    return replace(made, references=tuple(references), predictions=predictions, scores=scores, model=model)


@pytest.mark.parametrize("metric", [Metric.ACCURACY, Metric.MACRO_F1])
def test_a_model_that_guesses_does_no_better_than_chance(metric):
    rng = np.random.default_rng(4)
    references = rng.choice(LABELS, p=[0.6, 0.2, 0.1, 0.1], size=600).tolist()
    guessing = answering("zero-shot", references, rng.choice(LABELS, p=[0.6, 0.2, 0.1, 0.1], size=600).tolist())
    [found] = capability([guessing], metric, margin=0.02)
    assert (found.why, found.model, found.strategies) == (Cannot.CHANCE, "m", ("zero-shot",))
    right = answering("qlora", references, [r if rng.random() < 0.8 else "a" for r in references])
    assert capability([guessing, right], metric, margin=0.02) == ()
    # the other strategy is of another model, so nothing is known against that one
    other = replace(right, model="n")
    [found] = capability([guessing, other], metric, margin=0.02)
    assert found.model == "m"


def test_chance_is_what_scikit_learn_scores():
    rng = np.random.default_rng(2)
    references = rng.choice(LABELS, p=[0.5, 0.3, 0.1, 0.1], size=2000).tolist()
    answers = rng.choice(LABELS, size=2000).tolist()
    item = answering("zero-shot", references, answers)
    assert constant_score(item, Metric.MACRO_F1) == pytest.approx(
        f1_score(references, ["a"] * 2000, average="macro", zero_division=0)
    )
    dealt = np.mean([f1_score(references, rng.permutation(answers), average="macro") for _ in range(20)])
    assert dealt_out(item, Metric.MACRO_F1) == pytest.approx(dealt, abs=0.01)
    assert dealt_out(item, Metric.MACRO_F1) > constant_score(item, Metric.MACRO_F1)


def test_a_small_test_says_nothing_against_a_model():
    assert capability([evaluation("qlora", exactly(0.25, 20))], Metric.ACCURACY, margin=0.02) == ()
    [found] = capability([evaluation("qlora", exactly(0.25, 400))], Metric.ACCURACY, margin=0.02)
    assert found.level == 0.25


def test_failures_on_half_of_test_are_no_answers():
    half = evaluation("qlora", exactly(1, 100), failed=range(50))
    [found] = capability([half], Metric.ACCURACY, margin=0.02)
    assert (found.why, found.failed) == (Cannot.FAILS, 0.5)
    assert capability([evaluation("qlora", exactly(1, 100), failed=range(49))], Metric.ACCURACY, margin=0.02) == ()


def test_nothing_but_zeros_is_just_that():
    items = [evaluation("tfidf", exactly(0, 50)), evaluation("qlora", exactly(0, 50))]
    assert capability(items, Metric.ACCURACY, margin=0.02) == (AllZero(50),)
    assert capability([], Metric.ACCURACY, margin=0.02) == ()
