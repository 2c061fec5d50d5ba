"""Going on with a training that was killed: the same weights and curve as if nobody had interrupted it."""

import math
import resource
from dataclasses import replace
from time import monotonic

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from llmtl.foreign_files import holds_code
from llmtl.seals import SEAL, UNFINISHED, seal_of
from llmtl.store import read_json, write_json, write_text
from llmtl.tuning.resuming import ResumableTrainer
from llmtl.tuning.training import train
from llmtl.unfinished import save_points

CHOICES = {"dropout": 0.1, "batch_size": 3, "schedule": "linear", "warmup_fraction": 0.2, "max_epochs": 2}


class Killed(BaseException):
    """Ends a training as SIGKILL does: nobody catches it, and nothing of the training is called afterwards."""


class KilledAfter(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise Killed


class NoMemoryAbove(TrainerCallback):
    def __init__(self, limit):
        self.limit = limit

    def on_step_begin(self, args, state, control, **kwargs):
        if args.per_device_train_batch_size > self.limit:
            raise MemoryError


class Copies(TrainerCallback):
    """Copies the adapter at every measurement, by the names in its file."""

    def __init__(self):
        self.weights = {}

    def on_evaluate(self, args, state, control, **kwargs):
        model = kwargs["model"]
        copied = {
            name.replace(".default", ""): each.detach().clone()
            for name, each in model.named_parameters()
            if each.requires_grad
        }
        self.weights.setdefault(state.global_step, copied)  # the average itself is measured after the last step


@pytest.fixture(autouse=True)
def saved_after_every_step(monkeypatch):
    monkeypatch.setattr(save_points, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(save_points, "SHARE_FOR_SAVING", float("inf"))


def weights_of(job):
    return load_file(job.folder / "adapter_model.safetensors")


def killed_after(job, *steps):
    for step in steps:
        with pytest.raises(Killed):
            train(replace(job, callbacks=(*job.callbacks, KilledAfter(step))))


def points_of(job):
    return sorted(path.name for path in (job.folder.parent / UNFINISHED).iterdir())


def assert_the_same(job, outcome, other, expected):
    found, wanted = weights_of(job), weights_of(other)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert [replace(each, seconds=0) for each in outcome.curve] == [replace(each, seconds=0) for each in expected.curve]
    assert (outcome.best.step, outcome.stopped_by) == (expected.best.step, expected.stopped_by)
    assert (outcome.batch, outcome.trained_tokens) == (expected.batch, expected.trained_tokens)


def test_a_training_killed_twice_gives_the_weights_and_the_curve_of_one_nobody_interrupted(make_job, tokenized):
    whole = make_job("whole/adapter", dev=tokenized[:2], **CHOICES)
    expected = train(whole)
    job = make_job("killed/adapter", dev=tokenized[:2], resumable=True, **CHOICES)
    killed_after(job, 3, 4)  # at the end of an epoch, and inside the next
    outcome = train(job)
    assert_the_same(job, outcome, whole, expected)
    assert [line.split(",")[0] for line in job.progress.lines] == [
        f"Fine-tuning goes on after step {step}" for step in (3, 4)
    ]
    seconds = [each.seconds for each in outcome.curve]
    assert seconds == sorted(seconds)
    assert seconds[0] < outcome.earlier_seconds < seconds[-1]


def test_an_average_that_is_better_is_kept_and_the_same_after_a_kill(make_job, tokenized, monkeypatch):
    compared = ResumableTrainer.average_if_better
    monkeypatch.setattr(ResumableTrainer, "average_if_better", lambda self, best: compared(self, math.inf))
    few = {**CHOICES, "max_epochs": 3, "average_best": 3, "dev": tokenized[:2]}
    remembered = Copies()
    whole = make_job("whole/adapter", callbacks=(remembered,), **few)
    expected = train(whole)
    job = make_job("killed/adapter", resumable=True, **few)
    killed_after(job, 7)
    outcome = train(job)
    assert_the_same(job, outcome, whole, expected)
    assert (outcome.averaged_steps, outcome.averaged_dev_loss) == (expected.averaged_steps, expected.averaged_dev_loss)
    measured = {point.step: point.dev_loss for point in expected.curve}
    lowest = sorted(sorted(measured, key=measured.get)[:3])
    mean = {name: torch.stack([remembered.weights[step][name] for step in lowest]).mean(0) for name in weights_of(job)}
    for name, weight in weights_of(whole).items():
        torch.testing.assert_close(weight, mean[name], atol=1e-7, rtol=1e-6)
    assert expected.averaged_steps == tuple(lowest)
    assert job.progress.lines[-1].startswith(
        f"The average of the weights of steps {', '.join(map(str, lowest))} is kept"
    )


def test_an_average_that_is_not_better_is_left(make_job, tokenized):
    outcome = train(make_job(average_best=2, batch_size=4, max_epochs=1, evaluations_per_epoch=2, dev=tokenized[:2]))
    assert outcome.best.dev_loss < outcome.curve[1].dev_loss  # it still learns: the mean of both lies behind the last
    assert (outcome.averaged_steps, outcome.averaged_dev_loss) == ((), None)


def test_a_smaller_batch_is_gone_on_with_and_without_dev_the_last_weights_are_kept(make_job):
    few = {"callbacks": (NoMemoryAbove(2),), **CHOICES, "batch_size": 4}
    whole = make_job("whole/adapter", **few)
    expected = train(whole)
    job = make_job("killed/adapter", resumable=True, **few)
    killed_after(job, 3)
    outcome = train(job)
    assert (outcome.batch, outcome.accumulation) == (2, 2)
    assert_the_same(job, outcome, whole, expected)
    assert len([line for line in job.progress.lines if line.startswith("Out of memory")]) == 1


def test_a_damaged_or_foreign_save_point_is_said_and_not_gone_on_with(make_job):
    job = make_job("killed/adapter", resumable=True, **CHOICES)
    killed_after(job, 2)
    [point] = (job.folder.parent / UNFINISHED).iterdir()
    assert holds_code(point) is None  # a run folder is refused otherwise
    other = make_job("killed/adapter", resumable=True, seed=1, **CHOICES)
    killed_after(other, 1)
    assert "belongs to a training with other data, settings or packages" in other.progress.lines[0]
    assert points_of(job) == ["point-1"]
    (job.folder.parent / UNFINISHED / "point-1" / "state" / "states.safetensors").write_bytes(b"not what was written")
    killed_after(other, 1)
    assert other.progress.lines[-1].startswith("The saved state")
    assert "is damaged ('states.safetensors')" in other.progress.lines[-1]
    assert not point.exists()


def test_what_was_spent_before_counts_towards_the_deadline(make_job, tokenized):
    job = make_job("killed/adapter", dev=tokenized[:2], resumable=True, **CHOICES)
    killed_after(job, 1)
    [point] = (job.folder.parent / UNFINISHED).iterdir()
    so_far = read_json(point / "so_far.json")
    write_json(point / "so_far.json", so_far | {"watched": so_far["watched"] | {"seconds": 4000.0}})
    write_text(point / SEAL, seal_of(point))
    outcome = train(replace(job, deadline=monotonic() + 3600))
    assert outcome.stopped_by == "budget"
    assert outcome.curve[-1].step == 2
    assert outcome.earlier_seconds == 4000.0


def test_a_full_disk_does_not_end_the_training(make_job):
    whole = make_job("whole/adapter", **CHOICES)
    train(whole)
    job = make_job("full/adapter", resumable=True, **CHOICES)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = (whole.folder / "adapter_model.safetensors").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 4096, limits[1]))  # the optimizer's state takes twice that
    try:
        train(job)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    [line] = job.progress.lines
    assert line.startswith("Warning: the state of the training cannot be saved")
    assert points_of(job) == []
    assert all(torch.equal(weight, weights_of(whole)[name]) for name, weight in weights_of(job).items())
