"""Both orders of a pair, and what needs no judge."""

import pytest

from llmtl.judging.pairs import Outcome, Showing, outcomes, showings

BOTH = [
    ("A", "B", Outcome.A),
    ("B", "A", Outcome.B),
    ("tie", "tie", Outcome.TIE),
    ("A", "A", Outcome.TIE),
    ("B", "B", Outcome.TIE),
    ("A", "tie", Outcome.TIE),
    ("tie", "A", Outcome.TIE),
    ("A", None, Outcome.FAILURE),
    (None, "B", Outcome.FAILURE),
    (None, None, Outcome.FAILURE),
]


@pytest.mark.parametrize(("forward", "backward", "expected"), BOTH)
def test_only_a_preference_in_both_orders_wins(forward, backward, expected):
    pairs = [("one", "two")]
    answers = {Showing(0, "one", "two"): forward, Showing(0, "two", "one"): backward}
    assert set(showings(pairs)) == set(answers)
    [found] = outcomes(pairs, answers)
    assert found.outcome is expected
    assert found.asked
    assert found.consistent == ((forward, backward) in {("A", "B"), ("B", "A"), ("tie", "tie")})
    assert found.readable == (None not in (forward, backward))


def test_identical_and_failed_outputs_are_settled_without_a_question():
    pairs = [("same", "same "), (None, None), ("some", None), (None, "some")]
    assert showings(pairs) == []
    found = outcomes(pairs, {})
    assert [item.outcome for item in found] == [Outcome.TIE, Outcome.TIE, Outcome.A, Outcome.B]
    assert not any(item.asked or item.readable or item.consistent for item in found)
