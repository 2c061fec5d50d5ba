"""Mistakes in sentences, and the table by label beside the best rival, of every kind that has labels."""

from dataclasses import replace

import pytest

from llmtl.answers import Span, write_labels, write_spans
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.report.by_label import best_rival, label_table
from llmtl.report.mix_ups import mix_ups
from llmtl.strategy import Prediction
from tests.support.decision_worlds import evaluation
from tests.support.report_factory import make_content, many_labels


def answering(references, answers, **changes):
    made = evaluation("qlora", [True] * len(references), intervals=False)
    predictions = tuple(Prediction(f"test-{i}", answer) for i, answer in enumerate(answers))
    return replace(made, references=tuple(references), predictions=predictions, **changes)


def told(winner):
    return [each.sentence for each in mix_ups(winner)]


def test_a_label_is_taken_for_another_so_many_times_of_all():
    references = ["repairs"] * 12 + ["billing"] * 6
    answers = ["billing"] * 9 + ["repairs"] * 3 + ["billing"] * 3 + [None] * 2 + ["repairs"]
    assert told(answering(references, answers)) == [
        "'repairs' is taken for 'billing' 9 of 12 times.",
        "'billing' gets no valid answer 2 of 6 times.",
    ]
    assert told(answering(references, references)) == []


def test_a_single_mistake_is_told_where_none_was_made_twice():
    assert told(answering(["a", "b", "b"], ["a", "b", "a"])) == ["'b' is taken for 'a' 1 of 2 times."]


def test_a_label_of_a_set_is_missed_or_given_wrongly():
    both, first, second = (write_labels(labels, "ab") for labels in ("ab", "a", "b"))
    answers = [second] * 7 + [both] * 4
    assert told(answering([both] * 9 + [first] * 2, answers, kind=MULTI_LABEL)) == [
        "'a' is missed 7 of 11 times.",
        "'b' is given 11 times, 2 of them wrongly.",
    ]


def test_a_span_has_wrong_borders_or_the_wrong_type_or_is_missed():
    def spans(*found):
        return write_spans([Span(start, end, type_, "x" * (end - start)) for type_, start, end in found])

    references = [spans(("date", 0, 4), ("time", 6, 9))] * 4 + [spans(("date", 0, 4))] * 3
    answers = [spans(("date", 0, 3), ("date", 6, 9))] * 4 + [spans()] * 2 + [None]
    assert told(answering(references, answers, kind=EXTRACTION)) == [
        "Type 'time' is taken for 'date' 4 of 4 times.",
        "Type 'date' is found with wrong borders 4 of 7 times.",
        "'date' is missed 3 of 7 times.",
    ]


def test_the_table_has_the_best_rival_beside_the_winner():
    content = make_content()
    rival = best_rival(content.decision)
    assert rival == "knn-few-shot"
    by_name = {each.strategy: each for each in content.evaluations if each.split == "test"}
    table = label_table(by_name["qlora"], by_name[rival], content.task.labels)
    assert [row.label for row in table.rows] == list(content.task.labels)
    other = label_table(by_name[rival], None, content.task.labels)
    assert [row.rival_f1 for row in table.rows] == [row.f1 for row in other.rows]
    assert {row.rival_f1 for row in other.rows} == {None}


def test_of_many_labels_the_ten_worst_are_shown_the_worst_first():
    content = many_labels()
    winner = next(each for each in content.evaluations if each.strategy == "qlora" and each.split == "test")
    table = label_table(winner, None, content.task.labels)
    f1 = [row.f1.value for row in table.worst]
    assert (table.small, len(table.rows), len(f1)) == (False, 77, 10)
    assert f1 == sorted(f1)
    assert f1[-1] <= min(row.f1.value for row in table.rows if row not in table.worst)


@pytest.mark.parametrize("rows", [1, 20])
def test_up_to_twenty_labels_are_shown_in_the_task_s_order(rows):
    labels = tuple(f"label {i}" for i in range(rows))
    table = label_table(answering(["label 0"], ["label 0"], labels=labels), None, labels)
    assert table.worst == table.rows
