"""The loss of texts is that of transformers, however many are computed at once."""

import pytest
import torch

from llmtl.engines import ModelSource
from llmtl.engines.protocol import LossReader
from llmtl.engines.transformers import losses
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.general.samples import passages

TEXTS = ["The refund never came.", "", "I lost my card and need a new one, please send it today.", "Why was I charged?"]


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_mistral"])
def engine(request):
    engine = TransformersEngine.load(ModelSource(str(request.getfixturevalue(request.param))))
    yield engine
    engine.close()


def test_losses_are_those_of_transformers(engine):
    assert isinstance(engine, LossReader)
    for text, found in zip(TEXTS, engine.losses(TEXTS), strict=True):
        ids = torch.tensor([engine.tokenizer(text)["input_ids"]])
        assert found.tokens == max(0, ids.shape[1] - 1)
        if found.tokens:
            with torch.inference_mode():
                expected = float(engine._model(input_ids=ids, labels=ids).loss)
            assert found.nats / found.tokens == pytest.approx(expected, rel=1e-5)


def test_one_at_a_time_and_all_at_once_are_alike(engine, monkeypatch):
    texts, ticks = list(passages()[:6]), []
    together = engine.losses(texts, advance=ticks.append)
    assert sum(ticks) == 6
    monkeypatch.setattr(losses, "BATCH_TOKENS", 1)
    assert [each.nats for each in engine.losses(texts)] == pytest.approx([each.nats for each in together], rel=1e-5)
