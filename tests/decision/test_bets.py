"""What is used where test shows nothing, on beliefs made by hand."""

import numpy as np

from llmtl.decision.beliefs import Beliefs
from llmtl.decision.bets import Bets
from llmtl.decision.ranking import Ranking
from llmtl.task import Metric
from tests.support.decision_worlds import PRICES, evaluation, exactly

NAMES = ("tfidf", "zero-shot", "qlora")


def bets_of(draws, **regret):
    """Make bets on three strategies from draws of their true scores and expected regrets."""
    dev = tuple(evaluation(name, exactly(0.8, 20), split="dev") for name in NAMES)
    found = {name.replace("_", "-"): value for name, value in regret.items()}
    return Bets(Beliefs(NAMES, np.array(draws)), found, Ranking(dev, Metric.ACCURACY, PRICES))


def test_a_tied_rival_must_be_believed_to_beat_the_baseline():
    nine_times_of_ten = [[0.7, 0.8, 0.9]] * 9 + [[0.7, 0.6, 0.9]]
    bets = bets_of(nine_times_of_ten)
    assert bets.better(["zero-shot", "qlora"], "tfidf", alpha=0.05) == ["qlora"]
    assert bets.better(["zero-shot", "qlora"], "tfidf", alpha=0.1) == ["zero-shot", "qlora"]
    assert bets.better(["zero-shot"], None, alpha=0.05) == ["zero-shot"]


def test_of_equal_bets_the_cheapest_is_used():
    bets = bets_of([[0.7, 0.8, 0.9]], tfidf=0.2, zero_shot=0.0102, qlora=0.01)
    assert bets.best(NAMES) == "zero-shot"
    assert bets.best(["tfidf", "qlora"]) == "qlora"


def test_who_left_the_race_is_no_bet():
    bets = bets_of([[0.7, 0.8, 0.9]])
    assert bets.better(["few-shot"], "tfidf", alpha=0.05) == []
