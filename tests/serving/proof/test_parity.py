"""The rule of the parity check, by hand-made answers; the check over a live endpoint is in test_serve_classifier."""

from dataclasses import replace

import pytest

from llmtl.serving.announcement import parity_line
from llmtl.serving.bundle.manifest import Recorded
from llmtl.serving.proof.parity import Replayed, chosen, judge

SURE = {"a": 0.9, "b": 0.08, "c": 0.02}
TIED = {"a": 0.404, "b": 0.395, "c": 0.201}


def row(index=0, *, label="a", probabilities=SURE):
    return Recorded(id=str(index), text=f"text {index}", reference="a", prediction=label, probabilities=probabilities)


def answers(label, probabilities=SURE):
    return Replayed(chat=label, predict=label, probabilities=probabilities)


def test_equal_labels_pass_and_the_largest_difference_is_over_all_labels():
    parity = judge([row(0), row(1)], [answers("a"), answers("a", {"a": 0.9, "b": 0.05, "c": 0.05})])
    assert parity.passed
    assert (parity.agreed, parity.compared, parity.agreement) == (2, 2, 1.0)
    assert parity.largest_difference == pytest.approx(0.03)


def test_one_near_tie_in_200_passes():
    rows = [row(index) for index in range(199)] + [row(199, probabilities=TIED)]
    parity = judge(rows, [answers("a")] * 199 + [answers("b", {"a": 0.399, "b": 0.4, "c": 0.201})])
    assert parity.passed
    [found] = parity.disagreements
    assert found.close
    assert (found.id, found.recorded, found.served) == ("199", "a", "b")
    assert found.recorded_probabilities == {"a": 0.404, "b": 0.395}
    assert found.served_probabilities == {"a": 0.399, "b": 0.4}


def test_two_near_ties_in_200_are_too_many():
    rows = [row(index, probabilities=TIED) for index in range(200)]
    parity = judge(rows, [answers("a")] * 198 + [answers("b")] * 2)
    assert all(found.close for found in parity.disagreements)
    assert not parity.passed


def test_one_far_disagreement_fails_however_many_agree():
    parity = judge([row(index) for index in range(1000)], [answers("a")] * 999 + [answers("b")])
    assert parity.agreement > 0.995
    assert not parity.passed


def test_a_label_that_was_not_nearly_the_top_is_no_near_tie():
    assert not judge([row(0, probabilities=TIED)], [answers("c")]).disagreements[0].close


@pytest.mark.parametrize("served", [Replayed("a", "b", SURE), Replayed("b", "a", SURE)])
def test_both_routes_must_give_the_recorded_label(served):
    parity = judge([row(0)], [served])
    assert parity.disagreements[0].served == "b"


def test_a_recorded_failure_must_be_refused():
    failed = row(0, label=None, probabilities={})
    assert judge([failed], [Replayed()]).agreed == 1
    assert not judge([failed], [answers("a")]).passed


def test_a_refusal_of_what_was_answered_fails():
    [found] = judge([row(0)], [Replayed()]).disagreements
    assert (found.served, found.close, found.served_probabilities) == (None, False, {"a": 0.0})


def test_the_choice_is_the_same_every_time_in_the_recorded_order():
    rows = [row(index) for index in range(50)]
    some = chosen(rows, 10)
    assert some == chosen(rows, 10)
    assert len(some) == 10
    assert [int(item.id) for item in some] == sorted(int(item.id) for item in some)
    assert chosen(rows, None) == chosen(rows, 500) == tuple(rows)


def test_answers_without_probabilities_need_the_share_alone():
    rows = [row(index, label="some text", probabilities={}) for index in range(200)]
    one_off = [answers("some text", {})] * 199 + [answers("another", {})]
    parity = judge(rows, one_off, ties=False)
    assert parity.passed
    [found] = parity.disagreements
    assert (found.close, found.recorded_probabilities, found.served_probabilities) == (False, {}, {})
    assert not judge(rows, one_off).passed
    assert not judge(rows, [*one_off[1:], answers("another", {})], ties=False).passed
    assert parity_line(parity, labels=False) == "Parity: 199 of 200 recorded answers"


def test_only_probabilities_that_were_compared_are_spoken_of():
    assert parity_line(judge([row(0)], [answers("a")])) == (
        "Parity: 1 of 1 recorded labels, probabilities within 0 of what was measured"
    )
    untold = judge([row(0)], [answers("a", {})])  # a provider may have stopped telling them
    assert parity_line(untold) == "Parity: 1 of 1 recorded labels"
    assert not untold.compared_probabilities


@pytest.mark.parametrize(
    ("abstain", "probabilities", "differs"),
    [(False, SURE, 0), (True, SURE, 1), (True, {"a": 0.795, "b": 0.2, "c": 0.005}, 0)],
)
def test_what_is_left_to_a_person_must_be_what_was_measured_but_for_rounding(abstain, probabilities, differs):
    served = Replayed("a", "a", probabilities, abstain=abstain)
    parity = judge([row(0, probabilities=probabilities)], [served], threshold=0.79)
    assert (parity.abstentions_differ, parity.passed) == (differs, not differs)
    assert ("otherwise than measured" in parity_line(parity)) == bool(differs)


@pytest.mark.parametrize(
    ("confidence", "said", "differs"), [(0.9, "a", 1), (0.82, "a", 0), (0.7, "a", 0), (0.9, "another", 0)]
)
def test_a_written_answer_is_left_to_a_person_as_measured_but_for_rounding_over_its_tokens(confidence, said, differs):
    written = replace(row(0, probabilities={}), confidence=confidence)
    parity = judge([written], [Replayed(said, said, abstain=True)], ties=False, threshold=0.79)
    assert parity.abstentions_differ == differs
    assert parity.passed is (said == "a" and not differs)


def test_without_a_threshold_nothing_is_said_of_abstaining():
    assert judge([row(0)], [answers("a")]).abstentions_differ is None
