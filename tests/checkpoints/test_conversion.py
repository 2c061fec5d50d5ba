"""A GGUF file becomes an ordinary checkpoint, once, and every file that cannot is one line with the cure."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from llmtl.checkpoints import locate
from llmtl.checkpoints.conversion import RECORD
from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.errors import MissingPackageError, ModelError
from llmtl.progress import Silent
from tests.support.gguf_files import write_gguf


class Said(Silent):
    """A progress that keeps what was said."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return an empty cache folder of the test's own."""
    monkeypatch.setenv("LLMTL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def tiny_gguf(tiny_llama, tmp_path_factory):
    """Return a GGUF file of the tiny LLaMA, in float32."""
    return write_gguf(tiny_llama, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def logits(folder, **options):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()
    with torch.no_grad():
        return model(torch.arange(6, 60)[None]).logits


def test_a_gguf_file_becomes_the_checkpoint_that_it_was_made_of(tiny_gguf, tiny_llama, cache):
    said = Said()
    folder = locate(str(tiny_gguf), progress=said)
    assert torch.equal(logits(folder), logits(tiny_llama))
    mine, theirs = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(tiny_llama)
    text = "Why was I charged 12 times?  <|end|>\n\nIt's a café"
    assert mine(text).input_ids == theirs(text).input_ids
    assert (mine.chat_template, mine.model_max_length) == (theirs.chat_template, 512)
    info = inspect_checkpoint(str(tiny_gguf))
    assert (str(info.path), info.has_chat_template, info.context_length) == (folder, True, 512)
    config = json.loads((info.path / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert "quantization_config" not in config
    assert info.path.is_relative_to(cache)
    said_last = "The weights are de-quantised from tiny.gguf (GGUF, F32) to float32: not the published ones."
    assert said.lines[-1] == said_last


def test_quantised_weights_become_what_transformers_makes_of_them(tiny_llama, tmp_path, cache, capfd):
    path = write_gguf(tiny_llama, tmp_path / "q8.gguf", quantised=True)
    folder = locate(str(path))
    assert capfd.readouterr() == ("", "")
    read = logits(tmp_path, gguf_file="q8.gguf")
    assert torch.equal(logits(folder), read)
    assert not torch.equal(read, logits(tiny_llama))
    assert json.loads((inspect_checkpoint(folder).path / RECORD).read_text())["quantisation"] == "Q8_0"


def test_a_conversion_is_made_once_and_anew_when_it_is_damaged(tiny_gguf, cache):
    folder = inspect_checkpoint(str(tiny_gguf)).path
    weights = folder / "model.safetensors"
    before = weights.stat().st_ino, weights.read_bytes()
    said = Said()
    assert locate(str(tiny_gguf), progress=said) == str(folder)
    assert weights.stat().st_ino == before[0]
    assert len(said.lines) == 1
    weights.write_bytes(before[1][:-1] + b"\x01")
    (folder.parent / f".{folder.name}.new").mkdir()  # what a killed process leaves
    assert locate(str(tiny_gguf), progress=said) == str(folder)
    assert weights.read_bytes() == before[1]
    (folder / "tokenizer.json").unlink()
    locate(str(tiny_gguf))
    assert (folder / "tokenizer.json").is_file()
    assert sorted(path.name for path in folder.parent.iterdir()) == ["checked", "lock", "tiny"]


def test_a_changed_file_is_another_model(tiny_gguf, tiny_llama, tmp_path, cache):
    path = shutil.copy(tiny_gguf, tmp_path / "model.gguf")
    first = locate(str(path))
    write_gguf(tiny_llama, path, quantised=True)
    second = locate(str(path))
    assert first != second
    assert torch.equal(logits(first), logits(locate(str(tiny_gguf))))


def test_two_processes_at_once_make_one_conversion(tiny_gguf, cache):
    code = f"from llmtl.checkpoints import locate; print(locate({str(tiny_gguf)!r}))"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate()[0].strip() for process in started)
    assert [process.returncode for process in started] == [0, 0]
    assert first == second
    assert logits(first).isfinite().all()


def test_the_frequencies_of_llama_3_are_kept(tiny_llama, tmp_path, cache):
    # Llama 3.1's factors (llama.cpp, convert_hf_to_gguf.py, Llama3's rope_freqs) for 16 dimensions and theta 10,000
    waves = 2 * np.pi * 10000 ** (np.arange(0, 16, 2) / 16)
    smooth = (8192 / waves - 1) / 3
    middle = 1 / ((1 - smooth) / 8 + smooth)
    factors = np.where(waves < 8192 / 4, 1, np.where(waves > 8192, 8, middle))
    folder = locate(str(write_gguf(tiny_llama, tmp_path / "long.gguf", factors=factors)))
    config = json.loads((inspect_checkpoint(folder).path / "config.json").read_text())
    assert config["rope_parameters"]["rope_type"] == "llama3"
    assert config["rope_parameters"]["factor"] == 8
    path = write_gguf(tiny_llama, tmp_path / "odd.gguf", factors=np.sqrt(factors))
    with pytest.raises(ModelError, match="stretches its positions"):
        locate(str(path))


def test_a_folder_that_holds_one_gguf_file_is_that_file(tiny_gguf, tmp_path, cache):
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(tiny_gguf, folder / "a.gguf")
    assert inspect_checkpoint(str(folder)).hidden_size == 64
    shutil.copy(tiny_gguf, folder / "b.gguf")
    with pytest.raises(ModelError, match="holds 2 GGUF files; give the path of one"):
        inspect_checkpoint(str(folder))


@pytest.mark.parametrize(
    ("architecture", "facts", "said"),
    [
        ("qwen2", {}, "architecture 'qwen2', which llmtl cannot load; give a LLaMA-"),
        ("gemma3", {}, "architecture 'gemma3'"),
        ("llama", {"llama.expert_count": 8}, "mixture of experts"),
        ("llama", {"split.count": 2}, "join them with `llama-gguf-split --merge`"),
        ("llama", {"llama.rope.scaling.type": "yarn"}, "stretches its positions"),
    ],
)
def test_a_model_that_cannot_be_converted_is_one_line(tiny_llama, tmp_path, cache, architecture, facts, said):
    path = write_gguf(tiny_llama, tmp_path / "model.gguf", architecture=architecture, facts=facts)
    with pytest.raises(ModelError, match=said) as caught:
        inspect_checkpoint(str(path))
    assert "\n" not in str(caught.value)
    assert not list(cache.rglob("model"))


@pytest.mark.parametrize("share", [0.001, 0.01, 0.2, 0.9])
def test_a_file_that_breaks_off_is_one_line(tiny_gguf, tmp_path, cache, share):
    whole = tiny_gguf.read_bytes()
    (tmp_path / "half.gguf").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelError, match=r"cannot be read to its end .*; download it again") as caught:
        inspect_checkpoint(str(tmp_path / "half.gguf"))
    assert "\n" not in str(caught.value)


def test_what_is_no_gguf_file_is_one_line(tmp_path, cache):
    (tmp_path / "page.gguf").write_text("<html>")
    with pytest.raises(ModelError, match="is not a GGUF file, whatever its name says"):
        locate(str(tmp_path / "page.gguf"))
    with pytest.raises(ModelError, match="does not exist"):
        locate(str(tmp_path / "nothing.gguf"))


def test_a_missing_package_is_one_line(tiny_gguf, cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'llmtl\[gguf\]'"):
        locate(str(tiny_gguf))


def test_a_cache_that_cannot_be_written_is_one_line(tiny_gguf, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLMTL_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="set LLMTL_CACHE to another folder") as caught:
        locate(str(tiny_gguf))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("variable", ["LLMTL_CACHE", "XDG_CACHE_HOME", "HOME"])
def test_the_cache_is_where_the_environment_says(tmp_path, variable):
    environment = {key: value for key, value in os.environ.items() if key not in ("LLMTL_CACHE", "XDG_CACHE_HOME")}
    code = "from llmtl.checkpoints.cache import cache_folder; print(cache_folder())"
    command = [sys.executable, "-c", code]
    shown = subprocess.check_output(command, env=environment | {variable: str(tmp_path)}, text=True)
    below = {"LLMTL_CACHE": "", "XDG_CACHE_HOME": "llmtl", "HOME": ".cache/llmtl"}
    assert shown.strip() == str(tmp_path / below[variable])
