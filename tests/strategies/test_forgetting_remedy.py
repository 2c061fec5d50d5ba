"""A destructive rate trips the limit of forgetting on a pocket model; replay and consolidation bring it back."""

import csv

import pytest

from llmtl.engines.engine_cache import EngineCache
from llmtl.engines.protocol import ModelSource
from llmtl.findings import TrainingCurve, finding
from llmtl.pipeline.forgetting_steps import compare
from llmtl.pipeline.general_scores import Sampled, general_scores
from llmtl.pocket import resolve
from llmtl.progress import Silent
from llmtl.strategies.lora import Lora, LoraChoices
from llmtl.strategy import FitContext
from llmtl.task import Example, Task
from llmtl.tuning.config import STRENGTHS
from tests.support.front_desk import LABELS, write_messages

LIMIT = 0.1


@pytest.fixture(scope="module")
def rise(tmp_path_factory):
    """Return a function that tunes at a destructive rate and gives the rise with its interval, and what was found."""
    with write_messages(tmp_path_factory.mktemp("rows") / "messages.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    train = tuple(Example(str(at), *row) for at, row in enumerate(rows) if at % 3 == 0)
    source = ModelSource(str(resolve("pocket-llama")))
    engines = EngineCache(source)

    def scores(tuned):
        return general_scores(engines.load(tuned), Sampled(25, 0), progress=Silent(), told="pocket-llama")

    def measured(**choices):
        task = Task("desk", tuple(sorted(LABELS)), "Say what the message is about.")
        folder, engine_of = tmp_path_factory.mktemp("tuned"), engines.load
        context = FitContext(task, train, (), source, engine_of, folder, most_forgetting=LIMIT)
        fitted = Lora(LoraChoices(max_epochs=4, learning_rate=0.03, dropout=0.0, **choices)).fit(context)
        found = compare(base, scores(fitted.predictor.served().tuned)).text.rise
        return found, finding(fitted.findings, TrainingCurve)

    base = scores(None)
    yield measured
    engines.release()


@pytest.mark.slow
def test_replay_brings_general_english_back_that_a_destructive_rate_had_cost(rise):
    assert rise()[0].low > LIMIT
    assert rise(replay=0.05)[0].high < LIMIT


@pytest.mark.slow
def test_a_chosen_strength_of_consolidation_brings_it_back(rise):
    found, curve = rise(ewc="auto")
    assert found.value <= LIMIT
    assert [each.strength for each in curve.strengths] == list(STRENGTHS[: len(curve.strengths)])
    assert curve.strengths[0].low > LIMIT  # without it, as was measured on other passages
    assert curve.strengths[-1].high <= LIMIT
