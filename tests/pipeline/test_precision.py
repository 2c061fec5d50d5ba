"""The probe that chooses bfloat16 on a CPU with AMX: what it decides, where it applies, what the run takes over."""

import csv
import json
from dataclasses import replace

import pytest
import torch

from llmtl.pipeline import precision
from llmtl.pipeline.precision import PrecisionProbe, with_precision
from llmtl.pipeline.prepare import prepare
from llmtl.progress import Silent
from llmtl.seals import SEAL, seal_of
from llmtl.settings import load_recipe
from llmtl.store import Store
from tests.support.routing_task import labelled

FASTER = PrecisionProbe(
    inputs=200, same=200, float32_seconds=0.1, bfloat16_seconds=0.02, start_seconds=40, starts=1, requests=2000
)


@pytest.mark.parametrize(
    ("changed", "chosen"),
    [
        ({}, "bfloat16"),
        ({"same": 199}, "bfloat16"),
        ({"same": 198}, "float32"),
        ({"inputs": 60, "same": 59}, "float32"),
        ({"bfloat16_seconds": 0.1}, "float32"),
        ({"requests": 400}, "float32"),  # saves 32 s and takes 40 to start
        ({"starts": 4}, "float32"),
    ],
)
def test_bfloat16_must_keep_the_labels_and_save_more_than_its_start(changed, chosen):
    found = replace(FASTER, **changed)
    assert found.chosen == chosen
    assert found.said.startswith(f"The model computes in {chosen}: on {found.inputs} dev inputs")


class Heard(Silent):
    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def prepared(tmp_path, tiny_llama):
    """Return the start of a run of zero-shot on the tiny model."""
    with (tmp_path / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *[(row.text, row.reference) for row in labelled(120)]])
    (tmp_path / "recipe.yaml").write_text(
        f"name: tiny\ndata: {{path: data.csv}}\nmodel: {{name: '{tiny_llama}', engine: transformers}}\n"
        "encoder: null\nstrategies: {run: [majority, zero-shot]}\n"
    )
    made = prepare(load_recipe(tmp_path / "recipe.yaml"), Silent())
    yield made
    made.engines.release()


@pytest.fixture
def on_amx(monkeypatch):
    monkeypatch.setattr(precision, "cpu_has_amx", lambda: True)
    monkeypatch.setattr(precision, "FEWEST_INPUTS", 10)
    monkeypatch.setattr(precision, "PROBED_PARAMETERS", 0)


def test_nothing_is_probed_without_amx_for_small_models_or_where_the_recipe_says_it(prepared, tmp_path, monkeypatch):
    store = Store(tmp_path / "out")
    assert with_precision(prepared, store, Silent()) is prepared  # this model is small
    monkeypatch.setattr(precision, "PROBED_PARAMETERS", 0)
    monkeypatch.setattr(precision, "cpu_has_amx", lambda: False)
    assert with_precision(prepared, store, Silent()) is prepared
    monkeypatch.setattr(precision, "cpu_has_amx", lambda: True)
    said = prepared.recipe.model.model_copy(update={"dtype": "float32"})
    told = replace(prepared, recipe=prepared.recipe.model_copy(update={"model": said}))
    assert with_precision(told, store, Silent()) is told
    assert not store.folder.exists()


def test_both_formats_are_measured_once_and_the_run_takes_over_what_was_chosen(prepared, tmp_path, on_amx):
    store, heard = Store(tmp_path / "out"), Heard()
    noted = with_precision(prepared, store, heard)
    [result] = store.folder.glob("steps/precision-*/result.json")
    found = json.loads(result.read_text())
    assert found["inputs"] == len(prepared.split.dev) >= found["same"]
    assert min(found["float32_seconds"], found["bfloat16_seconds"], found["start_seconds"]) > 0
    assert (found["starts"], found["requests"]) == (1, len(prepared.split.dev) + len(prepared.split.test))
    assert heard.lines == ["Comparing bfloat16 with float32", noted.findings[-1].message]
    assert noted.findings[-1].code == PrecisionProbe(**found).chosen
    # whatever this machine measured: a kept probe that found bfloat16 better is followed without measuring again
    result.write_text(json.dumps(vars(FASTER)))
    (result.parent / SEAL).write_text(seal_of(result.parent))
    settled = with_precision(prepared, store, heard)
    assert heard.lines[2:] == [FASTER.said]
    assert (settled.recipe.model.dtype, settled.source.precision("cpu")) == ("bfloat16", "bfloat16")
    assert settled.engines.load()._model.dtype == torch.bfloat16
    settled.engines.release()
