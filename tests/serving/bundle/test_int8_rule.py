"""When answers in int8 stay: one near tie of few inputs refuses nothing, and train hides nothing that test shows."""

import pytest

from llmtl.serving.bundle.int8_form import _stay


@pytest.mark.parametrize(
    ("unseen", "train", "stay"),
    [
        ((108, 108), (0, 0), True),
        ((107, 108), (0, 0), False),
        ((107, 108), (500, 500), True),
        ((105, 108), (1892, 1892), False),
        ((400, 400), (1580, 1600), False),
        ((398, 400), (1592, 1600), True),
    ],
)
def test_answers_stay_among_all_and_not_surprisingly_few_of_those_that_no_model_learned(unseen, train, stay):
    apart, learned = ([at < agreed for at in range(count)] for agreed, count in (unseen, train))
    assert _stay(apart, [*apart, *learned]) is stay
