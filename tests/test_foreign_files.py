"""Model folders from elsewhere: what asks for code, for files outside or for another model is not read."""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from llmtl.encoders.checkpoint import inspect_encoder
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.engines.protocol import ModelSource
from llmtl.engines.tokenizer import TokenizerWording
from llmtl.engines.transformers.loading import load_tokenizer
from llmtl.errors import ModelError
from llmtl.foreign_files import (
    SAFE_NAME,
    adapter_fault,
    asks_for_more,
    is_inside,
    leads_out,
    model_fault,
    read_whole,
)
from llmtl.prompting.template import Template
from llmtl.task import Task

ODD = {
    "auto_map": {"AutoModelForCausalLM": "evil.Evil"},
    "custom_pipelines": {"x": {"impl": "evil.Evil"}},
    "speculators_config": {"verifier": {"name_or_path": "evil/model"}},
    "attn_implementation": "evil/kernel",
    "_attn_implementation": {"": "evil/kernel"},
    "trust_remote_code": True,
}


@pytest.fixture
def model(tiny_llama, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_llama, tmp_path / "model"))


def put(path: Path, **entries) -> None:
    path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | entries))


@pytest.mark.parametrize("key", ODD)
def test_a_language_model_that_asks_for_more_is_refused_in_one_line(model, key):
    put(model / "config.json", **{key: ODD[key]})
    with pytest.raises(ModelError, match=rf"'config\.json' .* \('{key}'\); take that out, or give a LLaMA"):
        inspect_checkpoint(str(model))
    put(model / "config.json", **{key: None})
    assert inspect_checkpoint(str(model)).model_type == "llama"


def test_the_tokenizer_is_looked_at_too(model):
    put(model / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]})
    with pytest.raises(ModelError, match=r"'tokenizer_config\.json' asks to run code"):
        inspect_checkpoint(str(model))
    put(model / "tokenizer_config.json", auto_map={}, vocab_file="../../secret")
    with pytest.raises(ModelError, match="names a file outside its folder"):
        inspect_checkpoint(str(model))


def test_what_a_training_left_beside_the_weights_is_no_matter(model):
    for name in ("training_args.bin", "optimizer.pt", "modeling_own.py", "pytorch_model.bin"):
        (model / name).write_bytes(b"never opened")
    assert inspect_checkpoint(str(model)).model_type == "llama"


def test_an_encoder_that_names_classes_of_other_libraries_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    parts = [{"path": "", "type": "sentence_transformers.models.Transformer"}, {"path": "1", "type": "os.system"}]
    (tmp_path / "modules.json").write_text(json.dumps(parts))
    with pytest.raises(ModelError, match=r"'modules\.json' names 'os\.system' of a library to import"):
        inspect_encoder(EncoderSource(str(tmp_path)))
    parts[1] = {"path": "../x", "type": "sentence_transformers.models.Pooling"}
    (tmp_path / "modules.json").write_text(json.dumps(parts))
    with pytest.raises(ModelError, match=r"names the folder '\.\./x', which is not inside"):
        inspect_encoder(EncoderSource(str(tmp_path)))


def test_an_adapter_takes_neither_pickles_nor_libraries(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"megatron_config": null, "megatron_core": "megatron.core"}')
    assert adapter_fault(tmp_path) is None
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    assert adapter_fault(tmp_path) == "'adapter_model.bin' could run code when it is read"


def test_the_links_of_the_hub_s_cache_stay_and_others_do_not(tmp_path):
    blobs, snapshot = tmp_path / "models--a--b" / "blobs", tmp_path / "models--a--b" / "snapshots" / "ab12"
    for folder in (blobs, snapshot):
        folder.mkdir(parents=True)
    (blobs / "1").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/1")
    assert model_fault(snapshot) is None
    assert leads_out(snapshot) == "'config.json' is a link to outside the folder"
    (snapshot / "vocab.txt").symlink_to("/etc/hostname")
    assert model_fault(snapshot) == "'vocab.txt' is a link to outside the folder"


