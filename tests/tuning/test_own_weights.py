"""The model's own weights in training: going on after a kill, averages of checkpoints, noise on embeddings."""

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from llmtl.strategies.full import FullChoices
from llmtl.strategies.hybrid import HybridChoices
from llmtl.tuning.resuming import ResumableTrainer
from llmtl.tuning.trained_weights import OwnWeights
from llmtl.tuning.training import train
from llmtl.unfinished import save_points

CHOSEN = {"batch_size": 3, "schedule": "linear", "warmup_fraction": 0.2, "max_epochs": 2, "learning_rate": 3e-3}
FROZEN = {"full": 0.0, "hybrid": 0.5}


class Killed(BaseException):
    """Ends a training as SIGKILL does: nobody catches it."""


class KilledAfter(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise Killed


@pytest.fixture(params=FROZEN)
def own_job(request, make_job, tokenized):
    """Return a function that makes a training job of a model's own weights."""
    frozen = FROZEN[request.param]

    def make(name, *, resumable=False, **choices):
        chosen = {**CHOSEN, **choices}
        config = HybridChoices(frozen=frozen, **chosen) if frozen else FullChoices(**chosen)
        job = make_job(f"{name}/model", dev=tokenized[:2], resumable=resumable, learning_rate=3e-3)
        return replace(job, config=config, weights=OwnWeights("float32", frozen))

    return make


def weights_of(job):
    return load_file(job.folder / "model.safetensors")


@pytest.fixture(autouse=True)
def saved_after_every_step(monkeypatch):
    monkeypatch.setattr(save_points, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(save_points, "SHARE_FOR_SAVING", float("inf"))


@pytest.mark.parametrize("choices", [{}, {"neftune_alpha": 5.0, "average_best": 2, "ewc": 1.0}], ids=["plain", "all"])
def test_a_killed_training_gives_the_weights_and_the_curve_of_one_nobody_interrupted(own_job, choices):
    expected = train(whole := own_job("whole", **choices))
    job = own_job("killed", resumable=True, **choices)
    with pytest.raises(Killed):
        train(replace(job, callbacks=(KilledAfter(4),)))
    outcome = train(job)
    assert job.progress.lines[0].startswith("Fine-tuning goes on after step 4")
    found, wanted = weights_of(job), weights_of(whole)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert [replace(each, seconds=0) for each in outcome.curve] == [replace(each, seconds=0) for each in expected.curve]


def test_an_average_is_the_mean_of_the_weights_that_it_names(own_job, monkeypatch):
    compared, kept = ResumableTrainer.average_if_better, []

    def always(trainer, best):
        kept.extend(trainer.best_weights.kept)
        return compared(trainer, math.inf)

    monkeypatch.setattr(ResumableTrainer, "average_if_better", always)
    outcome = train(job := own_job("averaged", average_best=2, max_epochs=3))
    assert outcome.averaged_steps == tuple(sorted(each.step for each in kept))
    assert len(kept) == 2
    found = weights_of(job)
    for name in kept[0].weights:
        mean = (kept[0].weights[name] + kept[1].weights[name]) / 2
        torch.testing.assert_close(found[name], mean, atol=1e-7, rtol=1e-6)


def test_noise_on_embeddings_changes_the_training_and_not_the_model(own_job):
    train(plain := own_job("plain"))
    train(noisy := own_job("noisy", neftune_alpha=5.0))
    one, other = weights_of(plain), weights_of(noisy)
    assert one.keys() == other.keys()
    assert not all(torch.equal(one[name], other[name]) for name in one)
