"""What is said of a strength of consolidation that was searched: which one, why, and what each trial measured."""

import pytest

from llmtl.decision.transferred import ChosenStrength, Transferred
from llmtl.findings import TriedStrength
from llmtl.report.transfer_words import strengths

NONE, TENTH, ONE = (
    TriedStrength(0.0, 0.52, 0.45, 0.6),
    TriedStrength(0.1, 0.2, 0.15, 0.25),
    TriedStrength(1.0, 0.04, -0.01, 0.08),
)


def told(*tried, most=0.1):
    [line] = strengths(Transferred(consolidation={"lora": ChosenStrength(tried, most)}))
    return line


def test_the_strength_in_use_and_all_that_was_tried_are_told():
    assert told(NONE, TENTH, ONE) == (
        "lora: elastic weight consolidation has the strength 1: of 0, 0.1 and 1 it is the first that holds. On "
        "passages kept for this choice, general English became harder to predict by 52.0% (at most 60.0%) with 0, "
        "20.0% (at most 25.0%) with 0.1 and 4.0% (at most 8.0%) with 1; 10.0% is the limit."
    )


@pytest.mark.parametrize(
    ("tried", "most", "said"),
    [
        ([TriedStrength(0.0, -0.01, -0.02, 0.0)], 0.1, "strength 0: the first that was tried holds."),
        ([NONE, TENTH], 0.1, "strength 0.1: it does not hold, and there was no time to try a stronger one."),
        ([NONE, TriedStrength(100.0, 0.3, 0.2, 0.4)], 0.1, "strength 100: it is the strongest, and not even that"),
        ([TriedStrength(0.0, None, None, None), ONE], 0.1, "by no number with 0 and 4.0% (at most 8.0%) with 1"),
        ([NONE, ONE], None, "strength 1: the last of 0 and 1, tried in turn."),
    ],
)
def test_why_it_is_that_one(tried, most, said):
    assert said in told(*tried, most=most)


def test_it_is_told_in_short_too():
    found = Transferred(consolidation={"lora": ChosenStrength((NONE, ONE), 0.1)})
    assert repr(found) == "<transfer: lora consolidated by 1>"
    assert strengths(Transferred()) == ()