@pytest.mark.parametrize("what", ["pipe", "socket", "device"])
def test_what_is_no_file_is_named(what, tmp_path):
    odd = tmp_path / "vocab.txt"
    if what == "pipe":
        os.mkfifo(odd)
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(odd))
    else:
        try:
            os.mknod(odd, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero, which never ends
        except PermissionError:
            pytest.skip("only root makes devices")
    assert model_fault(tmp_path) == "'vocab.txt' is neither a file nor a folder"


def test_folders_within_folders_end_somewhere(tmp_path):
    deep = tmp_path / "model"
    deep.mkdir()
    inner = os.open(deep, os.O_RDONLY)
    for _ in range(1500):  # deeper than Python walks, and than a path is long
        os.mkdir("a" * 9, dir_fd=inner)
        further = os.open("a" * 9, os.O_RDONLY, dir_fd=inner)
        os.close(inner)
        inner = further
    os.close(inner)
    assert leads_out(deep) == "'aaaaaaaaa' holds folders within folders, more than 32 deep"
    subprocess.run(["rm", "-rf", str(deep)], check=True)  # which Python cannot


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer_config.json", "tokenizer.json", "vocab.txt", "chat_template.jinja"]
)
def test_files_full_of_nothing_are_not_read(name, tmp_path):
    with (tmp_path / name).open("wb") as file:
        file.truncate(10 * 2**30)
    assert "is larger than any" in model_fault(tmp_path)
    with pytest.raises(OSError, match="too large"):
        read_whole(tmp_path / name)


def test_words_of_a_vocabulary_are_no_configuration(tmp_path):
    for name in ("vocab.json", "tokenizer.json", "classifier.json", "result.json"):
        (tmp_path / name).write_text(json.dumps({"auto_map": {"a": 1}, "type": "a.b"}))
    assert asks_for_more(tmp_path) is None


@pytest.mark.parametrize(
    "name", ["", "..", "/a", "a/../b", "a//b", "a\\b", "a\0b", "./../a", "a/", "x" * 256, "é/" * 1200 + "a", "\ud800"]
)
def test_paths_that_lead_out_or_are_no_plain_words(name):
    assert not is_inside(name)


def test_names_that_no_program_takes_for_an_option():
    for name in ("smollm2", ".hidden", "me/big", "Modèle 7B", "_x"):
        assert SAFE_NAME.fullmatch(name)
    for name in ("", "-x", "--trust-remote-code", "a\nb", "a\0", "a\x7f", "x" * 256):
        assert not SAFE_NAME.fullmatch(name)


@pytest.mark.parametrize(
    "template",
    [
        "{{ cycler.__init__.__globals__.os.system('touch ran') }}",
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ lipsum.__globals__['os'].popen('touch ran').read() }}",
        "{% include '/etc/hostname' %}",
        "{% for a in range(10 ** 9) %}{% endfor %}",
        "{{ 1 / 0 }}",
        "{{ raise_exception('no') }}",
        "{{ undefined.attribute.of }}",
        "{{",
    ],
)
def test_a_chat_template_runs_in_a_sandbox_and_fails_in_one_line(model, template, tmp_path, monkeypatch):
    (model / "chat_template.jinja").write_text(template)
    monkeypatch.chdir(tmp_path)
    tokenizer = load_tokenizer(ModelSource(str(model)))
    with pytest.raises(ModelError, match=r"template rejects this conversation \(.+\); correct it, or take another"):
        Template(Task("t", ("a", "b")), TokenizerWording(tokenizer)).prompt("hello", ())
    assert not (tmp_path / "ran").exists()


BROKEN = {
    "no kind of pieces": ("tokenizer.json", {"model": {"type": "BPE", "vocab": [], "merges": 3}}),
    "no version": ("tokenizer.json", {"version": None}),
    "half a padding": ("tokenizer.json", {"padding": []}),
    "a number for a token": ("tokenizer_config.json", {"eos_token": 7}),
    "a list for added tokens": ("tokenizer_config.json", {"added_tokens_decoder": [1]}),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_tokenizer_that_its_library_cannot_read_is_one_line(model, what):
    name, entries = BROKEN[what]
    put(model / name, **entries)
    with pytest.raises(ModelError, match=r"tokenizer of the model '.*' cannot be loaded \(.+\); give a checkpoint"):
        load_tokenizer(ModelSource(str(model)))
