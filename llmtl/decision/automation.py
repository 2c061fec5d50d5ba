"""How much can be left to a strategy: the share of inputs that it may answer alone, wrong in at most x% of them.

Dev fixes the thresholds to try, before test is opened; test says which of them holds, by the exact procedure of
`llmtl.metrics.selective`. What is said of the strategy that dev chose is wrong in at most alpha of all cases. What is
said of the others is wrong, of any of them together, in at most alpha too: they share it evenly (Bonferroni), so that
bounds and tests agree.

An answer is an error unless it is exactly right: every label, every span. A strategy whose confidence is not shown to
be higher where it is right gets no threshold: it can be trusted with everything or with nothing.

The confidence of a written answer is the probability of all its tokens, turned on dev into the chance that the answer
is right (`llmtl.metrics.recalibration`). On test the confidences of every strategy are tested for being such chances.
No promise about errors rests on that: the procedure holds for any score, however badly calibrated.

Not covered: words (`llmtl.report.promises`), serving the threshold (`llmtl.serving`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from llmtl.decision.config import DecisionConfig, Goal
from llmtl.decision.outcome import Choice, Decision
from llmtl.decision.promise import Automated, Ladder, Promise, UnknownInputs
from llmtl.errors import RecipeError
from llmtl.kinds.kind import Kind
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.calibration import CalibrationTest, calibration_test
from llmtl.metrics.recalibration import SequenceCalibration, sequence_calibration
from llmtl.metrics.selective import (
    Bools,
    Floats,
    Marked,
    answered,
    build_ladder,
    climb,
    errors_among,
    expected_share,
    fewest_to_show,
    separation,
)
from llmtl.strategy import Prediction
from llmtl.values import RIGHT_OR_WRONG, Metric

ORDERED = 0.05
"""The largest p-value at which dev shows that right answers have more confidence than wrong ones."""


def right_by_degrees(kind: Kind, metric: Metric) -> bool:
    """Say whether answers are better or worse by this metric, and not right or wrong."""
    return not kind.has_labels and metric not in RIGHT_OR_WRONG


def check_goal(config: DecisionConfig, kind: Kind, metric: Metric) -> None:
    """Raise `RecipeError` where nothing can be left to anybody, and the goal is just that."""
    if config.goal is Goal.AUTOMATE and right_by_degrees(kind, metric):
        other = next((f"task.metric={each.value} or " for each in kind.metrics if each in RIGHT_OR_WRONG), "")
        raise RecipeError(
            f"decision.goal=automate needs answers that are right or wrong, and by {metric.value} they are better or "
            f"worse; set {other}decision.goal=score."
        )


def marked(evaluation: Evaluation, calibration: SequenceCalibration | None = None) -> Marked:
    """Return the confidence of each prediction, and whether it is exactly right.

    Written answers have a confidence only with a calibration.
    """
    return Marked.of(_certainties(evaluation.predictions, calibration), _right(evaluation), evaluation.groups)


def _right(evaluation: Evaluation) -> Bools:
    # of rankings, which no metric calls right or wrong, those are right that no other could beat
    metric = next((item for item in evaluation.kind.metrics if item in RIGHT_OR_WRONG), evaluation.kind.metrics[0])
    return np.asarray(evaluation.measure(metric).each(evaluation.answers) == 1)


def with_ladders(
    choice: Choice, dev: Sequence[Evaluation], n_test: int, *, metric: Metric, config: DecisionConfig
) -> Choice:
    """Return the choice with the thresholds that dev fixed, to be written down with it."""
    ladders = fix_ladders(dev, n_test, metric=metric, chosen=choice.strategy, config=config)
    return replace(choice, ladders=ladders)


def with_automation(
    decision: Decision,
    test: Sequence[Evaluation],
    *,
    config: DecisionConfig,
    unknown: Mapping[str, Sequence[Prediction]] | None = None,
) -> Decision:
    """Return the decision with what test shows about the thresholds of its choice."""
    found = automated(decision.choice.ladders, {item.strategy: item for item in test}, config=config, unknown=unknown)
    return replace(decision, max_error_automated=config.max_error_automated, automation=found)


def fix_ladders(
    dev: Sequence[Evaluation], n_test: int, *, metric: Metric, chosen: str, config: DecisionConfig
) -> tuple[Ladder, ...]:
    """Return the thresholds to try on test, by strategy: from dev alone, and the number of test examples."""
    able = [item.strategy for item in dev if why_unable(item, metric) is None and item.strategy != chosen]
    shared = config.alpha / max(1, len(able))
    return tuple(
        ladder_of(item, n_test, metric=metric, level=config.alpha if item.strategy == chosen else shared, config=config)
        for item in dev
    )


def automated(
    ladders: Sequence[Ladder],
    test: Mapping[str, Evaluation],
    *,
    config: DecisionConfig,
    unknown: Mapping[str, Sequence[Prediction]] | None = None,
) -> tuple[Automated, ...]:
    """Say what test shows, for every strategy that was tested; `unknown` are predictions on inputs of no label."""
    return tuple(
        _automated(ladder, test[ladder.strategy], config.max_error_automated, (unknown or {}).get(ladder.strategy, ()))
        for ladder in ladders
        if ladder.strategy in test
    )


def why_unable(evaluation: Evaluation, metric: Metric) -> Promise | None:
    """Say why nothing can ever be left to a strategy; None where something may be."""
    if right_by_degrees(evaluation.kind, metric):
        return Promise.BY_DEGREES
    if all(item.certainty is None and not _uncalibrated(item) for item in evaluation.predictions):
        return Promise.NO_CONFIDENCE
    return None


def _uncalibrated(prediction: Prediction) -> bool:
    """Say whether all that is known of an answer's confidence is its log-probability."""
    return prediction.answer is not None and prediction.certainty is None and prediction.logprob is not None


