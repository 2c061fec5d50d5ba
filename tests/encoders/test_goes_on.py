"""Going on with an encoder's training that was killed: the same weights and points as if nobody had interrupted it."""

from dataclasses import replace

import pytest
import torch

from llmtl.encoders import fine_tuning
from llmtl.encoders.contrastive import label_loss
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.fine_tuning import TrainingText, TuningPlan
from llmtl.encoders.network import Network, Scored, Scoring
from llmtl.encoders.sentence import SentenceEncoder
from llmtl.encoders.trainer import TrainingPlan, save_points_in, train
from llmtl.encoders.tuning_state import TuningSoFar
from llmtl.foreign_files import holds_code
from llmtl.progress import Silent
from llmtl.quiet import own_randomness, quiet
from llmtl.unfinished import save_points
from llmtl.unfinished.save_points import SavePoints
from tests.support.encoders import WORDS

PLAN = TuningPlan(
    learning_rate=1e-3,
    max_epochs=3,
    batch_size=3,
    warmup_fraction=0.1,
    weight_decay=0.01,
    layer_decay=0.9,
    patience=3,
    seed=1,
)
ROWS = TrainingPlan(
    learning_rate=1e-3, epochs=1, batch_size=4, warmup=0.1, weight_decay=0.01, seed=3, in_order=False, words=True
)
TEXTS = [" ".join(WORDS[at : at + 3 + at % 4]) for at in range(16)]


class Killed(BaseException):
    """Ends a training as SIGKILL does: nobody catches it, and nothing of the training is called afterwards."""


class Heard(Silent):
    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


@pytest.fixture(autouse=True)
def saved_after_every_step(monkeypatch):
    monkeypatch.setattr(save_points, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(save_points, "SHARE_FOR_SAVING", float("inf"))


def weights_of(model):
    return {name: each.detach().clone() for name, each in model.named_parameters()}


def assert_equal(found, wanted):
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def tuned(checkpoint, points=None, *, killed_after=None, monkeypatch=None, progress=None):
    """Tune a fresh network, which dev says is best after the second epoch; `killed_after` so many steps of this try."""
    with quiet(), own_randomness():
        torch.manual_seed(0)
        network = Network.begin(checkpoint, Scoring(Scored.TEXT, 2, 60), device="cpu")
        rows = [TrainingText(each, at % 2) for at, each in enumerate(network.cut(TEXTS[:8]))]
        point = points.latest() if points else None
        scores = iter((0.1, 0.9, 0.5)[len(point.so_far.points) if point else 0 :])

        def judge():
            return next(scores), 1.0

        if killed_after is not None:
            whole, left = fine_tuning._Training._learn, [killed_after]

            def learn(self, batch):
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
                whole(self, batch)

            monkeypatch.setattr(fine_tuning._Training, "_learn", learn)
        try:
            made = fine_tuning.train(
                network, rows, PLAN, judge=judge, progress=progress or Silent(), save_points=points
            )
        finally:
            if killed_after is not None:
                monkeypatch.setattr(fine_tuning._Training, "_learn", whole)
    return made, weights_of(network.model)


def points_in(folder, mark="one"):
    return SavePoints(folder, TuningSoFar, mark=mark, say=lambda line: None)


def untimed(points):
    return [replace(each, seconds=0) for each in points]


def test_a_tuning_killed_twice_ends_as_one_that_nobody_interrupted(tiny_encoder, tmp_path, monkeypatch):
    expected, weights = tuned(tiny_encoder)
    assert expected.best_step == 6
    for steps in (2, 5):  # inside the first epoch, and inside the third: the best weights are those of before
        with pytest.raises(Killed):
            tuned(tiny_encoder, points_in(tmp_path), killed_after=steps, monkeypatch=monkeypatch)
    [point] = tmp_path.iterdir()
    assert point.name == "point-7"
    assert holds_code(point) is None
    progress = Heard()
    made, found = tuned(tiny_encoder, points_in(tmp_path), progress=progress)
    assert progress.lines == ["Tuning the encoder goes on after step 7, where it was interrupted."]
    assert_equal(found, weights)
    assert untimed(made.points) == untimed(expected.points)
    assert (made.best_step, made.stopped_by, made.tokens) == (6, expected.stopped_by, expected.tokens)
    assert made.earlier_seconds > 0


def test_a_tuning_that_had_ended_is_put_back_and_a_foreign_one_is_not(tiny_encoder, tmp_path, monkeypatch):
    made, weights = tuned(tiny_encoder, points_in(tmp_path))

    def never(self, batch):
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(fine_tuning._Training, "_learn", never)
        again, found = tuned(tiny_encoder, points_in(tmp_path))
    assert_equal(found, weights)
    assert (again.points, again.stopped_by) == (made.points, made.stopped_by)
    other, _ = tuned(tiny_encoder, points_in(tmp_path, mark="two"))
    assert other.earlier_seconds == 0.0


def sentence_tuned(checkpoint, folder=None, *, killed_after=None, plan=ROWS):
    encoder = SentenceEncoder.load(EncoderSource(str(checkpoint)))
    rows = {"text": TEXTS, "label": [at % 3 for at in range(len(TEXTS))]}
    points = save_points_in(folder, encoder, rows, plan, say=lambda line: None) if folder else None
    steps = []

    def advance(count):
        steps.append(count)
        if killed_after is not None and sum(steps) > killed_after:
            raise Killed

    made = train(encoder, rows, label_loss(0.1), plan, advance=advance, save_points=points)
    assert sum(steps) == made.steps
    return made, weights_of(encoder.model)


@pytest.mark.parametrize("plan", [ROWS, replace(ROWS, in_order=True, words=False, epochs=2)])
def test_a_sentence_encoder_killed_twice_ends_as_one_that_nobody_interrupted(tiny_encoder, tmp_path, plan):
    expected, weights = sentence_tuned(tiny_encoder, plan=plan)
    for steps in (1, 2):
        with pytest.raises(Killed):
            sentence_tuned(tiny_encoder, tmp_path, killed_after=steps, plan=plan)
    [point] = tmp_path.iterdir()
    assert holds_code(point) is None
    made, found = sentence_tuned(tiny_encoder, tmp_path, plan=plan)
    assert made.earlier_seconds > 0
    assert (made.steps, made.planned) == (expected.steps, expected.planned)
    assert made.loss == pytest.approx(expected.loss, rel=1e-6)
    assert_equal(found, weights)
    again, same = sentence_tuned(tiny_encoder, tmp_path, plan=plan)  # it has ended: its weights are put back
    assert_equal(same, weights)
    assert (again.steps, again.loss) == (made.steps, made.loss)
