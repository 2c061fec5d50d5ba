"""What findings say of themselves."""

from dataclasses import replace

import pytest

from llmtl.findings import Cut, TrainingCurve, TrainingPoint, Unit


def curve(*dev_losses: float | None, stopped_by: str = "budget", best_step: int) -> TrainingCurve:
    points = tuple(TrainingPoint(10 * at, at / 2, 1.0, loss, None, float(at)) for at, loss in enumerate(dev_losses))
    return TrainingCurve(points, best_step, stopped_by, 1e-3, "recipe", 16, 1, 160, 0, 0, 1000, 1.0)


@pytest.mark.parametrize(
    ("losses", "best_step", "improving"),
    [
        ((2.0, 1.5, 1.2), 20, True),
        ((2.0, 1.2, 1.5), 10, None),  # may be noise
        ((1.0, 1.2, 1.5), 0, False),
        ((2.0, 1.5, None), 20, None),  # not measured at the end
    ],
)
def test_a_training_that_its_limit_ended_says_whether_it_was_improving(losses, best_step, improving):
    assert curve(*losses, best_step=best_step).cut(10) == (Cut(1.0, 10, Unit.EPOCHS, improving),)


def test_a_training_that_ended_by_itself_or_at_the_last_epoch_was_not_cut():
    found = curve(2.0, 1.5, 1.2, best_step=20)
    assert found.cut(1) == ()
    assert replace(found, stopped_by="early stopping").cut(10) == ()