def _calibration(dev: Evaluation) -> SequenceCalibration | None:
    """Fit the confidence of written answers on dev; None where there is nothing to calibrate."""
    known = [
        (item.logprob, right) for item, right in zip(dev.predictions, _right(dev), strict=True) if _uncalibrated(item)
    ]
    return sequence_calibration(*zip(*known, strict=True)) if known else None


def _tested(known: Marked) -> CalibrationTest | None:
    """Test whether confidences are chances; None where nothing has one."""
    has = np.isfinite(known.confidence)
    return calibration_test(known.confidence[has], known.right[has], known.codes[has]) if has.any() else None


def ladder_of(dev: Evaluation, n_test: int, *, metric: Metric, level: float, config: DecisionConfig) -> Ladder:
    """Return the thresholds of one strategy to try on test at this level."""
    unable = why_unable(dev, metric)
    if unable is not None:
        return Ladder(dev.strategy, (), level, why_none=unable)
    calibration = _calibration(dev)
    known, limit = marked(dev, calibration), config.max_error_automated
    answers = np.isfinite(known.confidence)
    found = separation(known.confidence[answers & known.right], known.confidence[answers & ~known.right])
    ordered = found is not None and found.p <= ORDERED
    rungs = build_ladder(known, n_test, limit=limit, level=level, all_or_none=not ordered)
    why = None
    if not rungs:
        few = n_test < fewest_to_show(limit, level)
        why = Promise.TOO_FEW if few else Promise.NO_THRESHOLD if ordered else Promise.UNORDERED
    return Ladder(
        strategy=dev.strategy,
        thresholds=tuple(rung.threshold for rung in rungs),
        level=level,
        expected_share=expected_share(rungs),
        auroc=None if found is None else found.auroc,
        why_none=why,
        calibration=calibration,
    )


def _automated(ladder: Ladder, test: Evaluation, limit: float, unknown: Sequence[Prediction]) -> Automated:
    needed = fewest_to_show(limit, ladder.level)
    known, calibration = marked(test, ladder.calibration), ladder.calibration
    threshold, promise = None, ladder.why_none or Promise.NOT_SHOWN
    if ladder.thresholds:
        reached = climb(ladder.thresholds, known, limit=limit, level=ladder.level)
        threshold = ladder.thresholds[0] if reached is None else reached
        promise = Promise.NOT_SHOWN if reached is None else Promise.SHOWN
    there = Marked.of(_certainties(unknown, calibration), [False] * len(unknown))
    found = Automated(
        strategy=ladder.strategy,
        promise=promise,
        n=test.n,
        level=ladder.level,
        needed=needed,
        auroc=ladder.auroc,
        unknown=_unknown(known.confidence, there, threshold) if unknown else None,
        calibration=calibration,
        calibrated=None if promise is Promise.BY_DEGREES else _tested(known),
    )
    if threshold is None:
        return found
    through, wrong = answered(known, threshold), errors_among(known, threshold)
    share = through.interval()
    return replace(
        found,
        threshold=threshold,
        answered=through.hits,
        share=share.value,
        share_ci95=(share.low, share.high),
        errors=wrong.hits,
        at_most=limit if promise is Promise.SHOWN else wrong.at_most(ladder.level),
    )


def _unknown(known: Floats, there: Marked, threshold: float | None) -> UnknownInputs:
    # a failed prediction has no confidence at all: it counts as less than any other
    found = separation(known, there.confidence) if np.isfinite(there.confidence).any() else None
    if threshold is None:
        return UnknownInputs(there.n, None if found is None else found.auroc, None, None)
    through = answered(there, threshold).interval()
    return UnknownInputs(
        there.n,
        None if found is None else found.auroc,
        1 - through.value,
        (1 - through.high, 1 - through.low),
    )


def _certainties(predictions: Sequence[Prediction], calibration: SequenceCalibration | None) -> list[float]:
    known = (item.certainty_by(calibration) for item in predictions)
    return [-math.inf if value is None else value for value in known]
