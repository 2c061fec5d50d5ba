from dataclasses import replace

import numpy as np
import pytest
from report_factory import LABELS, few_rows, make_content, many_labels, with_failures
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from llmtl.metrics.calibration import expected_calibration_error
from llmtl.report.confusion import FAILED, confusion_of
from llmtl.report.disagreement import LONGEST_TEXT, find_disagreements
from llmtl.report.reliability import BINS, reliability_of
from llmtl.report.view import build_view, reading
from llmtl.task import Example


def measured_on_test(content, strategy="qlora"):
    return next(e for e in content.evaluations if e.strategy == strategy and e.split == "test")


def test_confusion_counts_are_those_of_scikit_learn():
    evaluation = measured_on_test(make_content(), "tfidf")
    predicted = [prediction.answer for prediction in evaluation.predictions]
    expected = confusion_matrix(evaluation.references, predicted, labels=LABELS)
    confusion = confusion_of(evaluation, LABELS)
    assert np.array_equal(confusion.counts, expected)
    shares = confusion_matrix(evaluation.references, predicted, labels=LABELS, normalize="true")
    assert confusion.share(1, 2) == pytest.approx(shares[1, 2])


def test_failures_get_a_column_and_count_as_mistakes():
    confusion = confusion_of(measured_on_test(with_failures()), LABELS)
    assert confusion.columns == (*LABELS, FAILED)
    assert sum(row[-1] for row in confusion.counts) == 5
    assert sum(map(sum, confusion.counts)) == 96
    assert sum(mistake.count for mistake in confusion.mistakes() if mistake.predicted == FAILED) == 5


def test_mistakes_come_most_frequent_first():
    counts = [mistake.count for mistake in confusion_of(measured_on_test(make_content(), "tfidf"), LABELS).mistakes(5)]
    assert len(counts) == 5
    assert counts == sorted(counts, reverse=True)


def test_labels_outside_the_task_are_shown_too():
    evaluation = measured_on_test(make_content())
    odd = replace(evaluation.predictions[0], answer="something else")
    confusion = confusion_of(replace(evaluation, predictions=(odd, *evaluation.predictions[1:])), LABELS)
    assert confusion.rows[-1] == "something else"


def test_reliability_bins_are_those_of_scikit_learn_and_add_up_to_the_error():
    evaluation = measured_on_test(make_content(), "zero-shot")
    rows = [prediction.probabilities for prediction in evaluation.predictions]
    reliability = reliability_of(evaluation)
    confidence = [max(row.values()) for row in rows]
    right = [max(row, key=row.get) == truth for row, truth in zip(rows, evaluation.references, strict=True)]
    accuracies, confidences = calibration_curve(right, confidence, n_bins=BINS)
    assert [group.accuracy for group in reliability.bins] == pytest.approx(accuracies.tolist())
    assert [group.confidence for group in reliability.bins] == pytest.approx(confidences.tolist())
    total = sum(group.n * abs(group.accuracy - group.confidence) for group in reliability.bins) / evaluation.n
    assert reliability.ece == pytest.approx(total)
    assert reliability.ece == pytest.approx(expected_calibration_error(evaluation.references, rows, bins=BINS))


def test_no_reliability_without_probabilities():
    evaluation = measured_on_test(make_content())
    bare = tuple(replace(prediction, probabilities={}) for prediction in evaluation.predictions)
    assert reliability_of(replace(evaluation, predictions=bare)) is None


def test_disagreements_leave_out_constant_strategies_and_come_most_informative_first():
    content = make_content()
    found = find_disagreements(content)
    assert found.constant == ("majority",)
    answers = {e.strategy: e.predictions for e in content.evaluations if e.split == "test" and e.strategy != "majority"}
    differing = [i for i in range(96) if len({labels[i].answer for labels in answers.values()}) > 1]
    assert found.total == len(differing)
    pairs = [len(each.right_strategies) * (5 - len(each.right_strategies)) for each in found.shown]
    assert pairs == sorted(pairs, reverse=True)
    assert pairs[0] == 6
    first = found.shown[0]
    assert first.winner_right == ("qlora" in first.right_strategies)
    assert sum(len(answer.strategies) for answer in first.answers) == 5


def test_disagreements_are_capped_and_long_texts_cut():
    content = many_labels()
    long = tuple(Example(e.id, "word " * 400, e.reference) for e in content.test_examples)
    found = find_disagreements(replace(content, test_examples=long), most=7)
    assert len(found.shown) == 7 < found.total
    assert all(len(each.text) <= LONGEST_TEXT + 2 for each in found.shown)


def test_predictions_in_another_order_are_matched_by_id():
    content = make_content()
    shuffled = tuple(
        replace(e, predictions=e.predictions[::-1], references=e.references[::-1]) if e.strategy == "tfidf" else e
        for e in content.evaluations
    )
    assert find_disagreements(replace(content, evaluations=shuffled)) == find_disagreements(content)


def test_rows_are_sorted_by_test_and_untested_strategies_come_last():
    names = [row.result.name for row in build_view(with_failures()).rows]
    assert names[0] == "qlora"
    assert names[-1] == "knn-few-shot"


def test_the_winner_leads_among_equals():
    rows = build_view(few_rows()).rows
    assert rows[0].result.test.value == rows[1].result.test.value
    assert rows[0].winner


def test_learning_curve_tolerates_missing_values_and_marks_the_kept_checkpoint():
    content = make_content()
    details = {"learning_curve": [{"step": 20, "dev_loss": 0.5}, {"step": 10, "train_loss": 1.0}, {}], "best_step": 20}
    points = build_view(replace(content, details={"qlora": details})).learning_curves["qlora"]
    assert [(p.step, p.train_loss, p.dev_loss, p.kept) for p in points] == [
        (0.0, None, None, False),
        (10.0, 1.0, None, False),
        (20.0, None, 0.5, True),
    ]


def test_the_chosen_candidate_is_marked():
    chosen = [each for each in build_view(make_content()).candidates["few-shot"] if each.chosen]
    assert len(chosen) == 1
    assert chosen[0].dev_accuracy == max(
        each.dev_accuracy for each in build_view(make_content()).candidates["few-shot"]
    )


def test_reading_follows_the_corrected_p_value():
    better, _, unclear = make_content().decision.comparisons
    assert reading(better) == "qlora is better"
    assert reading(replace(better, difference=-0.1)) == "tfidf is better"
    assert unclear.p < 0.05 < unclear.p_holm
    assert reading(unclear) == "no difference shown"
