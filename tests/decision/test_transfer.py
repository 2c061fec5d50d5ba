"""What pre-training is worth: a tuned encoder and its control, by the paired test on test."""

from dataclasses import replace

import pytest

from llmtl.decision.choice import choose
from llmtl.decision.decide import decide
from llmtl.decision.transfer import Worth, fewer_labels, with_labels
from llmtl.learning_curve import LabelsWorth
from llmtl.metrics.paired import compare_counts
from llmtl.report.metric_words import Words
from llmtl.report.transfer_words import sentence
from tests.support.decision_worlds import CONFIG, PRICES, TASK, evaluation, exactly


def found(tuned, control, n=100):
    """Return what is said where the two have so many right; the control is right on a part of those or on more."""

    def measured(split):
        rows = (("tfidf", "tfidf", 0.5), ("qlora", "encoder", tuned / n), ("few-shot", "from-scratch", control / n))
        return [replace(evaluation(like, exactly(share, n), split=split), strategy=name) for like, name, share in rows]

    dev = measured("dev")
    choice = choose(TASK, dev, config=CONFIG, prices=PRICES, written_at="now")
    return decide(TASK, choice, dev=dev, test=measured("test"), config=CONFIG, prices=PRICES).transfer


@pytest.mark.parametrize(
    ("tuned", "control", "worth", "said"),
    [
        (90, 60, Worth.HELPS, "Pre-training is worth 30.0 points on test (encoder against from-scratch,"),
        (60, 90, Worth.HURTS, "Pre-training hurts here, by 30.0 points on test (encoder against from-scratch,"),
        (80, 79, Worth.NOT_SHOWN, "That pre-training helps is not shown: +1.0 point on test (encoder against"),
        (80, 80, Worth.NOT_SHOWN, "That pre-training helps is not shown: +0.0 points on test (encoder against"),
    ],
)
def test_the_control_shows_what_pre_training_is_worth(tuned, control, worth, said):
    [item] = found(tuned, control)
    assert (item.strategy, item.control, item.worth) == ("encoder", "from-scratch", worth)
    assert item.difference.difference == pytest.approx((tuned - control) / 100)
    assert sentence(item, Words(TASK.metric)).startswith(said)


def test_the_interval_is_no_narrower_than_that_of_one_training_each():
    [item] = found(90, 60)
    one = compare_counts(30, 0, 100)
    assert item.difference.low <= one.low < one.high <= item.difference.high
    assert f"95% interval +{100 * item.difference.low:.1f} points to" in sentence(item, Words(TASK.metric))


def test_without_a_control_nothing_is_said():
    dev, test = ([evaluation("qlora", exactly(0.9, 50), split=split)] for split in ("dev", "test"))
    choice = choose(TASK, dev, config=CONFIG, prices=PRICES, written_at="now")
    assert decide(TASK, choice, dev=dev, test=test, config=CONFIG, prices=PRICES).transfer == ()


@pytest.mark.parametrize(
    ("times", "low", "high", "said"),
    [
        (
            8.0,
            4.0,
            None,
            "about 8 times the labels (80% interval: 4 times to more than 16 times): with about 120 encoder",
        ),
        (None, None, None, "more than 16 times the labels: with 60, the fewest tried, encoder is ahead on dev of"),
        (
            None,
            5.5,
            None,
            "probably worth more than 16 times the labels (80% interval: 5.5 times to more than 16 times):",
        ),
        (1.2, 0.0, 2.0, "about 1.2 times the labels (80% interval: nothing to 2 times): with about 800 encoder scores"),
        (0.0, 0.0, 2.0, "from random weights; 95% interval"),
    ],
)
def test_what_pre_training_is_worth_in_labels_is_said_beside_it(times, low, high, said):
    other = LabelsWorth("setfit", "none", 10, 5, times=1.0, low=1.0, high=1.0)
    worth = LabelsWorth("encoder", "from-scratch", 960, 60, times=times, low=low, high=high)
    [item] = with_labels(found(90, 60), [other, worth])
    told = sentence(item, Words(TASK.metric))
    assert said in told
    assert ("labels" in told) is (times != 0.0)


def test_in_labels_nothing_is_said_where_pre_training_hurts_or_was_not_shown_to_help():
    worth = LabelsWorth("encoder", "from-scratch", 960, 60, times=8.0, low=4.0, high=9.0)
    for tuned, said in ((60, "this is negative transfer"), (89, "not shown")):
        [item] = with_labels(found(tuned, 90), [worth])
        told = sentence(item, Words(TASK.metric))
        assert said in told
        assert "labels" not in told


def test_a_control_that_its_time_limit_stopped_is_told():
    [item] = found(90, 60)
    told = sentence(replace(item, control_cut=True), Words(TASK.metric))
    assert told.endswith("from-scratch was stopped by its time limit, and more time might narrow that.")


@pytest.mark.parametrize(
    ("wins", "losses", "n", "worth", "matches", "said"),
    [
        (30, 2, 100, Worth.HELPS, True, "With 40 of the 160 training examples alone encoder is ahead of from-scratch"),
        (2, 30, 100, Worth.HURTS, False, "With 40 of the 160 training examples alone encoder is behind from-scratch"),
        (3, 2, 900, Worth.NOT_SHOWN, True, "With 40 of the 160 training examples alone encoder matches from-scratch"),
        (
            9,
            8,
            100,
            Worth.NOT_SHOWN,
            False,
            "Whether encoder with 40 of the 160 training examples matches from-scratch",
        ),
    ],
)
def test_a_quarter_of_train_is_compared_with_the_control_on_all_of_it(wins, losses, n, worth, matches, said):
    [item] = found(90, 60)
    fewer = fewer_labels(compare_counts(wins, losses, n), examples=40, available=160, alpha=0.05, margin=0.02)
    assert (fewer.worth, fewer.matches) == (worth, matches)
    assert said in sentence(replace(item, fewer=fewer), Words(TASK.metric))
