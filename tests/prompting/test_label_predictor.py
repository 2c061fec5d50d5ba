"""Prediction by prompting on a tiny real engine: agreement with plain transformers calls, failures, progress."""

import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from llmtl.engines.protocol import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import ContextLengthError
from llmtl.prompting.predictors import LabelPredictor
from llmtl.prompting.template import Template
from llmtl.task import Example, Task

TASK = Task("cards", ("billing", "card arrival", "card lost"))
TEXTS = ["My new card has not arrived yet", "I lost my card", "Why was I charged twice?"]
SHOTS = (Example("a", "charged twice", "billing"), Example("b", "I lost it", "card lost"))


@pytest.fixture(scope="module")
def engine(tiny_llama):
    loaded = TransformersEngine.load(ModelSource(str(tiny_llama)))
    yield loaded
    loaded.close()


def sequence_logprob(model, tokenizer, prompt, answer):
    """Return the log-probability of the answer's tokens after the prompt, by one plain forward pass."""
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    after = tokenizer(answer + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([before + after])).logits[0]
    rows = torch.log_softmax(logits[len(before) - 1 : -1], dim=-1)
    return rows, after


@pytest.mark.parametrize("shots", [(), SHOTS])
def test_first_branch_agrees_with_plain_transformers(engine, tiny_llama, shots):
    task = Task("two", ("refund", "other"))  # labels that differ in their first token: one branch decides
    template = Template(task, engine)
    demonstrations = tuple(Example(each.id, each.text, "other") for each in shots)
    predictor = LabelPredictor(task, engine, template, demonstrations=lambda text: demonstrations)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_llama), AutoTokenizer.from_pretrained(tiny_llama)
    for text, prediction in zip(TEXTS, predictor.predict(TEXTS), strict=True):
        prompt = template.prompt(text, demonstrations)
        first = {}
        for label in task.labels:
            rows, ids = sequence_logprob(model, tokenizer, prompt, template.answer(label))
            first[label] = rows[0, ids[0]].item()
        total = math.log(sum(math.exp(value) for value in first.values()))
        expected = {label: math.exp(value - total) for label, value in first.items()}
        assert prediction.probabilities == pytest.approx(expected, abs=1e-5)
        assert prediction.answer == max(expected, key=expected.get)


def test_predictions_carry_position_tokens_and_seconds(engine):
    predictions = LabelPredictor(TASK, engine, Template(TASK, engine)).predict(TEXTS)
    assert [prediction.id for prediction in predictions] == ["0", "1", "2"]
    for text, prediction in zip(TEXTS, predictions, strict=True):
        assert prediction.prompt_tokens == engine.count_tokens(Template(TASK, engine).prompt(text))
        assert set(prediction.probabilities) == set(TASK.labels)
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
        assert prediction.seconds > 0
        assert prediction.failure is None


def test_demonstrations_are_chosen_for_each_input(engine):
    asked = []

    def demonstrations(text):
        asked.append(text)
        return SHOTS[:1] if text == TEXTS[1] else ()

    with_one = LabelPredictor(TASK, engine, Template(TASK, engine), demonstrations=demonstrations).predict(TEXTS)
    without = LabelPredictor(TASK, engine, Template(TASK, engine)).predict(TEXTS)
    assert asked == TEXTS
    longer = [a.prompt_tokens > b.prompt_tokens for a, b in zip(with_one, without, strict=True)]
    assert longer == [False, True, False]


def test_a_prompt_that_does_not_fit_is_a_recorded_failure(engine):
    done = []
    texts = [TEXTS[0], "card " * 600, TEXTS[1]]
    predictions = LabelPredictor(TASK, engine, Template(TASK, engine)).predict(texts, advance=done.append)
    assert [prediction.answer is None for prediction in predictions] == [False, True, False]
    assert predictions[1].id == "1"
    assert predictions[1].probabilities == {}
    assert predictions[1].failure.startswith("The prompt has ")
    assert sum(done) == 3


def test_the_longest_prompt_with_room_is_scored_and_one_token_more_is_not(engine):
    template = Template(TASK, engine)
    predictor = LabelPredictor(TASK, engine, template)
    room = predictor.prompt_room()
    fits = next(n for n in range(600, 0, -1) if engine.count_tokens(template.prompt("7" * n)) == room)
    predictions = predictor.predict(["7" * fits, "7" * (fits + 1)])
    assert predictions[0].prompt_tokens == room
    assert predictions[1].failure is not None


class StricterEngine:
    """An engine whose context is one token shorter than it says, as a server's may be."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def score(self, prompts, answers, *, advance):
        if any(self._inner.count_tokens(prompt) > 60 for prompt in prompts):
            raise ContextLengthError("Too long for this server.")
        return self._inner.score(prompts, answers, advance=advance)


def test_the_engine_has_the_last_word_on_what_fits(engine):
    done = []
    predictor = LabelPredictor(TASK, StricterEngine(engine), Template(TASK, engine))
    predictions = predictor.predict([TEXTS[1], "card " * 60], advance=done.append)
    assert predictions[0].answer in TASK.labels
    assert (predictions[1].answer, predictions[1].failure) == (None, "Too long for this server.")
    assert sum(done) == 2
