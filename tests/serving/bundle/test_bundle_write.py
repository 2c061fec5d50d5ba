"""What a bundle holds, and that writing one is all or nothing."""

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from safetensors.numpy import load_file, save_file

from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.engines.protocol import ModelSource
from llmtl.engines.tokenizer import TokenizerWording
from llmtl.errors import BundleError
from llmtl.pipeline.export import bundle_source
from llmtl.pocket import resolve
from llmtl.progress import Silent
from llmtl.prompting.retrieval import Retriever
from llmtl.prompting.template import Template
from llmtl.serving.bundle.checkpoint_files import describe_base
from llmtl.serving.bundle.manifest import Weights
from llmtl.serving.bundle.read import load_bundle_tokenizer, open_bundle, read_pool, read_recorded
from llmtl.serving.bundle.strategies import served_others, served_winner
from llmtl.serving.bundle.write import write_bundle
from llmtl.store import read_json, read_json_lines
from llmtl.strategies.lora import Lora
from tests.support.gguf_files import write_gguf

POCKET = resolve("pocket-llama")


@pytest.fixture
def source_of(llama_run, tmp_path):
    """Return a function to what a strategy's bundle is written from."""
    return lambda strategy, **changes: replace(
        bundle_source(llama_run, strategy, folder=tmp_path / "out", merge=False), **changes
    )


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def everything(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}


COMMON = {"README.md", "SHA256SUMS", "bundle.json", "labels.json", "recorded.jsonl", "request.json"}
MODEL = {
    "chat_template.jinja",
    "vllm.yaml",
    "vllm.here.yaml",
    *(
        f"model/{name}"
        for name in (
            "chat_template.jinja",
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
        )
    ),
}
MAJORITY = {"beside/majority/classifier.json"}
TFIDF = {"beside/tfidf/classifier.json", "beside/tfidf/classifier.safetensors"}
ADAPTER = {"adapter/adapter_config.json", "adapter/adapter_model.safetensors"}


@pytest.mark.parametrize("strategy", ["zero-shot", "few-shot", "knn-few-shot", "qlora"])
def test_the_files_of_a_language_model(llama_run, bundle_of, strategy):
    folder = bundle_of(llama_run, strategy)
    assert files(folder) == COMMON | MODEL | ADAPTER | MAJORITY | TFIDF | {"demonstrations.jsonl"}
    assert (folder / "model" / "model.safetensors").read_bytes() == (POCKET / "model.safetensors").read_bytes()


def test_of_two_adapters_a_bundle_holds_the_winners_or_else_the_first(source_of):
    def names(winner):
        source = source_of(winner)
        strategies = (*source.strategies, replace(source.strategy("qlora"), facts=Lora.facts))
        source = replace(source, strategies=strategies)
        served = served_winner(source, merge=False)
        base = describe_base(source.model, source.model_name, dtype=source.dtype, task=source.task.name)
        others = served_others(source, base, served)
        return [each.name for each in (served, *others) if each.weights is Weights.ADAPTER]

    assert names("zero-shot") == ["qlora"]
    assert names("qlora") == ["qlora"]


def test_the_files_of_other_winners(llama_run, bundle_of):
    assert files(bundle_of(llama_run, "qlora", merge=True)) - COMMON == MODEL | MAJORITY | TFIDF
    assert files(bundle_of(llama_run, "majority")) - COMMON == TFIDF | {"classifier/classifier.json"}
    classifier = {"classifier/classifier.json", "classifier/classifier.safetensors"}
    assert files(bundle_of(llama_run, "tfidf")) - COMMON == MAJORITY | classifier


BASELINES = {name: name for name in ("front-desk/majority", "front-desk/tfidf")}


