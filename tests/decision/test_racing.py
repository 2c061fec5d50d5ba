"""The race on dev: what it promises about the choice, checked by simulation, and what it saves."""

import numpy as np
import pytest

from llmtl.decision.racing import race
from llmtl.errors import RunError

NAMES = ("a", "b", "c", "d")


def outcomes(accuracies, n, rng):
    common, own = rng.random(n), rng.random((len(accuracies), n))
    hard = np.where(rng.random((len(accuracies), n)) < 0.5, common, own)
    return (hard < np.array(accuracies)[:, None]).astype(float)


def raced(scores, **options):
    names = NAMES[: len(scores)]
    return race(names, lambda name, at: scores[names.index(name), at], scores.shape[1], **options)


@pytest.mark.slow
@pytest.mark.parametrize("accuracies", [(0.8, 0.8, 0.8), (0.83, 0.8, 0.78, 0.7), (0.9, 0.87, 0.6), (0.7, 0.85, 0.84)])
@pytest.mark.parametrize("known", [False, True])
def test_neither_the_choice_nor_the_best_is_dropped(accuracies, known):
    """The names are in order of cost; the race may know that, or not."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(100):
        scores = outcomes(accuracies, 300, rng)
        means = dict(zip(NAMES, scores.mean(axis=1), strict=False))
        choice = next(name for name, mean in means.items() if max(means.values()) - mean <= 0.02 + 1e-12)
        ended = raced(scores, block=10, cheaper=(lambda a, b: a < b) if known else (lambda a, b: False))
        wrong += bool({choice, max(means, key=means.get)} & ended.dropped.keys())
    assert wrong <= 5


def test_a_cheaper_one_that_is_a_little_better_drops_the_dearer():
    rng = np.random.default_rng(3)
    ended = [raced(outcomes((0.88, 0.84), 2000, rng), cheaper=lambda a, b: a < b) for _ in range(10)]
    blind = [raced(outcomes((0.88, 0.84), 2000, rng)) for _ in range(10)]
    assert sum("b" in item.dropped for item in ended) > sum("b" in item.dropped for item in blind)


def test_a_spread_out_field_takes_less_than_half_of_the_evaluations():
    rng = np.random.default_rng(1)
    ended = [raced(outcomes((0.9, 0.6, 0.5, 0.4), 500, rng)) for _ in range(20)]
    planned, used = (sum(getattr(item, f"evaluations_{name}") for item in ended) for name in ("planned", "used"))
    assert planned >= 2 * used
    assert all(item.survivors == ("a",) for item in ended)


def test_the_dropped_are_told_by_what_was_seen():
    scores = np.stack([np.ones(200), np.zeros(200), np.ones(200)])
    ended = raced(scores, block=40)
    assert ended.survivors == ("a", "c")
    drop = ended.dropped["b"]
    assert (drop.n_seen, drop.score, drop.against_score) == (40, 0.0, 1.0)
    assert ended.evaluations_used == 200 + 40 + 200
    assert ended.expected == {"b": 0.0}


def test_the_expected_score_of_the_dropped_allows_for_how_hard_their_examples_were():
    scores = np.stack([np.r_[np.ones(40), np.tile([1.0, 0.0], 80)], np.r_[np.tile([1.0, 0.0], 20), np.zeros(160)]])
    ended = raced(scores, block=40)
    assert ended.dropped["b"].score == 0.5
    assert ended.expected["b"] == pytest.approx(0.6 + 0.5 - 1.0)


def test_safe_ones_and_the_last_of_the_others_stay():
    scores = np.stack([np.ones(200), np.zeros(200), np.zeros(200)])
    assert raced(scores, never_drop=("a", "b", "c")).dropped == {}
    ended = raced(scores, never_drop=("a",))
    assert len(ended.dropped) == 1
    assert len(ended.survivors) == 2


def test_scores_outside_0_to_1_are_refused():
    with pytest.raises(RunError, match="'a'"):
        raced(np.full((2, 10), 1.5))
