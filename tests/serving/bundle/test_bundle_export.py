"""From a run to its bundle: what is reused, what is refused, what the card says."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import llmtl
from llmtl.decision.outcome import Verdict
from llmtl.errors import BundleError, RunError
from llmtl.left_overs import held
from llmtl.pipeline.export import bundle_source, export
from llmtl.progress import Silent
from llmtl.serving.bundle.read import open_bundle
from llmtl.serving.bundle.write import write_bundle
from tests.support.finished_runs import unsealed


@pytest.fixture
def copied(llama_run, tmp_path) -> llmtl.Run:
    """Return a copy of the run that a test may spoil, as an earlier version left it."""
    shutil.copytree(llama_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("bundle"))
    unsealed(tmp_path / "run")
    return llmtl.load_run(tmp_path / "run")


class Heard(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_the_winner_goes_beside_the_run(copied):
    folder = export(copied)
    assert folder == (copied.folder / "bundle").resolve()
    assert open_bundle(folder).winner.name == copied.decision.winner
    assert open_bundle(folder).verdict == copied.decision.verdict


def test_an_up_to_date_bundle_is_kept_and_any_other_replaced(copied):
    folder = export(copied.folder, strategy="majority")
    first = (folder / "bundle.json").stat().st_mtime_ns
    assert export(str(copied.folder), strategy="majority") == folder
    assert (folder / "bundle.json").stat().st_mtime_ns == first
    export(copied, strategy="tfidf")
    assert open_bundle(folder).winner.name == "tfidf"
    other = export(copied, copied.folder.parent / "other", strategy="tfidf")
    assert open_bundle(other).made_from != open_bundle(folder).made_from


def test_a_changed_bundle_is_written_again_and_that_is_said(copied):
    folder = export(copied, strategy="majority")
    (folder / "labels.json").write_text("{}")
    heard = Heard()
    export(copied, strategy="majority", progress=heard)
    open_bundle(folder)
    assert any("'labels.json'" in line and "written again" in line for line in heard.lines)


def test_a_bundle_of_another_format_is_replaced(copied):
    folder = export(copied, strategy="majority")
    (folder / "bundle.json").write_text(json.dumps({"format": 99, "winner": {}}))
    export(copied, strategy="majority")
    assert open_bundle(folder).winner.name == "majority"


def test_a_new_decision_makes_a_new_bundle(copied):
    folder = export(copied, strategy="majority")
    before = open_bundle(folder).made_from
    decision = copied.folder / "decision.json"
    decision.write_text(json.dumps(json.loads(decision.read_text()) | {"warnings": ["new"]}))
    export(copied.folder, strategy="majority")
    assert open_bundle(folder).made_from != before


def test_what_a_killed_export_left_is_deleted_and_what_a_living_one_writes_is_not(copied):
    left, living = (copied.folder / f".bundle-{name}" for name in ("abcdefgh", "ijklmnop"))
    left.mkdir()
    living.mkdir()
    with held(living):
        export(copied, strategy="majority")
    assert (left.exists(), living.exists()) == (False, True)


def test_an_unknown_strategy(copied):
    with pytest.raises(BundleError, match="has no strategy 'best'; it measured majority, tfidf, zero-shot"):
        export(copied, strategy="best")


@pytest.mark.parametrize("strategy", ["few-shot", "tfidf"])
def test_only_an_adapter_can_be_merged(copied, strategy):
    with pytest.raises(BundleError, match=f"'{strategy}' has no adapter that could be merged; export without --merge"):
        export(copied, strategy=strategy, merge=True)
    assert not (copied.folder / "bundle").exists()


def test_only_an_encoder_has_a_form_in_int8(copied):
    with pytest.raises(BundleError, match="'tfidf' reads texts with no encoder and has no form in int8; leave --int8"):
        export(copied, strategy="tfidf", int8=True)
    assert not (copied.folder / "bundle").exists()


def adapter_of(run: llmtl.Run) -> Path:
    return run.folder / run.index.fits["qlora"] / "adapter" / "adapter_model.safetensors"


@pytest.mark.parametrize("strategy", ["qlora", "few-shot"])
def test_a_missing_adapter(copied, strategy):
    adapter_of(copied).unlink()
    with pytest.raises(BundleError, match=r"has no adapter_model.safetensors; run the recipe again"):
        export(copied, strategy=strategy)


def test_a_tampered_adapter(copied):
    with adapter_of(copied).open("ab") as file:
        file.write(b" ")
    with pytest.raises(BundleError, match="is not the one that was trained; run the recipe"):
        export(copied, strategy="qlora")


def test_a_run_without_a_decision(copied):
    (copied.folder / "decision.json").unlink()
    with pytest.raises(RunError, match=r"decision\.json' is missing; finish the run"):
        export(copied.folder)
    with pytest.raises(RunError, match="There is no run folder"):
        export(copied.folder / "nowhere")


def test_a_model_that_was_changed_since(copied):
    fit = copied.folder / copied.index.fits["few-shot"] / "depends_on.json"
    document = json.loads(fit.read_text())
    document["model"]["files"]["model.safetensors"] = "0" * 64
    fit.write_text(json.dumps(document))
    with pytest.raises(BundleError, match="'pocket-llama' is not the one that was measured"):
        export(copied, strategy="few-shot")
    export(copied, strategy="tfidf")  # needs no model


def card_of(folder: Path) -> tuple[dict, str]:
    _, front, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), body


def test_the_card_says_what_a_reader_needs(copied, bundle_of):
    front, card = card_of(bundle_of(copied, "qlora"))
    assert (front["license"], front["library_name"]) == ("apache-2.0", "peft")
    provenance = json.loads((copied.folder / "provenance.json").read_text())
    assert provenance["data fingerprint (SHA-256)"] in card
    for result in copied.decision.strategies:
        row = next(line for line in card.splitlines() if line.startswith("|") and f"`{result.name}`" in line)
        low, high = result.test.ci95
        assert f"{result.test.value:.3f}" in row
        assert f"{low:.2f}\u2013{high:.2f}" in row
    for words in ("Say what the message is about", "pocket\\-llama", "Intended use", "Limits", "curl ", "llmtl serve"):
        assert words.replace("\\-", "-") in card or words in card, words
    assert f"{len(copied.decision.strategies)}" in card
    assert "45 test examples" in card
    assert str(copied.folder.parent) not in card


@pytest.mark.parametrize("strategy", ["few-shot", "qlora"])
def test_the_card_tells_a_winner_from_what_was_asked_for(copied, bundle_of, strategy):
    _, card = card_of(bundle_of(copied, strategy))
    other = f"This bundle serves `{strategy}`, which was asked for; the run's winner is `{copied.decision.winner}`"
    assert (other in card) == (strategy != copied.decision.winner)


def test_the_card_says_that_an_inconclusive_winner_is_provisional(copied, tmp_path):
    source = bundle_source(copied, "majority", folder=tmp_path / "out", merge=False)
    decision = replace(copied.decision, verdict=Verdict.INCONCLUSIVE, winner="majority", more_test_examples=400)
    _, card = card_of(write_bundle(replace(source, decision=decision), tmp_path / "out"))
    assert "Too close to call" in card
    assert "`majority` is provisional." in card
