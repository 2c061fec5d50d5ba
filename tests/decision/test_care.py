"""Each rule of what to read with care: where it speaks, with which numbers, and where it is silent."""

from dataclasses import replace

import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from llmtl.answers import Span, write_labels, write_spans
from llmtl.checks.finding import Finding, Level
from llmtl.checks.leakage import NEAR_COPIES, check_leakage
from llmtl.decision.care import with_care
from llmtl.decision.label_care import (
    FewPerLabel,
    LabelFound,
    MissedLabels,
    OtherCount,
    few_per_label,
    found_by_label,
    missed_labels,
    other_count,
)
from llmtl.decision.model_care import (
    DataDoubt,
    FarBehind,
    NearCopies,
    ToyModel,
    data_doubts,
    far_behind,
    near_copies,
    other_metric,
    toy_models,
)
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.metrics.scores import score
from llmtl.report.care_words import by_importance, sentence
from llmtl.report.sentences import summarize
from llmtl.strategy import Prediction
from llmtl.task import Example, Metric, Split
from tests.support.decision_worlds import both, evaluation, exactly, run


def answering(name, references, answers, **changes):
    """Return an evaluation with these references and answers; None is a failure."""
    made = evaluation(name, [True] * len(references), intervals=False)
    predictions = tuple(Prediction(f"test-{i}", answer) for i, answer in enumerate(answers))
    return replace(made, references=tuple(references), predictions=predictions, **changes)


def test_a_label_that_is_never_answered_is_told_with_what_was_to_find():
    references = ["repairs"] * 12 + ["billing"] * 20
    winner = answering("qlora", references, ["billing"] * 32)
    [found] = missed_labels(winner)
    assert found == MissedLabels("qlora", (LabelFound("repairs", 0, 12, 0),), (), 2)
    assert sentence(found, run(*both(40, tfidf=0.5, qlora=0.9))) == "qlora never answers 'repairs' (0 of 12)."


def test_labels_found_less_than_half_are_told_the_worst_first_and_counts_are_those_of_scikit_learn():
    references = ["a"] * 8 + ["b"] * 8 + ["c"] * 8 + ["d"] * 2
    answers = ["a"] * 8 + ["b"] * 3 + ["a"] * 5 + ["c"] * 1 + ["b"] * 7 + ["a"] * 2
    winner = answering("qlora", references, answers)
    [found] = missed_labels(winner)
    assert [each.label for each in found.rarely] == ["c", "b"]  # d has too few examples to say anything
    assert not found.never
    _, recall, _, support = precision_recall_fscore_support(references, answers, labels=list("abcd"), zero_division=0)
    assert [each.recall for each in found_by_label(winner)] == pytest.approx(recall.tolist())
    assert [each.expected for each in found_by_label(winner)] == support.tolist()
    assert missed_labels(answering("qlora", references, references)) == ()


def test_of_many_labels_the_worst_are_named_and_the_rest_counted():
    references = [f"label {i:02}" for i in range(30) for _ in range(3)]
    winner = answering("qlora", references, ["label 00"] * 90)
    told = sentence(missed_labels(winner)[0], run(*both(40, tfidf=0.5, qlora=0.9)))
    assert told.startswith("qlora never answers 29 of 30 labels, such as 'label 01' (0 of 3), ")


def test_labels_with_few_test_examples_are_named():
    winner = answering("qlora", ["a"] * 9 + ["b"] * 4 + ["c"], ["a"] * 14)
    [found] = few_per_label(winner)
    assert found == FewPerLabel((("c", 1), ("b", 4)), 5, 3)
    told = sentence(found, run(*both(40, tfidf=0.5, qlora=0.9)))
    assert told == "2 of 3 labels have fewer than 5 test examples, 'c' 1: what is said of each of them alone is rough."


def test_types_of_spans_and_labels_of_sets_are_counted_alike():
    wanted = write_spans([Span(0, 4, "date", "noon"), Span(5, 9, "name", "Anna")])
    claimed = write_spans([Span(0, 4, "date", "noon"), Span(5, 8, "name", "Ann")])
    spans = answering("qlora", [wanted] * 4, [claimed] * 4, kind=EXTRACTION)
    assert found_by_label(spans) == (LabelFound("date", 4, 4, 4), LabelFound("name", 0, 4, 4))
    both_labels, one = write_labels(["a", "b"], "ab"), write_labels(["a"], "ab")
    sets = answering("tfidf", [both_labels] * 12, [one] * 3 + [write_labels([], "ab")] * 9, kind=MULTI_LABEL)
    assert other_count(sets) == (OtherCount("tfidf", 3 / 12, 2.0),)
    assert other_count(replace(sets, predictions=(sets.predictions[0],) * 12)) == ()


