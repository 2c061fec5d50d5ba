"""The rules that name the shape of a training, on curves whose shape is known."""

import math
from dataclasses import replace

import pytest

from llmtl.decision.training_shape import LearningPace, TrainingEnd, shape_of
from llmtl.findings import TrainingCurve, TrainingPoint
from llmtl.report.transfer_words import curve as told


def curve(train, dev, scores=None, *, per_epoch=1, before=None):
    """Return the curve of losses and scores after each measurement, `per_epoch` of them in an epoch.

    `before` is the dev loss before the first step.
    """
    points = [] if before is None else [TrainingPoint(0, 0.0, None, before, None, 0.0)]
    for at, (lost, on_dev) in enumerate(zip(train, dev, strict=True), 1):
        score = None if scores is None else scores[at - 1]
        points.append(TrainingPoint(10 * at, at / per_epoch, lost, on_dev, None, float(at), score))
    return TrainingCurve(
        points=tuple(points),
        best_step=10,
        stopped_by="max epochs",
        learning_rate=1e-4,
        learning_rate_from="recipe",
        batch=16,
        accumulation=1,
        train_examples=160,
        dropped_train_examples=0,
        dropped_dev_examples=0,
        trained_tokens=1000,
        peak_memory_gib=1.0,
        dev_metric="" if scores is None else "accuracy",
    )


def fading(share_left, epochs=10, *, start=2.0, end=0.5):
    """Return losses of which in each epoch that part of the way to the end is left."""
    return [end + (start - end) * share_left**epoch for epoch in range(1, epochs + 1)]


def named(found):
    return found.pace, found.ending


@pytest.mark.parametrize(
    ("share_left", "pace"),
    [
        (0.2, LearningPace.FAST),
        (0.44, LearningPace.FAST),
        (0.5, LearningPace.STEADY),
        (0.65, LearningPace.STEADY),
        (0.8, LearningPace.SLOW),
    ],
)
def test_the_pace_is_the_part_of_the_gain_that_is_there_after_two_epochs(share_left, pace):
    losses = fading(share_left, epochs=20)
    found = shape_of(curve(losses, losses, before=2.0))
    assert named(found) == (pace, TrainingEnd.LEVEL)
    assert found.early == pytest.approx((1 - share_left**2) / (1 - share_left**20))


def test_a_steady_climb_over_all_epochs_is_slow_and_has_not_converged():
    losses = [2.0 - 0.15 * epoch for epoch in range(1, 11)]
    found = shape_of(curve(losses, losses, before=2.0))
    assert named(found) == (LearningPace.SLOW, TrainingEnd.CLIMBING)
    assert found.early == pytest.approx(0.2)


def test_scores_begin_where_an_answer_that_never_changes_is():
    losses, scores = fading(0.5, 6), [0.55, 0.62, 0.7, 0.75, 0.75, 0.75]
    assert shape_of(curve(losses, losses, scores), start_score=0.5).pace is LearningPace.SLOW
    assert shape_of(curve(losses, losses, scores), start_score=0.0).pace is LearningPace.FAST
    assert shape_of(curve(losses, losses, scores)).pace is LearningPace.UNKNOWN


def test_several_measurements_per_epoch_are_read_by_their_epochs():
    losses = fading(0.6, 16)
    found = shape_of(curve(losses, losses, before=2.0, per_epoch=4))
    assert named(found) == (LearningPace.FAST, TrainingEnd.CLIMBING if found.early < 0.95 else TrainingEnd.LEVEL)
    assert found.epochs == 4.0


def test_dev_loss_that_rises_while_train_loss_falls_is_over_fitting():
    train, dev = fading(0.3, 8, end=0.01), [0.9, 0.7, 0.68, 0.7, 0.75, 0.82, 0.9, 1.0]
    assert named(shape_of(curve(train, dev, before=2.0))) == (LearningPace.FAST, TrainingEnd.OVERFITTED)
    tiny = [0.01, 0.008, 0.007, 0.009, 0.009, 0.0095, 0.01, 0.011]
    assert shape_of(curve(train, tiny, before=2.0)).ending is TrainingEnd.LEVEL


