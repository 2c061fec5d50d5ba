"""How long a training would take, from its first steps. Not covered: early stopping, which nobody can foresee."""

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

from llmtl.tuning.range_test import STEPS as RANGE_TEST_STEPS
from llmtl.tuning.strength_search import FORESEEN
from llmtl.tuning.training import TrainingJob, train

STEPS = 3
"""Steps that are timed, fewer where they take longer than they may: the first one warms up."""
FORWARD = 1 / 3
"""What an example costs in evaluation, by what it costs in training: a backward pass takes twice the forward pass
(Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1)."""


def forecast_training(job: TrainingJob, *, train_examples: int, dev_examples: int) -> float:
    """Forecast the seconds of all epochs on so many examples, by training a few steps of the job on its own.

    The job's `train` holds enough examples for the steps and its `dev` at least one; its deadline ends the probe.
    """
    begun = monotonic()
    config = job.config
    batch = min(config.batch_size, len(job.train))
    steps = max(1, min(STEPS, len(job.train) // batch))
    probe = {"max_epochs": 1, "evaluations_per_epoch": steps, "patience": steps + 1}
    auto = config.ewc == "auto"
    plain = {"average_best": 1, "find_learning_rate": "never", "ewc": 1.0 if auto else config.ewc}
    short = config.model_copy(update=probe | plain)
    few = replace(job, config=short, train=job.train[: steps * batch], dev=job.dev[:1], rehearsed=(), resumable=False)
    outcome = train(few)
    seconds = [point.seconds for point in outcome.curve]
    epoch = train_examples / (1 - config.replay) + FORWARD * dev_examples * config.evaluations_per_epoch
    before_and_after = monotonic() - begun - (seconds[-1] - seconds[0])
    tested = RANGE_TEST_STEPS * step_seconds(seconds) if config.find_learning_rate == "always" else 0.0
    once = before_and_after + tested + config.max_epochs * epoch * step_seconds(seconds) / batch
    return once * (FORESEEN if auto else 1)


def step_seconds(moments: Sequence[float]) -> float:
    """Say how long a step takes, from the moments before the first step and after each; the first counts if alone."""
    timed = moments[1:] if len(moments) > 2 else moments
    return (timed[-1] - timed[0]) / max(1, len(timed) - 1)
