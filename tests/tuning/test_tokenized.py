"""Training examples: the engine's own tokens, loss on answer and end only, nothing truncated."""

import pytest
from transformers import AutoTokenizer

from llmtl.errors import TrainingError
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.prompting.template import Template
from llmtl.task import Example, Metric, Task
from llmtl.tuning.tokenized import IGNORED, each_reference, fitting, require_answers, tokenize


def test_loss_is_on_the_answer_and_its_end_only(examples, template, tiny_llama):
    plain = AutoTokenizer.from_pretrained(tiny_llama)
    for example in examples:
        result = tokenize(example, template, plain)
        learned = [label for label in result.labels if label != IGNORED]
        assert plain.decode(learned) == template.answer(example.reference) + "<|end|>"
        assert plain.decode(list(result.input_ids)) == template.prompt(example.text) + plain.decode(learned)
        assert list(result.labels[-len(learned) :]) == learned
        assert set(result.labels[: -len(learned)]) == {IGNORED}


def test_the_prompt_keeps_the_tokens_it_is_served_with(examples, template, tokenizer, base_engine):
    for example in examples:
        result = tokenize(example, template, tokenizer)
        prompt = tokenizer(template.prompt(example.text), add_special_tokens=False)["input_ids"]
        assert list(result.input_ids[: len(prompt)]) == prompt
        assert result.labels.count(IGNORED) == base_engine.count_tokens(template.prompt(example.text))


def test_no_token_merges_over_the_boundary_of_a_plain_prompt(tiny_base):
    from llmtl.engines.protocol import ModelSource
    from llmtl.engines.transformers.engine import TransformersEngine

    engine = TransformersEngine.load(ModelSource(str(tiny_base)))
    template = Template(Task("plain", ("refund", "card lost")), engine)
    result = tokenize(Example("0", "I lost it", "card lost"), template, engine.tokenizer)
    prompt = engine.tokenizer(template.prompt("I lost it"), add_special_tokens=False)["input_ids"]
    assert list(result.input_ids[: len(prompt)]) == prompt
    assert engine.tokenizer.decode(list(result.input_ids[len(prompt) :])) == " card lost<|end|>"
    engine.close()


def test_longer_examples_are_left_out_whole(examples, template, tokenizer, tokenized):
    lengths = [len(each.input_ids) for each in tokenized]
    limit = sorted(lengths)[3]
    kept = fitting(examples, template, tokenizer, max_length=limit)
    assert kept == tuple(each for each in tokenized if len(each.input_ids) <= limit)
    assert 4 <= len(kept) < 8


def test_no_answer_left_is_an_error_with_the_cure():
    with pytest.raises(TrainingError, match=r"None of the 8 .* within 20 tokens.*raise 'max_length' .*512"):
        require_answers((), total=8, max_length=20, context_length=512)
    with pytest.raises(TrainingError, match=r"shorten the inputs or the label list, or use a model with a longer"):
        require_answers((), total=8, max_length=512, context_length=512)
    with pytest.raises(TrainingError, match="no training example"):
        require_answers((), total=0, max_length=512, context_length=512)


def test_every_reference_of_an_input_is_trained_on(base_engine, tokenizer):
    task = Task("reply", (), "Answer.", Metric.CHRF, kind=GENERATION)
    given = (Example("0", "hi", "Hello", alternatives=("Hi you", "Hey")), Example("1", "bye", "Bye"))
    pairs = each_reference(given)
    assert [(each.text, each.reference) for each in pairs] == [
        ("hi", "Hello"),
        ("hi", "Hi you"),
        ("hi", "Hey"),
        ("bye", "Bye"),
    ]
    template = Template(task, base_engine)
    for pair, row in zip(pairs, fitting(pairs, template, tokenizer, max_length=512), strict=True):
        learned = [label for label in row.labels if label != IGNORED]
        assert tokenizer.decode(learned) == template.answer(pair.reference) + template.end


def test_spans_are_trained_on_as_the_schema_has_them_written(base_engine, tokenizer):
    task = Task("times", ("time",), "Extract.", Metric.MICRO_F1, kind=EXTRACTION)
    example = Example("0", "at 6 pm", '[{"type": "time", "text": "6 pm", "start": 3, "end": 7}]')
    row = tokenize(example, Template(task, base_engine), tokenizer)
    learned = [label for label in row.labels if label != IGNORED]
    assert tokenizer.decode(learned) == '[{"type": "time", "text": "6 pm"}]<|end|>'