def test_an_embedded_model_is_called_a_toy_and_others_are_not():
    toy, other = (evaluation("qlora", exactly(0.9, 40), model=model) for model in ("pocket-llama", "smollm2"))
    assert toy_models([toy], "qlora") == (ToyModel("pocket-llama", ("qlora",), True),)
    assert toy_models([other], "qlora") == ()


def test_a_check_of_the_data_that_contradicts_a_default_is_told_and_others_are_not():
    odd = Finding("label-separator", Level.WARNING, "Labels hold ';'; set data.label_separator=';'.")
    others = [replace(odd, level=Level.INFO), replace(odd, check="duplicates")]
    assert data_doubts([odd, *others]) == (DataDoubt("label-separator", odd.message),)
    found = with_care(run(*both(60, tfidf=0.4, qlora=0.9)), [], [odd])
    assert odd.message in summarize(found).warnings


def test_a_model_that_is_prompted_far_behind_its_peers_is_told_with_both_scores():
    prompt = evaluation("zero-shot", exactly(0.3, 100), model="base")
    near = evaluation("zero-shot", exactly(0.75, 100), model="base")
    tuned = evaluation("qlora", exactly(0.9, 100), model="base")
    assert far_behind([prompt, tuned], Metric.ACCURACY) == (FarBehind("base", "zero-shot", 0.3, "qlora", 0.9),)
    assert far_behind([near, tuned], Metric.ACCURACY) == ()
    assert far_behind([prompt, tuned], Metric.ACCURACY, left_out=["base"]) == ()
    assert far_behind([replace(prompt, model="pocket-llama"), tuned], Metric.ACCURACY) == ()


def test_near_copies_are_found_by_the_check_and_the_winner_is_scored_without_them():
    text = "please send the new card to my address in town number {}"
    learned = tuple(Example(f"train-{i}", text.format(i), "a") for i in range(2))
    test = (Example("test-0", text.format(3), "a"), Example("test-1", "something else entirely", "b"))
    [finding] = check_leakage(Split(learned, (), test), threshold=0.8)
    assert (finding.code, finding.ids) == (NEAR_COPIES, ("test-0",))
    winner = answering("qlora", ["a", "b", "a", "b"], ["a", "b", "b", "a"])
    assert near_copies(winner, Metric.ACCURACY, {"test-0", "elsewhere"}) == (
        NearCopies("qlora", 1, 4, 0.5, pytest.approx(accuracy_score(["b", "a", "b"], ["b", "b", "a"]))),
    )
    assert near_copies(winner, Metric.ACCURACY, ()) == ()
    assert near_copies(winner, Metric.ACCURACY, {f"test-{i}" for i in range(4)})[0].without is None


def test_an_average_by_which_a_rival_leads_is_told():
    references = ["a"] * 80 + ["b"] * 10 + ["c"] * 10
    majority = ["a"] * 100
    even = ["a"] * 55 + ["b"] * 25 + ["b"] * 10 + ["c"] * 10

    def measured(name, answers):
        scores = score(references, answers, labels=list("abc"), resamples=100)
        return answering(name, references, answers, scores=scores)

    winner, rival = measured("tfidf", majority), measured("qlora", even)
    [found] = other_metric(winner, {"qlora": rival}, Metric.ACCURACY, margin=0.02)
    assert (found.metric, found.strategy, found.winner) == ("macro_f1", "qlora", "tfidf")
    assert found.score == rival.scores["macro_f1"].value
    assert other_metric(rival, {"tfidf": winner}, Metric.MACRO_F1, margin=0.02)[0].metric == "accuracy"
    assert other_metric(winner, {"qlora": winner}, Metric.ACCURACY, margin=0.02) == ()


def test_all_rules_speak_in_a_decision_the_most_important_first():
    decision = run(*both(60, tfidf=0.4, qlora=0.9))
    winner = evaluation(decision.winner, exactly(0.9, 60), model="pocket-llama", failed=range(20))
    findings = [Finding("leakage", Level.WARNING, "near", ("test-1",), code=NEAR_COPIES)]
    found = with_care(decision, [winner], findings)
    assert [type(item) for item in by_importance(found.cautions, found.winner)][:2] == [ToyModel, NearCopies]
    lines = summarize(found).warnings
    assert lines[0].startswith("pocket-llama is a toy that comes with llmtl to try it with: the recommended strategy ")
    assert any(
        line.startswith("1 of 60 test inputs nearly equal one that was learned from; without ") for line in lines
    )
