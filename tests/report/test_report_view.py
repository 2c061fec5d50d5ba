import json
from dataclasses import replace

import numpy as np
import pytest
import sacrebleu
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from llmtl.decision.outcome import Dropped
from llmtl.findings import TrainingPoint, TriedPrompt
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.kinds.text_retrieval import RETRIEVAL
from llmtl.learning_curve import conclude
from llmtl.metrics.calibration import expected_calibration_error
from llmtl.report.confusion import FAILED, confusion_of
from llmtl.report.disagreement import LONGEST_TEXT, find_disagreements, in_words
from llmtl.report.reliability import BINS, reliability_of
from llmtl.report.sentences import why_not
from llmtl.report.titled import titled
from llmtl.report.view import build_view, reading
from llmtl.task import Example, Metric
from tests.support.curve_worlds import exactly
from tests.support.report_factory import (
    LABELS,
    TOO_SLOW,
    few_rows,
    make_content,
    many_labels,
    searched,
    trained,
    with_failures,
)


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
    measured = ((20, None, 0.5), (10, 1.0, None), (0, None, None))
    curve = trained([TrainingPoint(step, 0.0, train, dev, None, 0.0) for step, train, dev in measured], best_step=20)
    points = build_view(replace(content, fit_findings={"qlora": (curve,)})).learning_curves["qlora"]
    assert [(p.step, p.train_loss, p.dev_loss, p.kept) for p in points] == [
        (0.0, None, None, False),
        (10.0, 1.0, None, False),
        (20.0, None, 0.5, True),
    ]


def test_the_chosen_candidate_is_marked():
    chosen = [each for each in build_view(make_content()).candidates["few-shot"] if each.chosen]
    assert len(chosen) == 1
    assert chosen[0].score == max(each.score for each in build_view(make_content()).candidates["few-shot"])


def test_candidates_are_read_in_the_metric_that_decides():
    content = make_content()
    found = searched([TriedPrompt(4, 0, {"accuracy": 0.5, "macro_f1": 0.25}, 0, 1.0)])
    content = replace(
        content, fit_findings={"few-shot": (found,)}, decision=replace(content.decision, metric="macro_f1")
    )
    assert [each.score for each in build_view(content).candidates["few-shot"]] == [0.25]


def raced(content):
    """Return the content with knn-few-shot dropped in the race and qlora trained three times."""
    drop = Dropped("knn-few-shot", 50, 200, "qlora", 0.4, 0.8, 0.45)
    results = tuple(
        replace(result, eligible=False)
        if result.name == "knn-few-shot"
        else replace(result, test=replace(result.test, seeds=3))
        if result.name == "qlora"
        else result
        for result in content.decision.strategies
    )
    choice = replace(content.decision.choice, dropped=(drop,))
    return replace(content, decision=replace(content.decision, strategies=results, choice=choice))


def test_who_could_not_be_chosen_has_a_short_standing_and_the_whole_reason():
    row = next(row for row in build_view(raced(make_content())).rows if row.result.name == "knn-few-shot")
    assert row.standing == "left the race after 50 of 200"
    assert row.why == ""  # the decision's reasons tell
    content = with_failures()
    row = next(row for row in build_view(content).rows if not row.result.eligible)
    assert (row.standing, row.why) == ("not eligible: max_p95_ms", TOO_SLOW)


def test_the_race_and_the_training_seeds_are_told_only_where_they_happened():
    told, plain = (" ".join(build_view(each).measured) for each in (raced(make_content()), make_content()))
    assert "knn-few-shot after 50 left" in told
    assert "qlora was trained 3 times" in told
    assert "raced" not in plain
    assert "trained" not in plain
    assert "What left was not asked about the rest of dev." in told


def test_what_the_searches_for_prompts_had_scored_before_the_race_is_counted():
    content = raced(make_content())
    choice = content.decision.choice
    searched = replace(choice, dropped=(replace(choice.dropped[0], tried=12, searched=200),))
    decision = replace(content.decision, choice=searched)
    told = " ".join(build_view(replace(content, decision=decision)).measured)
    assert (
        "What left was not asked about the rest of dev again; before, the searches for their prompts had scored "
        "12 prompts there, with 2,400 predictions."
    ) in told
    why = why_not(decision, replace(decision.result("knn-few-shot"), test=None))
    assert why.startswith("left the race after 50 of 200 dev examples")
    assert why.endswith("(before, to find its prompt, 12 prompts had been scored on 200 dev examples)")


def answering(kind, references, answers, labels=("city", "date")):
    """Return a content of one strategy with these answers on test."""
    metric = kind.metrics[0]
    content = make_content(("tfidf",), n_test=len(references), metric=metric.value, winner="tfidf")
    test = measured_on_test(content, "tfidf")
    labels = labels if kind is not GENERATION else ()
    predictions = tuple(
        replace(prediction, answer=answer) for prediction, answer in zip(test.predictions, answers, strict=True)
    )
    test = replace(test, kind=kind, labels=labels, references=tuple(references), predictions=predictions)
    examples = tuple(
        replace(example, reference=reference)
        for example, reference in zip(content.test_examples, references, strict=True)
    )
    task = replace(content.task, kind=kind, labels=labels, metric=metric)
    return replace(content, task=task, evaluations=(test,), test_examples=examples)


