"""vLLM on this machine's CPU against the transformers engine: one start for the base model, one for an adapter."""

import json
import os

import psutil
import pytest
import torch

from llmtl.engines import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.engines.vllm.engine import VllmEngine
from llmtl.errors import ContextLengthError, ModelError
from llmtl.general.samples import passages
from llmtl.pocket import resolve
from llmtl.prompting.template import Template
from llmtl.task import Example, Task

pytestmark = pytest.mark.slow

LABELS = ("billing", "billing dispute", "card", "card lost", "card arrival", "card arrival late", "other", "refund")
SENTENCE = "my card was lost again and the payment for a new train ticket came back twice from the bank this morning"
WORDS = SENTENCE.split()
SCHEMA = {
    "type": "array",
    "maxItems": 2,
    "items": {
        "type": "object",
        "properties": {"type": {"enum": ["city", "food"]}, "text": {"type": "string", "maxLength": 12}},
        "required": ["type", "text"],
        "additionalProperties": False,
    },
}


def texts(count):
    """Return inputs of 1 to 12 words, all different."""
    return [
        " ".join(WORDS[(7 * i + j * (i % 5 + 1)) % len(WORDS)] for j in range(i % 12 + 1)) + f" {i}"
        for i in range(count)
    ]


def worded(engine, count=200, demonstrations=4):
    template = Template(Task("t", LABELS), engine)
    shown = [Example(str(i), text, LABELS[i % len(LABELS)]) for i, text in enumerate(texts(demonstrations))]
    return [template.prompt(text, shown) for text in texts(count)], list(template.answers())


def agree(found, expected):
    """Check labels (at least 99.5% equal) and probabilities (within 1e-3), as the contract of the engines says."""
    same = sum(a.choice == b.choice for a, b in zip(found, expected, strict=True))
    assert same >= 0.995 * len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-3)
        assert sum(a.probabilities) == pytest.approx(1.0, abs=1e-9)
        assert (a.prompt_tokens, a.completion_tokens) == (b.prompt_tokens, b.completion_tokens) or a.choice != b.choice


@pytest.fixture(scope="module")
def expected():
    return TransformersEngine.load(ModelSource(str(resolve("pocket-llama"))), device="cpu")


def _children() -> set[psutil.Process]:
    """Return the processes below this one, but for the tracker that multiprocessing keeps to the end."""
    every = psutil.Process().children(recursive=True)
    return {each for each in every if "multiprocessing.resource_tracker" not in " ".join(each.cmdline())}


@pytest.fixture(scope="module")
def engine():
    before = (dict(os.environ), torch.set_num_threads, torch.get_num_threads())
    children = _children()
    loaded = VllmEngine.load(ModelSource(str(resolve("pocket-llama"))))
    assert (dict(os.environ), torch.set_num_threads, torch.get_num_threads()) == before
    yield loaded
    loaded.close()
    loaded.close()  # a second time does nothing
    assert _children() <= children  # what other test modules started before is not the engine's
    with pytest.raises(ModelError, match="was closed"):
        loaded.score(["<s>x"], ["a", "b"])


def test_labels_and_probabilities_are_those_of_transformers(engine, expected):
    prompts, answers = worded(engine)
    assert prompts == worded(expected)[0]
    steps = []
    found = engine.score(prompts, answers, advance=steps.append)
    agree(found, expected.score(prompts, answers))
    assert len({score.choice for score in found}) > 2  # the agreement is no accident of one constant answer
    assert sum(steps) == len(prompts)
    assert found[0].cached_tokens == 0
    assert min(score.cached_tokens for score in found[1:]) > 32  # the demonstrations came from the prefix cache


def test_text_is_that_of_transformers_and_json_follows_its_schema(engine, expected):
    prompts, _ = worded(engine, count=12)
    for schema in (None, SCHEMA):
        found = engine.generate(prompts, max_tokens=48, schema=schema)
        again = expected.generate(prompts, max_tokens=48, schema=schema)
        same = sum(a.text == b.text and a.finished == b.finished for a, b in zip(found, again, strict=True))
        assert same >= len(prompts) - 1  # a near-tie between two tokens may fall either way
        assert all(score.completion_tokens > 0 and score.seconds > 0 for score in found)
        for mine, theirs in zip(found, again, strict=True):
            if mine.text == theirs.text:
                assert mine.logprob == pytest.approx(theirs.logprob, abs=0.01)
    assert any(each.finished for each in found)
    for each in found:
        if each.finished:
            assert each.text == json.dumps(json.loads(each.text), ensure_ascii=False)


def test_a_text_that_ends_answers_stops_them(engine):
    prompts, _ = worded(engine, count=6)
    free = engine.generate(prompts, max_tokens=48)
    longest = max(free, key=lambda each: len(each.text))
    stop = longest.text[4:7]
    stopped = engine.generate(prompts, max_tokens=48, stop=stop)
    assert [each.text for each in stopped] == [each.text.partition(stop)[0] for each in free]
    assert all(after.finished for before, after in zip(free, stopped, strict=True) if stop in before.text)
    assert stopped[free.index(longest)].completion_tokens < longest.completion_tokens


def test_what_does_not_fit_and_what_is_trivial(engine):
    assert (engine.name, engine.device, engine.context_length) == ("vllm", "cpu", 2048)
    assert engine.score([], ["a", "b"]) == []
    assert engine.generate([], max_tokens=4) == []
    [certain] = engine.score(["hello"], ["card lost"])
    assert (certain.choice, certain.probabilities) == (0, (1.0,))
    with pytest.raises(ContextLengthError, match="context is 2048 tokens"):
        engine.score(["word " * 3000], ["a", "b"])
    with pytest.raises(ContextLengthError, match="up to 2048"):
        engine.generate(["word"], max_tokens=2048)


def test_losses_of_texts_are_those_of_transformers(engine, expected):
    sample = [*passages()[:6], "", "I lost my card."]
    for found, wanted in zip(engine.losses(sample), expected.losses(sample), strict=True):
        assert found.tokens == wanted.tokens
        assert found.nats == pytest.approx(wanted.nats, abs=1e-4 * max(1, wanted.tokens))


def test_after_closing_an_adapter_is_loaded_and_agrees_too(engine, expected, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    engine.close()
    source = str(resolve("pocket-llama"))
    torch.manual_seed(0)
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(source),
        LoraConfig(r=4, lora_alpha=2, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"),
    )
    adapted.save_pretrained(tmp_path)
    with_adapter = ModelSource(source, adapter=tmp_path)
    merged = TransformersEngine.load(with_adapter, device="cpu")
    prompts, answers = worded(merged, count=100)
    tuned = VllmEngine.load(with_adapter)
    try:
        found = tuned.score(prompts, answers)
    finally:
        tuned.close()
    agree(found, merged.score(prompts, answers))
    base = expected.score(prompts, answers)
    assert any(a.probabilities != pytest.approx(b.probabilities, abs=1e-2) for a, b in zip(found, base, strict=True))
