"""Which engine runs the model: what the recipe says, or else what the machine has."""

from dataclasses import replace

import pytest
import torch

from llmtl.engines import ModelSource
from llmtl.engines.engine_cache import EngineCache
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import ModelError
from llmtl.hardware import Gpu, inspect
from llmtl.pipeline.models import encoder_source_of, identity, source_of
from llmtl.pipeline.prepare import emulation
from llmtl.sections import EncoderConfig, ModelConfig


def test_a_cpu_runs_transformers_unless_told_otherwise(tiny_llama, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    heard = []
    cache = EngineCache(ModelSource(str(tiny_llama)), say=heard.append)
    engine = cache.load()
    assert isinstance(engine, TransformersEngine)
    assert cache.load() is engine
    assert heard == []
    cache.release()
    assert cache.load() is not engine
    cache.release()


@pytest.mark.parametrize(("installed", "name"), [(True, "vllm"), (False, "transformers")])
def test_a_gpu_runs_vllm_where_it_is_installed_and_says_where_it_is_not(monkeypatch, installed, name):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("llmtl.engines.engine_cache.find_spec", lambda package: object() if installed else None)
    heard = []
    cache = EngineCache(ModelSource("any"), say=heard.append)
    assert cache._chosen == name
    assert len(heard) == (0 if installed else 1)
    assert all("pip install 'llmtl[gpu]'" in line for line in heard)
    assert EngineCache(ModelSource("any"), "transformers")._chosen == "transformers"


def test_a_chosen_engine_is_part_of_what_a_result_is_kept_under():
    kept = [identity(ModelConfig(name="a", engine=each), ModelSource("nowhere")) for each in ("auto", "vllm")]
    assert kept[0] != kept[1]


@pytest.mark.parametrize(
    ("dtype", "name"), [("auto", "transformers"), ("float32", "transformers"), ("bfloat16", "vllm")]
)
def test_bfloat16_on_a_cpu_is_measured_by_the_engine_that_serves(monkeypatch, dtype, name):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert EngineCache(ModelSource("any", dtype=dtype))._chosen == name


def test_the_recipe_says_what_numbers_the_model_is_run_in(tiny_llama):
    config = ModelConfig(name=str(tiny_llama), dtype="bfloat16", engine="transformers")
    cache = EngineCache(source_of(config), config.engine)
    assert cache.load()._model.dtype == torch.bfloat16
    cache.release()


def test_results_in_other_numbers_are_kept_apart(tiny_llama):
    kept = [
        identity(config, source_of(config))
        for config in (ModelConfig(name=str(tiny_llama), dtype=dtype) for dtype in ("auto", "bfloat16"))
    ]
    assert kept[1] == kept[0] | {"dtype": "bfloat16"}


@pytest.mark.parametrize(("device", "dtype"), [("cpu", "float32"), ("cuda", "bfloat16")])
def test_by_default_the_device_decides_about_the_numbers(device, dtype):
    assert ModelSource("any").precision(device) == dtype
    assert ModelSource("any", dtype="float32").precision(device) == "float32"
    assert ModelSource("any", dtype="bfloat16").precision(device) == "bfloat16"


def test_numbers_without_instructions_are_named_with_the_cure():
    here, gpu = inspect(), Gpu("Tesla V100", 32.0, 32.0, bf16=False)
    lacking = replace(here, gpus=(), cpu_bf16=False)
    assert emulation(ModelSource("any"), lacking) is None
    assert "This CPU has no bfloat16" in emulation(ModelSource("any", dtype="bfloat16"), lacking)
    assert "set model.dtype=float32" in emulation(ModelSource("any"), replace(here, gpus=(gpu,)))
    assert emulation(ModelSource("any", dtype="float32"), replace(here, gpus=(gpu,))) is None
    assert emulation(ModelSource("any", dtype="bfloat16"), replace(here, gpus=(), cpu_bf16=True)) is None


@pytest.mark.parametrize("source", [source_of, encoder_source_of])
def test_a_revision_of_an_embedded_model_is_refused(source):
    config = ModelConfig if source is source_of else EncoderConfig
    with pytest.raises(
        ModelError, match="'pocket-llama' is on this machine, not on the Hub, and has no revision 'nope'"
    ):
        source(config(name="pocket-llama", revision="nope"))
    assert source(config(name="someone/else", revision="v1")).revision == "v1"
