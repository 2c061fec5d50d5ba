"""What can be left to a strategy: who is told why not, what is shared among the others, what unknown inputs say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from llmtl.answers import Span, write_spans
from llmtl.decision.automation import automated, fix_ladders
from llmtl.decision.promise import Promise
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.strategy import Prediction
from llmtl.task import Metric
from tests.support.decision_worlds import CONFIG, evaluation


def sure(name, n, *, split, right=0.9, seed=0, informative=True, failed=0):
    """Return an evaluation whose confidence is high where it is right, if it is informative."""
    rng = np.random.default_rng([seed, split == "test"])
    hits = rng.random(n) < right
    confidence = np.clip(rng.normal(np.where(hits & informative, 0.9, 0.6), 0.08), 0.01, 0.99)
    made = evaluation(name, hits, split=split, failed=range(failed))
    predictions = tuple(
        replace(item, probabilities={}, confidence=float(value))
        for item, value in zip(made.predictions, confidence, strict=True)
    )
    return replace(made, predictions=predictions)


def decided(dev, test, *, chosen=None, unknown=None):
    ladders = fix_ladders(dev, test[0].n, metric=Metric.ACCURACY, chosen=chosen or dev[0].strategy, config=CONFIG)
    return ladders, automated(ladders, {item.strategy: item for item in test}, config=CONFIG, unknown=unknown)


def only(dev, test, **options):
    (ladder,), (row,) = decided([dev], [test], **options)
    return ladder, row


def test_a_share_is_shown_with_its_errors_and_intervals():
    _, row = only(sure("qlora", 600, split="dev"), sure("qlora", 600, split="test"))
    assert row.promise is Promise.SHOWN
    assert row.at_most == 0.05
    assert row.level == 0.05
    assert row.share == row.answered / 600
    assert row.share_ci95[0] < row.share < row.share_ci95[1]
    assert 0.5 < row.share < 1
    assert row.errors / row.answered < 0.05
    assert row.auroc > 0.9


def test_dev_alone_fixes_the_thresholds():
    dev = sure("qlora", 300, split="dev")
    one, _ = only(dev, sure("qlora", 300, split="test", seed=1))
    other, _ = only(dev, sure("qlora", 300, split="test", right=0.2, seed=2))
    assert one == other


def test_a_strategy_that_got_worse_on_test_is_not_shown_and_the_bound_says_by_how_much():
    _, row = only(sure("qlora", 600, split="dev"), sure("qlora", 600, split="test", right=0.6, informative=False))
    assert row.promise is Promise.NOT_SHOWN
    assert row.at_most > 0.05


@pytest.mark.parametrize(
    ("dev", "n_test", "promise"),
    [
        (lambda: evaluation("qlora", [True] * 200, split="dev"), 200, Promise.NO_CONFIDENCE),
        (lambda: sure("qlora", 300, split="dev", informative=False), 300, Promise.UNORDERED),
        (lambda: sure("qlora", 300, split="dev"), 50, Promise.TOO_FEW),
        (lambda: sure("qlora", 200, split="dev", right=0.1), 100, Promise.NO_THRESHOLD),
    ],
)
def test_without_a_threshold_it_is_said_why(dev, n_test, promise):
    made = dev()
    if promise is Promise.NO_CONFIDENCE:
        made = replace(made, predictions=tuple(replace(item, probabilities={}) for item in made.predictions))
    _, row = only(made, sure("qlora", n_test, split="test"))
    assert (row.promise, row.threshold, row.share, row.at_most) == (promise, None, None, None)


def test_one_that_is_nearly_always_right_is_left_everything_though_its_confidence_says_nothing():
    ladder, row = only(
        sure("qlora", 600, split="dev", right=0.995, informative=False),
        sure("qlora", 600, split="test", right=0.995, informative=False, failed=3),
    )
    assert ladder.thresholds == (0.0,)
    assert (row.promise, row.threshold, row.answered) == (Promise.SHOWN, 0.0, 597)  # failures go to a person


def test_free_texts_are_left_out_unless_they_are_right_or_wrong():
    dev = replace(sure("qlora", 200, split="dev"), kind=GENERATION)
    for metric, promise in ((Metric.CHRF, Promise.BY_DEGREES), (Metric.EXACT_MATCH, Promise.SHOWN)):
        ladders = fix_ladders([dev], 200, metric=metric, chosen="qlora", config=CONFIG)
        (row,) = automated(ladders, {"qlora": replace(dev, split="test")}, config=CONFIG)
        assert row.promise is promise


def test_an_answer_of_several_spans_is_right_when_all_of_them_are():
    spans = write_spans([Span(0, 3, "name", "Ann")])
    made = replace(
        sure("tfidf", 100, split="dev", right=1),
        kind=EXTRACTION,
        labels=("name",),
        references=(spans,) * 100,
    )
    right = replace(made, predictions=tuple(replace(item, answer=spans) for item in made.predictions))
    wrong = replace(made, predictions=tuple(replace(item, answer="[]") for item in made.predictions))
    ladders = fix_ladders([right], 100, metric=Metric.MICRO_F1, chosen="tfidf", config=CONFIG)
    assert automated(ladders, {"tfidf": right}, config=CONFIG)[0].errors == 0
    assert automated(ladders, {"tfidf": wrong}, config=CONFIG)[0].errors == 100


def test_the_chosen_has_the_whole_level_and_the_others_share_one():
    names = ("tfidf", "few-shot", "qlora")
    dev = [sure(name, 300, split="dev") for name in names]
    silent = replace(dev[0], strategy="majority", predictions=tuple(Prediction("", "a") for _ in range(300)))
    ladders, _ = decided([*dev, silent], [sure("qlora", 300, split="test")], chosen="qlora")
    # who says nothing about confidence takes nothing from the others
    assert {item.strategy: item.level for item in ladders} == pytest.approx(
        {"qlora": 0.05, "tfidf": 0.025, "few-shot": 0.025, "majority": 0.025}
    )


def test_unknown_inputs_are_told_apart_and_rejected():
    test = sure("qlora", 600, split="test")
    rng = np.random.default_rng(0)
    unknown = [Prediction(str(i), "a", confidence=float(value)) for i, value in enumerate(rng.uniform(0.3, 0.8, 200))]
    unknown.append(Prediction("failed", None, failure="no answer"))
    _, row = only(sure("qlora", 600, split="dev"), test, unknown={"qlora": unknown})
    rejected = sum(item.certainty is None or item.certainty < row.threshold for item in unknown)
    assert (row.unknown.n, row.unknown.rejected) == (201, pytest.approx(rejected / 201))
    low, high = row.unknown.rejected_ci95
    assert low < row.unknown.rejected < high
    scores = [item.certainty or -1 for item in (*test.predictions, *unknown)]
    assert row.unknown.auroc == pytest.approx(roc_auc_score([1] * 600 + [0] * 201, scores))


def written(name, n, *, split, scale=0.5, bias=2.0, seed=0):
    """Return an evaluation of written answers, right by the odds that their log-probabilities have after a scaling."""
    rng = np.random.default_rng([seed, split == "test"])
    odds = rng.normal(1, 4, n)
    made = evaluation(name, rng.random(n) < expit(scale * odds + bias), split=split)
    told = zip(made.predictions, -np.logaddexp(0, -odds), strict=True)
    predictions = tuple(replace(item, probabilities={}, logprob=float(value)) for item, value in told)
    return replace(made, predictions=predictions)


def test_the_probability_of_a_written_answer_becomes_a_confidence_on_dev():
    # so much dev that the error of the calibration is small beside that of the test
    ladder, row = only(written("qlora", 20_000, split="dev"), written("qlora", 2_000, split="test"))
    assert row.promise is Promise.SHOWN
    assert 0.5 < row.threshold < 1
    assert (ladder.calibration, ladder.auroc) == (row.calibration, row.auroc)
    assert ladder.calibration.scale == pytest.approx(0.5, abs=0.05)
    assert row.calibrated.p > 0.05
    assert row.calibrated.ece < 0.05
    assert row.calibrated.confidence == pytest.approx(row.calibrated.right, abs=0.03)


def test_a_failed_answer_has_no_confidence_however_likely_its_tokens_were():
    test = written("qlora", 400, split="test")
    failed = tuple(replace(item, answer=None, failure="cut off") for item in test.predictions[:100])
    ladder, row = only(
        written("qlora", 400, split="dev"), replace(test, predictions=(*failed, *test.predictions[100:]))
    )
    assert row.calibrated.n == 300
    assert row.answered <= 300
    nothing = replace(test, split="dev", predictions=failed * 4)
    ladder, row = only(nothing, test)
    assert (ladder.why_none, ladder.calibration, row.calibrated) == (Promise.NO_CONFIDENCE, None, None)


def test_the_bound_needs_no_calibration_and_the_confidence_of_labels_is_tested_too():
    _, row = only(sure("qlora", 600, split="dev"), sure("qlora", 600, split="test"))
    assert row.calibration is None
    assert row.calibrated.n == 600
    assert row.calibrated.p < 0.05  # 0.9 or 0.6, and nearly always right, or wrong
    assert row.promise is Promise.SHOWN


def test_unknown_inputs_are_rejected_by_the_confidence_of_what_is_written():
    unknown = {"qlora": tuple(Prediction(str(at), "a", logprob=-8.0) for at in range(50))}
    _, row = only(written("qlora", 600, split="dev"), written("qlora", 800, split="test"), unknown=unknown)
    assert row.unknown.rejected == 1
    assert row.unknown.auroc > 0.9


def test_where_a_text_is_better_or_worse_nothing_is_tested():
    dev = replace(written("qlora", 200, split="dev"), kind=GENERATION)
    ladders = fix_ladders([dev], 200, metric=Metric.CHRF, chosen="qlora", config=CONFIG)
    (row,) = automated(ladders, {"qlora": replace(dev, split="test")}, config=CONFIG)
    assert (row.promise, row.calibration, row.calibrated) == (Promise.BY_DEGREES, None, None)
