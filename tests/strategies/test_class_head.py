"""The head on the language model: learned by heart, merged and read again, whatever the tokenizer pads with."""

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from llmtl.encoders.language_network import AdapterShape, LanguageNetwork
from llmtl.encoders.network import Network, Scored, Scoring
from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.errors import ModelError, RecipeError
from llmtl.findings import LongInputs, finding
from llmtl.hardware import inspect
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.strategies.class_head import ClassHead, ClassHeadChoices
from llmtl.strategies.table import DEFAULT, StrategiesConfig, build
from llmtl.strategy import FitContext
from llmtl.task import Example, Metric, Task
from tests.support.fitted import again, curve_of

CONFIG = ClassHeadChoices(max_epochs=30, batch_size=4, learning_rate=5e-3, dropout=0.0, patience=30)


@pytest.fixture
def make_context(source, make_progress, tmp_path):
    def make(task, examples):
        return FitContext(
            task=task,
            train=examples,
            dev=examples,
            model=source,
            load_engine=lambda tuned: pytest.fail("no engine is needed"),
            folder=tmp_path,
            progress=make_progress(),
        )

    return make


def test_learns_eight_messages_by_heart_and_reads_what_it_kept(make_context, task, examples, tiny_llama):
    context = make_context(task, examples)
    found = ClassHead(CONFIG).fit(context)
    texts, expected = [example.text for example in examples], [example.reference for example in examples]
    first = found.predictor.predict(texts)
    assert [each.answer for each in first] == expected
    trained = curve_of(found)
    assert (trained.learning_rate, trained.learning_rate_from) == (5e-3, "recipe")
    assert trained.points[-1].dev_loss < trained.points[0].dev_loss / 5
    assert finding(found.findings, LongInputs).window == inspect_checkpoint(str(tiny_llama)).context_length
    restored = again(ClassHead(CONFIG), context, found.predictor)
    for mine, theirs in zip(restored.predict(texts[:3]), first[:3], strict=True):  # alone as in company
        assert mine.probabilities == pytest.approx(dict(theirs.probabilities), abs=1e-5)
    kept = load_file(context.folder / "encoder" / "model.safetensors")
    assert not [name for name in kept if "lora" in name]
    assert kept["score.weight"].shape == (4, 64)


def test_learns_sets_of_labels(make_context):
    rows = [("I lost my card", '["card"]'), ("hello", "[]"), ("card and refund", '["card", "refund"]')]
    examples = tuple(Example(str(at), text, answer) for at, (text, answer) in enumerate(rows))
    task = Task("t", ("card", "refund"), "Do it.", Metric.MICRO_F1, kind=MULTI_LABEL)
    found = ClassHead(CONFIG).fit(make_context(task, examples))
    assert [each.answer for each in found.predictor.predict([text for text, _ in rows])] == [each for _, each in rows]


def test_merging_changes_no_score_and_padding_none_either(tiny_base, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        scoring = Scoring(Scored.TEXT, 3, 64)
        network = LanguageNetwork.start(tiny_base, scoring, AdapterShape(4, 8, 0.0), device="cpu")
        for name, each in network.model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(each, std=0.1)
    texts = ["card", "my card was stolen and I want it back", "bill"]
    trained = {name.split(".")[-2] for name, each in network.model.named_parameters() if each.requires_grad}
    assert trained == {"default"}  # adapters, and the copy of the head that is trained
    [[before], *_] = network.scores(network.cut(texts))
    [[alone]] = network.scores(network.cut(texts[:1]))
    assert alone == pytest.approx(before, abs=1e-5)
    network.write(tmp_path)
    [[after], *_] = (read := Network.read(tmp_path, device="cpu")).scores(read.cut(texts))
    assert after == pytest.approx(before, abs=1e-5)
    assert not math.isclose(float(before[0]), float(before[1]))


@pytest.mark.parametrize("kind", [EXTRACTION, GENERATION], ids=lambda kind: kind.name)
def test_a_task_whose_answers_are_written_is_refused_when_the_recipe_is_read(kind):
    with pytest.raises(RecipeError, match=f"'class-head' does not serve tasks of kind {kind.name}"):
        build(StrategiesConfig(run=("class-head",)), kind)


def test_a_model_that_does_not_fit_is_refused_and_odd_rates_are_said(tiny_llama):
    info, machine = inspect_checkpoint(str(tiny_llama)), inspect()
    ClassHead().require_memory(info, machine)
    small = replace(machine, gpus=(), ram_free_gib=0.01)
    with pytest.raises(ModelError, match=r"'class-head' needs at least 0\.\d GiB for this model of 0\.00 billion"):
        ClassHead().require_memory(info, small)
    [doubt] = ClassHead(ClassHeadChoices(learning_rate=0.9)).doubts(info)
    assert "strategies.class_head.learning_rate is 0.9" in doubt


def test_it_is_measured_where_it_is_asked_for():
    assert "class-head" not in DEFAULT
