"""Which engine runs the model: what the recipe says, or else what the machine has."""

import pytest

from llmtl.engines import ModelSource
from llmtl.engines.transformers import TransformersEngine
from llmtl.pipeline.models import EngineCache, identity
from llmtl.settings import ModelConfig


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
    monkeypatch.setattr("llmtl.pipeline.models.find_spec", lambda package: object() if installed else None)
    heard = []
    cache = EngineCache(ModelSource("any"), say=heard.append)
    assert cache._chosen == name
    assert len(heard) == (0 if installed else 1)
    assert all("pip install 'llmtl[gpu]'" in line for line in heard)
    assert EngineCache(ModelSource("any"), "transformers")._chosen == "transformers"


def test_a_chosen_engine_is_part_of_what_a_result_is_kept_under():
    kept = [identity(ModelConfig(name="a", engine=each), ModelSource("nowhere")) for each in ("auto", "vllm")]
    assert kept[0] != kept[1]
