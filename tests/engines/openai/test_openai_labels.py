"""Labels read from text and from the likeliest tokens; the numbers are worked out by hand."""

import math

import pytest

from llmtl.engines.openai.labels import probabilities, stated
from llmtl.engines.openai.replies import Step

LABELS = ("billing", "card lost", "card new", "card")


def step(written, **likeliest):
    return Step(written, {token: math.log(value) for token, value in likeliest.items()})


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("billing", 0),
        (" Billing.\n", 0),
        ('**"card lost"**', 1),
        ("CARD  lost", 1),
        ("card", 3),
        ("card lost or new", None),
        ("The label is billing", None),
        ("", None),
    ],
)
def test_an_answer_is_read_whatever_stands_around_it(text, index):
    assert stated(text, LABELS) == index


def test_labels_that_differ_in_case_alone_are_told_apart():
    assert [stated(text, ("US", "us")) for text in ("us", "US", "Us")] == [1, 0, 0]


def test_one_token_labels_are_renormalised():
    found = probabilities([step("yes", yes=0.6, no=0.2, maybe=0.1)], ("yes", "no", "never"))
    assert found == pytest.approx((0.75, 0.25, 0.0))


def test_probabilities_are_products_along_the_written_answer():
    steps = [step("card", card=0.5, billing=0.3, **{"Sure": 0.2}), step(" lost", **{" lost": 0.6, " new": 0.2})]
    # "card" on its own cannot be told from the tokens after it, of which none ends it
    assert probabilities(steps, LABELS[:3]) == pytest.approx((0.375, 0.625 * 0.75, 0.625 * 0.25))


def test_a_token_that_goes_on_with_no_longer_label_ends_the_shorter_one():
    steps = [step("card", card=0.8, billing=0.2), step("<|end|>", **{"<|end|>": 0.5, " lost": 0.25, " new": 0.25})]
    assert probabilities(steps, LABELS) == pytest.approx((0.2, 0.2, 0.2, 0.4))


def test_the_end_of_the_reply_ends_the_shorter_label_too():
    steps = [step("card", card=0.8, billing=0.2)]
    assert probabilities(steps, LABELS) == pytest.approx((0.2, 0.0, 0.0, 0.8))


def test_labels_behind_another_token_share_it():
    steps = [step("billing", billing=0.6, card=0.4)]
    assert probabilities(steps, LABELS) == pytest.approx((0.6, 0.4 / 3, 0.4 / 3, 0.4 / 3))


def test_a_first_token_with_a_space_and_pieces_of_words():
    steps = [step(" bill", **{" bill": 0.4, "c": 0.4, "b": 0.2}), step("ing", ing=1.0)]
    # "b" goes on with billing as well
    assert probabilities(steps, LABELS) == pytest.approx((0.6, 0.4 / 3, 0.4 / 3, 0.4 / 3))


def test_a_reply_that_begins_no_label_still_ranks_those_listed():
    steps = [step("The", The=0.9, billing=0.06, card=0.04)]
    assert probabilities(steps, ("billing", "card")) == pytest.approx((0.6, 0.4))


@pytest.mark.parametrize("steps", [[], [step("The", The=1.0)]])
def test_nothing_listed_tells_nothing(steps):
    assert probabilities(steps, LABELS) is None
