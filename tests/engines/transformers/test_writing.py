"""Writing against `model.generate` of the same checkpoint, one prompt at a time and without padding."""

import json

import jsonschema
import pytest
import torch
import xgrammar
from transformers import AutoModelForCausalLM, AutoTokenizer

from llmtl.engines import ModelSource
from llmtl.engines.endings import json_grammar
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.engines.transformers.writing import Writer
from llmtl.errors import ContextLengthError, ModelError
from llmtl.pocket import NAMES, resolve

SYSTEM = "Extract what is asked for.\nTypes: person, time"
MESSAGES = (
    "Please call Maria at 10:30.",
    "hello",
    "The meeting of Tom and Anna was moved from 9 am to 4:15 pm, can you tell everybody on the list, please?",
    "Book it.",
)
SPANS = {
    "type": "array",
    "maxItems": 20,
    "items": {
        "type": "object",
        "properties": {"type": {"enum": ["person", "time"]}, "text": {"type": "string"}},
        "required": ["type", "text"],
        "additionalProperties": False,
    },
}


@pytest.fixture(scope="module", params=NAMES)
def engine(request):
    loaded = TransformersEngine.load(ModelSource(str(resolve(request.param))), device="cpu")
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def tiny(tiny_mistral):
    """Return an engine whose window of 48 tokens is shorter than the longest prompt."""
    return TransformersEngine.load(ModelSource(str(tiny_mistral)), device="cpu")


def prompts(engine, system=SYSTEM):
    return [
        engine.render([{"role": "system", "content": system}, {"role": "user", "content": message}])
        for message in MESSAGES
    ]


def one_by_one(engine, texts, max_tokens):
    """Return (text, finished, tokens) of each prompt by `generate` of the model itself."""
    folder = engine.tokenizer.name_or_path
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    found = []
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            written = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_tokens, do_sample=False
            )[0, ids.shape[1] :]
        finished = int(written[-1]) == tokenizer.eos_token_id
        found.append(
            (tokenizer.decode(written[:-1] if finished else written, skip_special_tokens=True), finished, len(written))
        )
    return found


def seen(generations):
    return [(each.text, each.finished, each.completion_tokens) for each in generations]


@pytest.mark.parametrize("max_tokens", [3, 40])
def test_batch_equals_generate_of_the_model(engine, max_tokens):
    texts = prompts(engine)
    written = engine.generate(texts, max_tokens=max_tokens)
    assert seen(written) == one_by_one(engine, texts, max_tokens)
    assert [each.prompt_tokens for each in written] == [engine.count_tokens(text) for text in texts]
    assert written[0].cached_tokens == 0
    assert {each.cached_tokens for each in written[1:]} == {written[1].cached_tokens}
    assert all(each.seconds > 0 for each in written)


