"""Both orders of a pair, and what needs no judge."""

import pytest

from llmtl.judging.pairs import PairOutcome, Showing, outcomes, showings

BOTH = [
    ("A", "B", PairOutcome.A),
    ("B", "A", PairOutcome.B),
    ("tie", "tie", PairOutcome.TIE),
    ("A", "A", PairOutcome.TIE),
    ("B", "B", PairOutcome.TIE),
    ("A", "tie", PairOutcome.TIE),
    ("tie", "A", PairOutcome.TIE),
    ("A", None, PairOutcome.FAILURE),
    (None, "B", PairOutcome.FAILURE),
    (None, None, PairOutcome.FAILURE),
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
    assert [item.outcome for item in found] == [PairOutcome.TIE, PairOutcome.TIE, PairOutcome.A, PairOutcome.B]
    assert not any(item.asked or item.readable or item.consistent for item in found)
