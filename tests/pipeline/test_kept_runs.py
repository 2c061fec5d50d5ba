"""Runs that an earlier version made, one of each kind: they reopen, predict as recorded, export and are drawn again.

The archives were made at commit ce0dc59 by the small model of the package; what reopening does not read was left out.
"""

import json
import tarfile
from pathlib import Path

import pytest
import yaml

import llmtl
from llmtl.errors import RunError
from llmtl.pipeline.export import export
from llmtl.pipeline.report import refresh_report
from llmtl.pipeline.run_format import FORMAT, read_examples
from llmtl.serving.bundle.read import open_bundle
from llmtl.settings import load_recipe
from llmtl.strategies.table import StrategiesConfig, build

ARCHIVES = Path(__file__).parents[1] / "fixtures" / "runs"
KINDS = ("classification", "multi-label", "extraction", "generation")


def unpack(kind: str, folder: Path) -> Path:
    with tarfile.open(ARCHIVES / f"ce0dc59-{kind}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / kind


@pytest.fixture(scope="module", params=KINDS)
def kept(request, tmp_path_factory) -> llmtl.Run:
    return llmtl.load_run(unpack(request.param, tmp_path_factory.mktemp("kept")))


def test_every_strategy_predicts_as_recorded(kept: llmtl.Run):
    texts = [example.text for example in read_examples(kept.folder, "test")]
    recorded = {item.strategy: item.answers for item in kept.evaluations if item.split == "test"}
    assert set(recorded) == set(kept.index.fits) >= {"majority", "zero-shot", "qlora"}
    for name, answers in recorded.items():
        assert [item.answer for item in kept.predictor(name).predict(texts)] == answers, name


@pytest.mark.parametrize("strategy", ["winner", "few-shot", "qlora"])
def test_it_exports_the_winner_a_prompt_and_an_adapter(kept: llmtl.Run, tmp_path: Path, strategy: str):
    name = kept.decision.winner if strategy == "winner" else strategy
    assert open_bundle(export(kept, tmp_path / "bundle", strategy=name)).winner.name == name


def test_its_report_is_drawn_again(kept: llmtl.Run):
    refresh_report(kept.folder)
    html, text = ((kept.folder / name).read_text() for name in ("report.html", "report.md"))
    for name in kept.index.fits:
        assert name in html
        assert name in text


def test_its_strategies_are_those_of_its_kind_and_still_known(tmp_path: Path):
    folder = unpack("classification", tmp_path)
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    recipe["strategies"]["run"].append("forgotten")
    recipe["strategies"]["forgotten"] = {"size": 3}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    read = load_recipe(folder)
    assert [each.name for each in build(read.strategies, read.task.kind)] == list(llmtl.load_run(folder).index.fits)


def test_a_run_of_a_newer_version_is_refused_in_one_line(tmp_path: Path):
    folder = unpack("classification", tmp_path)
    index = json.loads((folder / "index.json").read_text())
    assert "format" not in index
    (folder / "index.json").write_text(json.dumps(index | {"format": FORMAT + 1, "task": "of another form"}))
    newer = rf"was written by a newer llmtl \(format {FORMAT + 1}, this one reads up to {FORMAT}\); upgrade llmtl\.$"
    with pytest.raises(RunError, match=newer):
        llmtl.load_run(folder)
    with pytest.raises(RunError, match=newer):
        llmtl.run(folder / "recipe.yaml", out=folder)


def test_the_default_is_written_as_null_so_that_it_grows_with_the_table():
    assert StrategiesConfig().model_dump(mode="json")["run"] is None
