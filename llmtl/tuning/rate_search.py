"""Train at a learning rate that is searched where the recipe asks for it, or where training diverges at first.

Not covered: the range test itself (`llmtl.tuning.range_test`), the training (`llmtl.tuning.training`).
"""

import math
from dataclasses import asdict, replace
from pathlib import Path

import torch
from transformers import TrainerCallback

from llmtl.errors import RunError
from llmtl.progress import Silent
from llmtl.quiet import own_randomness, quiet
from llmtl.seals import UNFINISHED
from llmtl.store import read_json, write_json
from llmtl.tuning.answers_only import answers_only
from llmtl.tuning.range_test import STEPS, TIMED_STEPS, RangeTest, run_test
from llmtl.tuning.training import (
    TrainingJob,
    TrainingOutcome,
    free_memory,
    is_out_of_memory,
    save_points_of,
    train,
    trainer_of,
)
from llmtl.tuning.watcher import DIVERGED

_FILE = "range_test.json"


def train_at_found_rate(job: TrainingJob) -> TrainingOutcome:
    """Train as `train` does, at a rate that is searched first, or after divergence, as `find_learning_rate` says."""
    search, tested = job.config.find_learning_rate, _kept(job)
    if tested is None and search == "always":
        tested = _searched(job)
    outcome = train(_at_rate(job, tested), may_leave=tested is None and search != "never")
    if outcome.stopped_by == DIVERGED:
        tested = _searched(job)
        if tested.chosen is not None:
            outcome = train(_at_rate(job, tested))
    return replace(outcome, range_test=tested.points) if tested else outcome


def _at_rate(job: TrainingJob, tested: RangeTest | None) -> TrainingJob:
    return replace(job, learning_rate=tested.chosen) if tested and tested.chosen else job


def _searched(job: TrainingJob) -> RangeTest:
    """Try learning rates on a copy of the model, say what follows, and keep it for an attempt that goes on."""
    batch = min(job.config.batch_size, len(job.train))
    epochs = math.ceil((TIMED_STEPS + STEPS) / math.ceil(len(job.train) / batch))
    plain = {"max_epochs": epochs, "schedule": "constant", "warmup_fraction": 0.0, "average_best": 1}
    usual = job.usual_rate or job.learning_rate
    copy = replace(job, dev=(), learning_rate=usual, progress=Silent(), config=job.config.model_copy(update=plain))
    job.progress.say("Searching a learning rate: it rises over a few steps, on a copy of the model.")
    found = None
    while found is None:
        found = _tested(copy, batch)
        batch = max(1, batch // 2)
    none = f"none that is better founded than {job.learning_rate:.1e}"
    why = "" if found.points else ": there is no time for its steps"
    job.progress.say(f"The search found {found.chosen:.1e}." if found.chosen else f"The search found {none}{why}.")
    if job.resumable:
        write_json(_file(job), {"mark": save_points_of(job).mark, **asdict(found)})
    return found


def _tested(copy: TrainingJob, batch: int) -> RangeTest | None:
    """Make the test with so many examples at once; None where memory ran out and fewer can be tried."""
    accumulation = math.ceil(min(copy.config.batch_size, len(copy.train)) / batch)

    def trained(rising: TrainerCallback) -> None:
        model = copy.weights.load(copy.checkpoint, device="cuda" if torch.cuda.is_available() else "cpu")
        trainer_of(copy, model, batch, accumulation, callbacks=[rising]).train()

    try:
        with quiet(), own_randomness(), answers_only():
            return run_test(copy.learning_rate, trained, deadline=copy.deadline)
    except (MemoryError, RuntimeError) as error:
        if batch == 1 or not is_out_of_memory(error):
            raise
        return None
    finally:
        free_memory()


def _file(job: TrainingJob) -> Path:
    return job.folder.parent / UNFINISHED / _FILE


def _kept(job: TrainingJob) -> RangeTest | None:
    """Read the test that an attempt made that was killed; None where it made none, or another training did."""
    if not job.resumable or not _file(job).is_file():
        return None
    try:
        kept = read_json(_file(job))
        points = tuple((float(rate), float(loss)) for rate, loss in kept["points"])
        chosen = None if kept["chosen"] is None else float(kept["chosen"])
        return RangeTest(points, chosen) if kept["mark"] == save_points_of(job).mark else None
    except (RunError, KeyError, TypeError, ValueError):
        return None