def teacher_forced(engine, prompt, answer, *, grammar=None):
    """Return the log-probability of an answer after a prompt by one forward pass, over what `grammar` allows."""
    folder = engine.tokenizer.name_or_path
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    written = [
        *tokenizer(prompt + answer, add_special_tokens=False)["input_ids"][len(before) :],
        tokenizer.eos_token_id,
    ]
    with torch.inference_mode():
        logits = model(torch.tensor([before + written])).logits[0, len(before) - 1 : -1].double()
    total = 0.0
    for row, token in zip(logits, written, strict=True):
        allowed = torch.ones(len(row), dtype=torch.bool)
        if grammar is not None:
            mask = xgrammar.allocate_token_bitmask(1, len(row))
            grammar.fill_next_token_bitmask(mask)
            allowed = torch.tensor([bool(mask[0, at // 32] >> (at % 32) & 1) for at in range(len(row))])
            assert grammar.accept_token(token)
        total += float(row.masked_fill(~allowed, -torch.inf).log_softmax(-1)[token])
    return total


def test_the_probability_of_an_answer_is_that_of_a_teacher_forced_pass(engine):
    texts = prompts(engine)
    written = [each for each in zip(texts, engine.generate(texts, max_tokens=60), strict=True) if each[1].finished]
    assert written
    for prompt, each in written:
        assert each.logprob < 0
        assert each.logprob == pytest.approx(teacher_forced(engine, prompt, each.text), abs=1e-3)


def test_under_a_schema_it_is_the_probability_among_what_is_allowed(engine):
    texts = prompts(engine)
    info = xgrammar.TokenizerInfo.from_huggingface(engine.tokenizer, stop_token_ids=[engine.tokenizer.eos_token_id])
    form = xgrammar.GrammarCompiler(info).compile_grammar(json_grammar(SPANS))
    written = engine.generate(texts, max_tokens=60, schema=SPANS)
    [prompt, each] = next(pair for pair in zip(texts, written, strict=True) if pair[1].finished)
    held = teacher_forced(engine, prompt, each.text, grammar=xgrammar.GrammarMatcher(form))
    assert each.logprob == pytest.approx(held, abs=1e-3)
    assert each.logprob > teacher_forced(engine, prompt, each.text)


def test_what_is_cut_off_or_stopped_has_the_probability_of_what_was_written(engine):
    [prompt] = prompts(engine)[:1]
    [cut], [whole] = (engine.generate([prompt], max_tokens=most) for most in (3, 40))
    assert not cut.finished
    assert whole.logprob < cut.logprob < 0
    [stopped] = engine.generate([prompt], max_tokens=40, stop=whole.text[4:7])
    assert whole.logprob < stopped.logprob < 0


def test_shared_prefix_is_computed_once_and_changes_nothing(engine):
    texts = prompts(engine)
    [start] = {text.partition(MESSAGES[0])[0] for text in texts[:1]}
    assert engine.generate(texts, max_tokens=5)[1].cached_tokens >= engine.count_tokens(start) - 1
    assert [engine.generate([text], max_tokens=30)[0].text for text in texts] == [
        each.text for each in engine.generate(texts, max_tokens=30)
    ]


def test_nothing_is_shared_where_a_sliding_window_would_count_padding(tiny):
    texts = prompts(tiny)
    assert max(tiny.count_tokens(text) for text in texts) > 48
    written = tiny.generate(texts, max_tokens=20)
    assert {each.cached_tokens for each in written} == {0}
    assert seen(written) == one_by_one(tiny, texts, 20)


def test_constrained_text_follows_the_schema(engine):
    written = engine.generate(prompts(engine), max_tokens=60, schema=SPANS)
    for each in written:
        assert each.finished
        value = json.loads(each.text)
        jsonschema.validate(value, SPANS)
        assert json.dumps(value, ensure_ascii=False) == each.text  # no other white space
    assert json.loads(written[0].text)


def test_random_weights_are_held_to_the_schema_as_well(tiny):
    choice = {"type": "array", "items": {"enum": ["card", "other"]}, "maxItems": 2}
    for each in tiny.generate(prompts(tiny), max_tokens=40, schema=choice):
        assert each.finished
        jsonschema.validate(json.loads(each.text), choice)


def test_json_that_is_cut_off_is_not_finished(engine):
    [written] = engine.generate(prompts(engine)[:1], max_tokens=3, schema=SPANS)
    assert not written.finished
    assert written.completion_tokens == 3


LINES = ("\n".join([*["train", "river", "card", "bread", "moon"] * 4, "train"]), "One\nTwo")


@pytest.mark.parametrize("stop", ["\n", "ver", ", my"])
def test_a_text_that_ends_answers_stops_each_prompt_by_itself(engine, stop):
    # without a chat's end of turn a pocket model copies line after line
    texts = [*LINES, *prompts(engine)]
    free = engine.generate(texts, max_tokens=20)
    stopped = engine.generate(texts, max_tokens=20, stop=stop)
    for before, after in zip(free, stopped, strict=True):
        assert after.text == before.text.partition(stop)[0]
        assert after.finished == (before.finished or stop in before.text)
        written = engine.count_tokens(after.text + stop) if stop in before.text else before.completion_tokens
        assert after.completion_tokens == pytest.approx(written, abs=1)  # a token may reach beyond the stop
    assert any(stop in each.text for each in free) == any(a.text != b.text for a, b in zip(free, stopped, strict=True))


def test_a_base_model_ends_its_answer_with_the_line(engine):
    [free] = engine.generate(LINES[:1], max_tokens=12)
    [line] = engine.generate(LINES[:1], max_tokens=12, stop="\n")
    assert "\n" in free.text
    assert not free.finished
    assert (line.text, line.finished) == (free.text.splitlines()[0], True)
    assert line.completion_tokens < free.completion_tokens == 12
    # what was written before the limit counts as cut off, also where a stop was looked for
    assert not engine.generate(LINES[:1], max_tokens=2, stop="\n")[0].finished


def test_small_batches_write_the_same(engine, monkeypatch):
    texts = prompts(engine)
    whole = engine.generate(texts, max_tokens=25)
    monkeypatch.setattr("llmtl.engines.transformers.writing.MOST_ROWS", 2)
    assert seen(engine.generate(texts, max_tokens=25)) == seen(whole)


def test_out_of_memory_halves_the_batch(engine, monkeypatch):
    texts, generate, rows = prompts(engine), engine._model.generate, []

    def small_machine(**arguments):
        rows.append(len(arguments["input_ids"]))
        if rows[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return generate(**arguments)

    writer = Writer(engine._model, engine.tokenizer, end=engine.tokenizer.eos_token_id)
    monkeypatch.setattr(engine._model, "generate", small_machine)
    assert seen(writer.write(texts, max_tokens=5)) == seen(engine.generate(texts, max_tokens=5))
    assert rows[:2] == [4, 2]


def test_progress_counts_prompts(engine):
    steps = []
    engine.generate(prompts(engine), max_tokens=2, advance=steps.append)
    assert sum(steps) == len(MESSAGES)


def test_nothing_to_write(engine):
    assert engine.generate([], max_tokens=5) == []


def test_what_does_not_fit_is_an_error(engine):
    text = prompts(engine)[0]
    room = engine.context_length - engine.count_tokens(text)
    with pytest.raises(ContextLengthError, match=r"context is 2048 tokens"):
        engine.generate([text], max_tokens=room + 1)
    with pytest.raises(ModelError, match="empty prompt"):
        engine.generate([""], max_tokens=5)
    with pytest.raises(ModelError, match="at least 1"):
        engine.generate([text], max_tokens=0)
    with pytest.raises(ModelError, match="JSON schema cannot be used"):
        engine.generate([text], max_tokens=5, schema={"type": "no such type"})
