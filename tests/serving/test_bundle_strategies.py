"""Which measured strategies a bundle can serve, and with which wording and calibration."""

from dataclasses import asdict, fields
from pathlib import Path

import pytest
from small_bundle import LABELS, small_bundle

from llmtl.errors import BundleError
from llmtl.metrics.recalibration import LabelCalibration, Method
from llmtl.predictor import Role
from llmtl.serving.bundle.source import BundleSource, Measured
from llmtl.serving.bundle.strategies import served_others, served_winner
from llmtl.task import Example, Task

TRAIN = (Example("1", "I lost it", "card lost"), Example("2", "my money", "refund"))
CALIBRATION = LabelCalibration(Method.BATCH, (1.0,) * 5, (0.5, 0.0, 0.0, 0.0, -0.5))
STATES = {
    "zero-shot": {"instruction": "Which queue?", "calibration": asdict(CALIBRATION)},
    "few-shot": {"demonstrations": ["2", "1"]},
    "knn-few-shot": {"shots": 2, "seed": 0, "retrieval": "model", "instruction": "Which queue?"},
    "hosted": {"demonstrations": [], "instruction": "Which queue?"},
}


def measured(name, state):
    given = {"name": name, "role": Role.PROMPTING, "state": state, "folder": Path(name)}
    return Measured(**{field.name: given.get(field.name) for field in fields(Measured)})


def source(winner):
    given = {
        "task": Task("tickets", LABELS),
        "winner": winner,
        "strategies": tuple(measured(name, state) for name, state in STATES.items()),
        "train": TRAIN,
    }
    return BundleSource(**{field.name: given.get(field.name) for field in fields(BundleSource)})


def test_wording_and_calibration_come_from_the_state():
    served = served_winner(source("zero-shot"), merge=False)
    assert (served.instruction, served.calibration) == ("Which queue?", CALIBRATION)
    plain = served_winner(source("few-shot"), merge=False)
    assert (plain.instruction, plain.calibration) == (None, None)
    assert plain.demonstrations == TRAIN[::-1]


def test_what_no_server_can_run_is_left_out_beside_the_winner():
    winner = served_winner(source("few-shot"), merge=False)
    assert [each.name for each in served_others(source("few-shot"), small_bundle().base, winner)] == ["zero-shot"]


@pytest.mark.parametrize(
    ("winner", "reason"),
    [
        ("knn-few-shot", r"cannot retrieve by 'model' yet; set strategies\.knn_few_shot\.retrieval to 'tfidf'"),
        ("hosted", "its provider serves it; call its endpoint, or export another"),
    ],
)
def test_a_winner_that_no_server_can_run_is_refused_in_one_line(winner, reason):
    with pytest.raises(BundleError, match=f"'{winner}' cannot be served: .*{reason}"):
        served_winner(source(winner), merge=False)
