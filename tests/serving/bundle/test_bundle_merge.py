"""The merged checkpoint predicts what base model and adapter predict beside each other, or is refused."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from llmtl.engines.protocol import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import BundleError
from llmtl.pipeline.export import bundle_source, export
from llmtl.pipeline.run_folder import load_run
from llmtl.pocket import resolve
from llmtl.progress import Silent
from llmtl.prompting.predictors import LabelPredictor
from llmtl.prompting.template import Template
from llmtl.serving.bundle.merge import check_merged, write_merged
from llmtl.serving.bundle.read import open_bundle, read_recorded


def beside(folder: Path, adapter: Path) -> TransformersEngine:
    """Return an engine in which PEFT computes the adapter beside the base model, without merging."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained(folder)
    model = PeftModel.from_pretrained(base, str(adapter)).get_base_model().eval()
    return TransformersEngine(model, AutoTokenizer.from_pretrained(folder))


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_a_merged_checkpoint_equals_base_and_adapter(request, bundle_of, name):
    run = request.getfixturevalue(f"{name}_run")
    folder = bundle_of(run, "qlora", merge=True)
    texts = [row.text for row in read_recorded(folder)]
    adapter = run.folder / run.index.fits["qlora"] / "adapter"
    engines = {
        "merged": TransformersEngine.load(ModelSource(str(folder / "model")), device="cpu"),
        "beside": beside(resolve(f"pocket-{name}"), adapter),
    }
    merged, expected = (
        LabelPredictor(run.task, engine, Template(run.task, engine)).predict(texts) for engine in engines.values()
    )
    for now, then, row in zip(merged, expected, read_recorded(folder), strict=True):
        assert now.answer == then.answer == row.prediction
        assert dict(now.probabilities) == pytest.approx(dict(then.probabilities), abs=1e-5)
        assert dict(now.probabilities) == pytest.approx(row.probabilities, abs=1e-5)
    # and the adapter matters: the base model alone says something else
    base = TransformersEngine.load(ModelSource(str(resolve(f"pocket-{name}"))), device="cpu")
    alone = LabelPredictor(run.task, base, Template(run.task, base)).predict(texts)
    assert (
        max(
            abs(a.probabilities[k] - b.probabilities[k])
            for a, b in zip(alone, merged, strict=True)
            for k in a.probabilities
        )
        > 0.1
    )


def test_tied_embeddings_stay_tied(llama_run, bundle_of):
    folder = bundle_of(llama_run, "qlora", merge=True) / "model"
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"]
    assert set(load_file(folder / "model.safetensors")) == set(load_file(resolve("pocket-llama") / "model.safetensors"))


def test_the_card_says_how_merging_went(llama_run, bundle_of):
    folder = bundle_of(llama_run, "qlora", merge=True)
    assert open_bundle(folder).lora_rank == 0
    card = (folder / "README.md").read_text()
    count = len(read_recorded(folder))
    assert f"The merged checkpoint was compared with the adapter on {count} test inputs: 0 labels differ" in card


@pytest.fixture
def spoiled(llama_run, tmp_path):
    """Return a copy of the run whose adapter is not the one that was measured."""
    shutil.copytree(llama_run.folder, tmp_path / "run", symlinks=True)
    run = load_run(tmp_path / "run")
    weights = adapter_of(run) / "adapter_model.safetensors"
    save_file({name: -2 * array for name, array in load_file(weights).items()}, weights)
    return run


def adapter_of(run):
    return run.folder / run.index.fits["qlora"] / "adapter"


def test_a_merged_checkpoint_that_predicts_otherwise_is_refused_with_the_figures(llama_run, spoiled, tmp_path):
    source = bundle_source(llama_run, "qlora", folder=tmp_path / "out", merge=True)
    write_merged(source.model, adapter_of(spoiled), tmp_path / "merged", dtype="float32")
    for file in resolve("pocket-llama").glob("*token*"):
        shutil.copy(file, tmp_path / "merged")
    shutil.copy(resolve("pocket-llama") / "chat_template.jinja", tmp_path / "merged")
    with pytest.raises(BundleError, match=r"\d+ of 45 labels differ, and a probability by \d\.\d+ .* export without"):
        check_merged(tmp_path / "merged", source, dtype="float32", progress=Silent())


@pytest.mark.parametrize("merge", [True, False])
def test_a_changed_adapter_is_refused(spoiled, tmp_path, merge):
    with pytest.raises(BundleError, match="is damaged: it is not what was written"):
        export(spoiled, tmp_path / "out", strategy="qlora", merge=merge)
    assert not (tmp_path / "out").exists()


def test_an_adapter_on_shared_embeddings_cannot_be_merged(spoiled, tmp_path):
    config = adapter_of(spoiled) / "adapter_config.json"
    document = json.loads(config.read_text())
    config.write_text(json.dumps(document | {"target_modules": [*document["target_modules"], "lm_head"]}))
    with pytest.raises(BundleError, match="changes 'lm_head', which this model shares"):
        write_merged(
            ModelSource(str(resolve("pocket-llama"))), adapter_of(spoiled), tmp_path / "merged", dtype="float32"
        )


def test_bfloat16_is_written_as_it_was_measured(llama_run, tmp_path):
    source = bundle_source(llama_run, "qlora", folder=tmp_path / "out", merge=True)
    write_merged(source.model, source.served.adapter, tmp_path / "merged", dtype="bfloat16")
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["dtype"] == "bfloat16"
