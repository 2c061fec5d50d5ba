"""A destructive learning rate trips the limit of forgetting on a pocket model, and replay brings it back under it."""

import csv

import pytest

from llmtl.engines.engine_cache import EngineCache
from llmtl.engines.protocol import ModelSource
from llmtl.pipeline.forgetting_steps import compare
from llmtl.pipeline.general_scores import Sampled, general_scores
from llmtl.pocket import resolve
from llmtl.progress import Silent
from llmtl.strategies.lora import Lora, LoraChoices
from llmtl.strategy import FitContext
from llmtl.task import Example, Task
from tests.support.front_desk import LABELS, write_messages

LIMIT = 0.1


@pytest.mark.slow
def test_replay_brings_general_english_back_that_a_destructive_rate_had_cost(tmp_path):
    with write_messages(tmp_path / "messages.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    train = tuple(Example(str(at), *row) for at, row in enumerate(rows) if at % 3 == 0)
    source = ModelSource(str(resolve("pocket-llama")))
    engines = EngineCache(source)

    def scores(tuned):
        return general_scores(engines.load(tuned), Sampled(25, 0), progress=Silent(), told="pocket-llama")

    def rise(name, **choices):
        folder = tmp_path / name
        folder.mkdir()
        task = Task("desk", tuple(sorted(LABELS)), "Say what the message is about.")
        context = FitContext(task, train, (), source, engines.load, folder)
        config = LoraChoices(max_epochs=4, learning_rate=0.03, dropout=0.0, **choices)
        return compare(base, scores(Lora(config).fit(context).predictor.served().tuned)).text.rise

    base = scores(None)
    assert rise("destroyed").low > LIMIT
    assert rise("rehearsed", replay=0.05).high < LIMIT
    engines.release()
