"""The `llm-embedding-head` strategy: its vectors beside plain transformers, and what is kept of it."""

import numpy as np
import pytest

from llmtl.engines.protocol import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import ContextLengthError
from llmtl.findings import GridTrace, finding
from llmtl.heads.prompt_states import PromptReader
from llmtl.prompting.template import Template
from llmtl.strategies.embedding_head import EmbeddingHeadConfig
from llmtl.strategies.llm_embedding_head import LlmEmbeddingHead, _mean_of
from llmtl.strategy import LocalServed


@pytest.fixture(scope="module")
def engine(tiny_llama):
    return TransformersEngine.load(ModelSource(str(tiny_llama)), device="cpu")


@pytest.fixture
def context(make_plain_context, engine):
    return make_plain_context(load_engine=lambda adapter: engine)


def test_a_vector_is_the_mean_of_the_last_layers_states_behind_what_all_prompts_begin_with(context, engine, tiny_llama):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32).eval()
    texts = [each.text for each in context.dev[:3]]
    found, tokens = _mean_of(PromptReader(context))(texts)
    template = Template(context.task, engine)
    rows = [engine.tokenizer(template.prompt(text), add_special_tokens=False)["input_ids"] for text in texts]
    assert tokens == [len(row) for row in rows]
    head = next(at for at, ids in enumerate(zip(*rows, strict=False)) if len(set(ids)) > 1)
    for row, vector in zip(rows, found, strict=True):
        with torch.inference_mode():
            states = model(torch.tensor([row]), output_hidden_states=True).hidden_states[-1][0]
        own = states[head:].mean(axis=0).numpy()
        assert np.corrcoef(own, vector.astype(float))[0, 1] > 0.99


def test_the_best_head_on_dev_is_kept_and_runs_on_the_base_model(context):
    fitted = LlmEmbeddingHead(EmbeddingHeadConfig(c=(0.01, 1.0))).fit(context)
    trace = finding(fitted.findings, GridTrace)
    heads = [point.choice["head"] for point in trace.points]
    assert heads == ["logistic regression", "logistic regression", "nearest centroid"]
    assert {(point.choice["layer"], point.choice["position"]) for point in trace.points} == {
        (context.load_engine(None).layers - 1, "mean")
    }
    assert fitted.predictor.served() == LocalServed(needs_base_model=True)
    assert LlmEmbeddingHead().forecast(context) > 0


def test_an_engine_without_states_is_named(make_plain_context):
    class Stateless:
        name, context_length = "vllm", 64

    with pytest.raises(ContextLengthError, match=r"'vllm' does not give the hidden states.*model\.engine=transformers"):
        LlmEmbeddingHead().fit(make_plain_context(load_engine=lambda adapter: Stateless()))