def test_the_names_under_which_strategies_are_served(llama_run, bundle_of):
    bundle = open_bundle(bundle_of(llama_run, "qlora"))
    assert (bundle.winner.model, bundle.winner.engine_model, bundle.winner.weights) == (
        "front-desk",
        "front-desk",
        Weights.ADAPTER,
    )
    assert {each.model: each.engine_model for each in bundle.others} == {
        "front-desk/zero-shot": "pocket-llama",
        "front-desk/few-shot": "pocket-llama",
        "front-desk/knn-few-shot": "pocket-llama",
        **BASELINES,
    }
    prompted = open_bundle(bundle_of(llama_run, "few-shot"))
    assert (prompted.winner.engine_model, prompted.winner.weights) == ("front-desk", Weights.BASE)
    assert {each.model: each.engine_model for each in prompted.others} == {
        "front-desk/zero-shot": "pocket-llama",
        "front-desk/knn-few-shot": "pocket-llama",
        "front-desk/qlora": "front-desk/qlora",
        **BASELINES,
    }
    merged = open_bundle(bundle_of(llama_run, "qlora", merge=True))
    assert [each.model for each in merged.others] == list(BASELINES)
    assert [each.model for each in open_bundle(bundle_of(llama_run, "tfidf")).others] == ["front-desk/majority"]
    for each in merged.others:
        assert (bundle_of(llama_run, "qlora", merge=True) / "beside" / each.name).is_dir()


def test_demonstrations_are_those_that_were_measured(llama_run, bundle_of):
    folder = bundle_of(llama_run, "few-shot")
    bundle = open_bundle(folder)
    kept = read_json(llama_run.folder / llama_run.index.fits["few-shot"] / "prompt.json")
    assert [example.id for example in bundle.winner.demonstrations] == kept["demonstrations"]
    pool = read_pool(folder)
    knn = next(each for each in bundle.others if each.name == "knn-few-shot")
    assert (knn.retrieved, knn.demonstrations) == (4, ())
    # the run's own predictor retrieves from the same examples in the same order
    measured = llama_run.predictor("knn-few-shot").served().retrieved
    assert (measured.shots, measured.pool) == (4, pool)


def test_recorded_rows_are_the_runs(llama_run, bundle_of):
    rows = read_json_lines(llama_run.folder / "predictions" / "few-shot.test.jsonl")
    recorded = read_recorded(bundle_of(llama_run, "few-shot"))
    assert [(each.id, each.reference, each.prediction, each.probabilities) for each in recorded] == [
        (row["id"], row["reference"], row["prediction"], row["probabilities"]) for row in rows
    ]


def test_answers_and_their_tokens(llama_run, bundle_of):
    folder = bundle_of(llama_run, "qlora")
    bundle = open_bundle(folder)
    tokenizer = load_bundle_tokenizer(bundle, folder)
    assert bundle.answers == bundle.task.labels == ("card", "card payment", "delivery", "money back", "opening hours")
    spelled = {token for answer in bundle.answers for token in tokenizer(answer, add_special_tokens=False)["input_ids"]}
    assert set(bundle.answer_tokens) == spelled | {tokenizer.eos_token_id}
    assert bundle.end_token == tokenizer.eos_token_id


def test_every_hash_is_that_of_the_file(llama_run, bundle_of):
    folder = bundle_of(llama_run, "qlora")
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    listed = {line[66:]: line[:64] for line in lines}
    assert set(listed) == files(folder) - {"SHA256SUMS"}
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == found for name, found in listed.items())
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


@pytest.mark.parametrize("strategy", ["qlora", "few-shot", "tfidf"])
def test_no_path_of_this_machine_but_in_the_configuration_of_the_export(llama_run, bundle_of, strategy):
    folder = bundle_of(llama_run, strategy)
    for name in files(folder) - {"vllm.yaml"}:
        content = (folder / name).read_bytes()
        for place in (llama_run.folder.parent, folder, POCKET.parent, Path.home()):
            assert str(place).encode() not in content, (name, place)


