"""Forecasts of a training, from the moments of its first steps."""

import pytest

from llmtl.tuning.first_steps import step_seconds


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ([2.0, 9.0, 10.0, 11.5], 1.25),  # the first step warms up
        ([2.0, 9.0, 10.0], 1.0),
        ([2.0, 9.0], 7.0),
        ([2.0], 0.0),
    ],
)
def test_a_step_takes_what_those_after_the_first_took(moments, expected):
    assert step_seconds(moments) == pytest.approx(expected)