def spans(*found):
    return json.dumps([{"type": kind, "text": "x", "start": start, "end": start + 1} for kind, start in found])


def test_counts_by_type_are_those_of_the_metric_and_replace_the_confusion():
    references = [spans(("city", 0), ("date", 4)), spans(("city", 2)), spans(), spans(("date", 1))]
    answers = [spans(("city", 0), ("date", 5)), None, spans(("city", 0)), spans(("date", 1))]
    content = answering(EXTRACTION, references, answers)
    view = build_view(content)
    assert view.confusion is None
    rows = view.by_label.rows
    assert [(each.label, each.counts.expected, each.counts.right, each.missed, each.wrong) for each in rows] == [
        ("city", 2, 1, 1, 1),
        ("date", 2, 1, 1, 1),
    ]
    test = content.evaluations[0]
    micro, macro = (test.measure(metric) for metric in (Metric.MICRO_F1, Metric.MACRO_F1))
    right = sum(each.counts.right for each in rows)
    both = sum(each.counts.expected + each.counts.given for each in rows)
    assert 2 * right / both == pytest.approx(micro.value(micro.counts(answers).sum(axis=0)))
    assert np.mean([each.f1.value for each in rows]) == pytest.approx(
        float(macro.value(macro.counts(answers).sum(axis=0)))
    )


def test_counts_by_label_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    wanted, given = rng.random((2, 60, 3)) < 0.4
    wanted[0], given[0] = True, True
    names = np.array(["a", "b", "c"])
    texts = [[json.dumps(names[row].tolist()) for row in table] for table in (wanted, given)]
    view = build_view(answering(MULTI_LABEL, *texts, labels=("a", "b", "c")))
    precision, recall, expected_f1, support = precision_recall_fscore_support(wanted, given)
    rows = view.by_label.rows
    assert [each.precision.value for each in rows] == pytest.approx(precision.tolist())
    assert [each.recall.value for each in rows] == pytest.approx(recall.tolist())
    assert [each.f1.value for each in rows] == pytest.approx(expected_f1.tolist())
    assert [each.counts.expected for each in rows] == support.tolist()


def test_the_lowest_generated_answers_come_first_with_their_own_score():
    references = ["the red house", "a blue door", "one green tree"]
    answers = ["the red house", "nothing of it", "one green bush"]
    view = build_view(answering(GENERATION, references, answers))
    assert [each.reference for each in view.lowest] == ["a blue door", "one green tree", "the red house"]
    assert [each.score for each in view.lowest] == pytest.approx(
        [sacrebleu.sentence_chrf(answers[i], [references[i]]).score / 100 for i in (1, 2, 0)]
    )
    assert (view.confusion, view.by_label, view.mix_ups) == (None, None, ())
    assert view.no_labels.startswith("Precision and recall by label do not apply: answers are free texts")


def test_a_ranking_is_shown_by_its_first_texts():
    corpus = {str(number): f"text {number}" for number in range(5)} | {"9": "long " * 50}
    assert in_words('["3", "9", "1", "0", "2"]', RETRIEVAL, corpus) == (
        "“text 3”, “" + ("long " * 16).rstrip() + " …”, “text 1” and 2 more"
    )
    assert in_words('["3"]', RETRIEVAL, corpus) == "“text 3”"
    assert in_words('["3", "1"]', RETRIEVAL) == "3, 1"
    assert in_words(None, RETRIEVAL, corpus) == "(failed)"


@pytest.mark.parametrize(
    ("answer", "kind", "shown"),
    [
        (None, EXTRACTION, "(failed)"),
        ("[]", EXTRACTION, "(no span)"),
        (spans(("city", 0), ("date", 2)), EXTRACTION, "city: x; date: x"),
        ("[]", MULTI_LABEL, "(no label)"),
        ('["a", "b"]', MULTI_LABEL, "a, b"),
        ("[]", GENERATION, "[]"),
    ],
)
def test_answers_are_shown_in_words(answer, kind, shown):
    assert in_words(answer, kind) == shown


def test_reading_follows_the_corrected_p_value():
    better, _, unclear = make_content().decision.comparisons
    assert reading(better, 0.05) == "qlora is better"
    assert reading(replace(better, difference=-0.1), 0.05) == "tfidf is better"
    assert unclear.p < 0.05 < unclear.p_holm
    assert reading(unclear, 0.05) == "no difference shown"


def test_the_advice_on_labels_calls_strategies_by_their_titles():
    curves = conclude(
        [exactly([0.5, 0.6, 0.7, 0.75, 0.8])],
        metric="accuracy",
        target=None,
        margin=0.02,
        usd_per_label=None,
        focus=("tfidf",),
    )
    found = titled(replace(make_content(), curves=curves)).curves
    assert found.focus == ("TF-IDF and logistic regression",)
    assert "TF-IDF and logistic regression" in found.sentence
    assert "tfidf" not in found.sentence