def test_the_configurations_of_vllm(llama_run, bundle_of):
    folder = bundle_of(llama_run, "qlora")
    there = yaml.safe_load((folder / "vllm.yaml").read_text())
    here = yaml.safe_load((folder / "vllm.here.yaml").read_text())
    assert there["model"] == str(folder / "model")
    assert there["chat-template"] == str(folder / "chat_template.jinja")
    assert [json.loads(each) for each in there["lora-modules"]] == [
        {"name": "front-desk", "path": str(folder / "adapter")}
    ]
    assert here["model"] == "model"
    assert here["served-model-name"] == ["pocket-llama"]
    assert {key: there[key] for key in ("host", "allowed-origins", "dtype", "max-model-len", "logprobs-mode")} == {
        "host": "127.0.0.1",
        "allowed-origins": "[]",
        "dtype": "float32",
        "max-model-len": 2048,
        "logprobs-mode": "processed_logprobs",
    }
    for strategy, merge, served in (
        ("few-shot", False, ["front-desk", "pocket-llama"]),
        ("qlora", True, ["front-desk"]),
    ):
        arguments = yaml.safe_load((bundle_of(llama_run, strategy, merge=merge) / "vllm.yaml").read_text())
        assert arguments["served-model-name"] == served


def test_a_retrieving_winners_request_holds_the_measured_conversation(llama_run, bundle_of):
    folder = bundle_of(llama_run, "knn-few-shot")
    bundle = open_bundle(folder)
    template = Template(bundle.task, TokenizerWording(load_bundle_tokenizer(bundle, folder)))
    row = read_recorded(folder)[0]
    request = json.loads((folder / "request.json").read_text())
    shown = Retriever(read_pool(folder)).nearest(row.text, 4)
    assert request["messages"] == template.messages(row.text, shown)
    assert request["chat_template_kwargs"] == {"raw": True}


class Failing(Silent):
    """A progress at which the `number`-th stage fails."""

    def __init__(self, number: int, error: BaseException) -> None:
        self.left, self.error = number, error

    def stage(self, description, total):
        self.left -= 1
        if self.left == 0:
            raise self.error
        return super().stage(description, total)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("No space left on device")], ids=["ctrl-c", "full"])