def test_where_the_score_holds_a_rising_dev_loss_is_over_confidence():
    train, dev = fading(0.3, 6, end=0.01), [0.9, 0.7, 0.68, 0.75, 0.82, 0.9]
    held, fallen = [0.6, 0.7, 0.75, 0.76, 0.75, 0.75], [0.6, 0.7, 0.75, 0.76, 0.7, 0.68]
    assert shape_of(curve(train, dev, held), start_score=0.25).ending is TrainingEnd.OVERCONFIDENT
    assert shape_of(curve(train, dev, fallen), start_score=0.25).ending is TrainingEnd.OVERFITTED


def test_a_slow_beginning_of_few_steps_says_little_of_the_model():
    slow = fading(0.85, 8)
    found = shape_of(curve(slow, slow, before=2.0))
    assert (found.early_steps, found.few_steps) == (20, False)
    assert "the pre-trained model may not fit this domain" in told("encoder", found)
    few = replace(found, early_steps=4)
    assert "two epochs are 4 steps here, so that this says little of the model" in told("encoder", few)
    assert "as random weights do" in told("from-scratch", found, random=True)


@pytest.mark.parametrize(
    ("train", "dev"),
    [
        ([2.0, 1.5, None], [1.9, 1.8, 2.5]),
        ([2.0, 1.5, 1.2], [1.9, 1.8, None]),
        ([2.0, 3.0, 5.0], [2.2, 3.5, 6.0]),
    ],
    ids=["train loss is not a number", "dev loss is not a number", "train loss blows up"],
)
def test_a_loss_that_is_no_number_or_blows_up_is_divergence(train, dev):
    assert shape_of(curve(train, dev, before=2.0)).ending is TrainingEnd.DIVERGED


def test_dev_that_was_never_better_than_before_shows_that_nothing_was_learned():
    losses, scores = [2.08, 2.08, 2.07, 2.07], [0.125, 0.1, 0.125, 0.125]
    assert shape_of(curve(losses, losses, scores), start_score=0.125).pace is LearningPace.NOTHING_LEARNED


def test_a_loss_that_hardly_falls_shows_that_nothing_was_learned():
    hardly, losses = [0.5 - 0.001 * at for at in range(1, 7)], fading(0.3, 6)
    assert shape_of(curve(losses, hardly, before=0.5)).pace is LearningPace.NOTHING_LEARNED
    assert "clearly better than before training" in told("lora", shape_of(curve(losses, hardly, before=0.5)))
    assert shape_of(curve(losses, [0.4, 0.35, 0.34, 0.34, 0.34, 0.34], before=0.5)).pace is LearningPace.FAST


def test_a_training_cut_within_its_first_epoch_whose_beginning_is_not_known_has_no_ending():
    losses, scores = fading(0.5, 3), [0.5, 0.6, 0.7]
    assert named(shape_of(curve(losses, losses, scores, per_epoch=4))) == (LearningPace.UNKNOWN, TrainingEnd.UNKNOWN)


def test_too_few_epochs_and_training_without_dev_have_no_pace():
    assert shape_of(curve([1.0, 0.5], [1.0, 0.5], before=2.0)).pace is LearningPace.UNKNOWN
    without = curve([1.0, 0.6, 0.5, 0.45], [None] * 4)
    assert named(shape_of(without)) == (LearningPace.UNKNOWN, TrainingEnd.UNKNOWN)


def test_only_a_fast_training_that_levels_off_or_over_fits_looks_as_if_it_had_transferred():
    fast, slow = fading(0.2, 8), fading(0.85, 8)
    assert shape_of(curve(fast, fast, before=2.0)).transferred
    assert not shape_of(curve(slow, slow, before=2.0)).transferred
    assert math.isclose(shape_of(curve(fast, fast, before=2.0)).early or 0.0, 0.96, abs_tol=0.01)
