"""Strategies that their time limit stopped: which of them might have won, and which could not have."""

from dataclasses import replace

import pytest

from llmtl.decision.choice import choose
from llmtl.decision.cut_rivals import CutRival
from llmtl.decision.decide import decide
from llmtl.findings import Cut, Unit
from tests.support.decision_worlds import CONFIG, PRICES, TASK, evaluation, exactly

RISING = Cut(1.2, 10, Unit.EPOCHS, improving=True)
FLAT = replace(RISING, improving=False)


def rivals(cuts, *, tfidf=0.8, qlora=0.6, n=100, name="qlora", config=CONFIG):
    """Return who might have won where `name` was cut."""

    def measured(split):
        return [
            evaluation(
                each,
                exactly(right, n),
                split=split,
                **({"cuts": cuts, "train_seconds": 60.0} if each == name else {}),
            )
            for each, right in (("tfidf", tfidf), ("qlora", qlora))
        ]

    dev = measured("dev")
    choice = choose(TASK, dev, config=config, prices=PRICES, written_at="now")
    made = decide(TASK, choice, dev=dev, test=measured("test"), config=config, prices=PRICES)
    assert made.result(name).cuts == cuts
    return [item for item in made.cautions if isinstance(item, CutRival)]


def test_one_that_was_still_improving_might_have_won_however_far_behind():
    [found] = rivals((RISING,))
    assert (found.strategy, found.cuts, found.split, found.improving) == ("qlora", (RISING,), "test", True)
    assert found.gap == pytest.approx(0.2)
    assert found.more_seconds == pytest.approx(60 * (10 / 1.2 - 1))


def test_one_that_had_stopped_improving_might_not():
    assert rivals((FLAT,)) == []
    assert rivals((FLAT,), qlora=0.79) == []


@pytest.mark.parametrize("unit", [Unit.EPOCHS, Unit.STEPS])
def test_a_training_of_which_nobody_knows_whether_it_improved_might_have_won_however_far_behind(unit):
    [found] = rivals((Cut(1.2, 10, unit),), qlora=0.3)
    assert (found.strategy, found.improving, found.gap) == ("qlora", False, pytest.approx(0.5))


def test_one_that_saw_a_part_of_train_might_have_won_where_its_error_would_fall_far_enough_with_all_of_it():
    part = Cut(500, 2000, Unit.EXAMPLES)
    assert len(rivals((part,), tfidf=0.8, qlora=0.4)) == 1  # 60 of 100 wrong, 15 with four times the labels
    assert rivals((part,), tfidf=0.96, qlora=0.2) == []  # 80 of 100 wrong, about 18 with all labels
    assert rivals((replace(part, done=1990),), qlora=0.6) == []


@pytest.mark.parametrize("unit", [Unit.WINDOWS, Unit.SETTINGS, Unit.PROMPTS])
def test_where_a_part_of_a_search_was_left_out_the_interval_must_reach_the_winner(unit):
    part = Cut(3, 12, unit)
    assert rivals((part,)) == []
    [found] = rivals((part,), qlora=0.78)
    assert (found.strategy, found.improving) == ("qlora", False)


def test_a_dearer_one_has_no_chance_where_the_winner_leaves_no_room_above_the_margin():
    assert rivals((RISING,), tfidf=0.99, qlora=0.9) == []
    assert len(rivals((RISING,), tfidf=0.97, qlora=0.9)) == 1


def test_the_winner_is_not_its_own_rival_and_nobody_is_where_nothing_was_cut():
    assert rivals((RISING,), name="tfidf") == []
    assert rivals(()) == []


def test_the_rest_of_a_fit_that_did_nothing_cannot_be_forecast():
    [found] = rivals((replace(RISING, done=0.0),))
    assert found.more_seconds is None