@pytest.mark.parametrize("stage", [1, 2], ids=["copying", "hashing"])
def test_a_failure_leaves_nothing_behind(source_of, tmp_path, stage, error):
    with pytest.raises(type(error)):
        write_bundle(source_of("zero-shot"), tmp_path / "out", progress=Failing(stage, error))
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_bundle_as_it_was(source_of, tmp_path):
    out = write_bundle(source_of("majority"), tmp_path / "out")
    before = everything(out)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(source_of("zero-shot"), out, progress=Failing(2, KeyboardInterrupt()))
    assert everything(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_bundle_replaces_a_bundle_with_nothing_left_of_it(source_of, tmp_path):
    write_bundle(source_of("zero-shot"), tmp_path / "out")
    (tmp_path / "out" / "serving.json").write_text("{}")  # measured on the old one
    write_bundle(source_of("majority"), tmp_path / "out")
    assert files(tmp_path / "out") == COMMON | TFIDF | {"classifier/classifier.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("content", ["notes.txt", "bundle.json"])
def test_a_foreign_folder_is_refused(source_of, tmp_path, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / content).write_text("{}")
    with pytest.raises(BundleError, match="is not empty and not a bundle; name a new folder"):
        write_bundle(source_of("majority"), tmp_path / "out")
    assert files(tmp_path) == {f"out/{content}"}


def test_a_file_and_an_impossible_place_are_refused(source_of, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BundleError, match="is a file; name a folder"):
        write_bundle(source_of("majority"), tmp_path / "file")
    with pytest.raises(BundleError, match="No bundle can be written"):
        write_bundle(source_of("majority"), tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_and_a_missing_parent_are_fine(source_of, tmp_path):
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "empty", tmp_path / "a" / "b"):
        assert open_bundle(write_bundle(source_of("majority"), out)).winner.name == "majority"


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """Return a copy of pocket-llama in two shards, with a licence, a card and much that is no business of a bundle."""
    folder = tmp_path / "My Model"
    shutil.copytree(POCKET, folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shards = {
        "model-00001-of-00002.safetensors": sorted(tensors)[::2],
        "model-00002-of-00002.safetensors": sorted(tensors)[1::2],
    }
    for shard, held in shards.items():
        save_file({name: tensors[name] for name in held}, folder / shard, metadata={"format": "pt"})
    weight_map = {name: shard for shard, held in shards.items() for name in held}
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    save_file(tensors, folder / "consolidated.safetensors")
    for name in (
        "pytorch_model.bin",
        "modeling_evil.py",
        "params.json",
        "tekken.json",
        "model.gguf",
        "training_args.bin",
    ):
        (folder / name).write_text("{}")
    (folder / "LICENSE.txt").write_text("Do as you like.")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    return folder


def test_only_what_serving_needs_is_copied_of_a_checkpoint(source_of, checkpoint, tmp_path):
    source = source_of("zero-shot", model=ModelSource(str(checkpoint)), model_name=str(checkpoint))
    bundle = open_bundle(write_bundle(source, tmp_path / "out"))
    assert files(tmp_path / "out" / "model") == {
        "LICENSE.txt",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert (bundle.base.name, bundle.base.licence) == ("My Model", "mit")
    assert inspect_checkpoint(str(tmp_path / "out" / "model")).parameters == inspect_checkpoint(str(POCKET)).parameters
    assert str(checkpoint) not in (tmp_path / "out" / "README.md").read_text()


def test_a_model_in_gguf_is_copied_as_what_it_became(source_of, tiny_llama, tmp_path, monkeypatch):
    monkeypatch.setenv("LLMTL_CACHE", str(tmp_path / "cache"))
    path = str(write_gguf(tiny_llama, tmp_path / "tiny.gguf"))
    bundle = open_bundle(
        write_bundle(source_of("zero-shot", model=ModelSource(path), model_name=path), tmp_path / "out")
    )
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files(tmp_path / "out" / "model")
    assert (bundle.base.name, bundle.base.licence, bundle.base.hub) == ("tiny", "apache-2.0", False)


def test_a_missing_shard_is_named(source_of, checkpoint, tmp_path):
    (checkpoint / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(BundleError, match=r"lacks its weights 'model-00002-of-00002\.safetensors'"):
        write_bundle(source_of("zero-shot", model=ModelSource(str(checkpoint))), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_of_the_hub_stays_there_at_its_commit(source_of, tmp_path, monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    cache = tmp_path / "cache" / "models--me--tiny"
    shutil.copytree(POCKET, cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    out = write_bundle(source_of("few-shot", model=ModelSource("me/tiny"), model_name="me/tiny"), tmp_path / "out")
    base = open_bundle(out).base
    assert (base.name, base.source, base.hub, base.revision) == ("me/tiny", "me/tiny", True, commit)
    assert not (out / "model").exists()
    assert {"tokenizer/tokenizer.json", "tokenizer/config.json"} <= files(out)
    arguments = yaml.safe_load((out / "vllm.yaml").read_text())
    assert (arguments["model"], arguments["revision"], arguments["tokenizer"]) == (
        "me/tiny",
        commit,
        str(out / "tokenizer"),
    )
    front = yaml.safe_load((out / "README.md").read_text().split("---\n")[1])
    assert (front["base_model"], front["license"]) == ("me/tiny", "other")


def test_a_model_that_is_called_like_the_task(source_of, tmp_path):
    folder = tmp_path / "front-desk"
    shutil.copytree(POCKET, folder)
    source = source_of("zero-shot", model=ModelSource(str(folder)), model_name=str(folder))
    out = write_bundle(source, tmp_path / "out")
    assert yaml.safe_load((out / "vllm.yaml").read_text())["served-model-name"] == ["front-desk", "front-desk-base"]


def test_a_base_model_without_a_chat_template(source_of, tmp_path):
    folder = tmp_path / "plain"
    shutil.copytree(POCKET, folder, ignore=shutil.ignore_patterns("chat_template.jinja"))
    bundle = open_bundle(write_bundle(source_of("few-shot", model=ModelSource(str(folder))), tmp_path / "out"))
    assert bundle.answers == tuple(f" {label}" for label in bundle.task.labels)
    assert "Message: " in (tmp_path / "out" / "chat_template.jinja").read_text()
