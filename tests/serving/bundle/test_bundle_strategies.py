"""Which measured strategies a bundle can serve, and with which wording and calibration."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from llmtl.engines.openai.client import HostedModel
from llmtl.engines.protocol import ModelSource
from llmtl.errors import BundleError
from llmtl.metrics.recalibration import LabelCalibration, Method
from llmtl.pocket import resolve
from llmtl.serving.bundle.manifest import Weights
from llmtl.serving.bundle.source import BundleSource, MeasuredStrategy
from llmtl.serving.bundle.strategies import served_others, served_winner
from llmtl.strategies.table import STRATEGIES
from llmtl.strategy import LocalServed, PromptServed, ProviderServed, Retrieval, Retrieved
from llmtl.task import Example, Task
from tests.support.small_bundle import LABELS, small_bundle

TRAIN = (Example("1", "I lost it", "card lost"), Example("2", "my money", "refund"))
CALIBRATION = LabelCalibration(Method.BATCH, (1.0,) * 5, (0.5, 0.0, 0.0, 0.0, -0.5))
POOL = Retrieved(2, 0, TRAIN, Retrieval.MODEL)
SERVED = {
    "zero-shot": PromptServed("Which queue?", calibration=CALIBRATION),
    "few-shot": PromptServed(demonstrations=TRAIN[::-1]),
    "knn-few-shot": PromptServed("Which queue?", retrieved=POOL),
    "hosted": ProviderServed(HostedModel("http://127.0.0.1/v1", "m"), PromptServed("Which queue?")),
}

SMALL = ModelSource(str(resolve("pocket-llama")))


class Fixed:
    """A predictor that only says how it is served."""

    def __init__(self, served):
        self.served = lambda: served


def measured(name, served):
    return MeasuredStrategy(STRATEGIES[name].facts, test=None, folder=Path(name), load=lambda: Fixed(served))


def source(winner, model=SMALL):
    given = {
        "task": Task("tickets", LABELS),
        "winner": winner,
        "strategies": tuple(measured(name, served) for name, served in SERVED.items()),
        "train": TRAIN,
        "model": model,
        "device": "cpu",
        "abstaining": {},
    }
    return BundleSource(**{field.name: given.get(field.name) for field in fields(BundleSource)})


def test_wording_and_calibration_come_from_the_state():
    served = served_winner(source("zero-shot"), merge=False)
    assert (served.instruction, served.calibration) == ("Which queue?", CALIBRATION)
    plain = served_winner(source("few-shot"), merge=False)
    assert (plain.instruction, plain.calibration) == (None, None)
    assert plain.demonstrations == TRAIN[::-1]


def test_what_no_server_can_run_is_left_out_beside_the_winner(tmp_path):
    winner = served_winner(source("few-shot"), merge=False)
    base = small_bundle().base
    assert [each.name for each in served_others(source("few-shot"), base, winner)] == ["zero-shot", "knn-few-shot"]
    large = large_model(tmp_path)
    assert [each.name for each in served_others(source("few-shot", large), base, winner)] == ["zero-shot"]


def test_baselines_are_served_beside_any_winner_unless_they_need_a_model():
    found = source("hosted")
    more = (measured("majority", LocalServed()), measured("tfidf", LocalServed(needs_encoder=True)))
    found = replace(found, strategies=(*found.strategies, *more))
    [majority] = served_others(found, None, served_winner(found, merge=False))
    assert (majority.model, majority.weights) == ("tickets/majority", Weights.CLASSIFIER)
    beside = replace(found, winner="majority")
    assert served_others(beside, None, served_winner(beside, merge=False)) == ()


def test_a_hosted_winner_is_served_without_other_models():
    served = served_winner(source("hosted"), merge=False)
    assert (served.weights, served.instruction) == (Weights.HOSTED, "Which queue?")
    assert served_others(source("hosted"), None, served) == ()


def test_a_winner_whose_model_is_too_large_to_embed_is_refused_in_one_line(tmp_path):
    assert served_winner(source("knn-few-shot"), merge=False).retrieval is Retrieval.MODEL
    reason = r"holds its \d+\.\d GiB once more, on the CPU, and llmtl does that up to 2 GiB; set the strategy's"
    with pytest.raises(BundleError, match=f"'knn-few-shot' cannot be served: .*{reason}"):
        served_winner(source("knn-few-shot", large_model(tmp_path)), merge=False)


def large_model(folder):
    """Return a checkpoint that says it is large; nobody loads its weights."""
    config = json.loads((Path(SMALL.name) / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4096}))
    (folder / "model.safetensors").touch()
    return ModelSource(str(folder))
