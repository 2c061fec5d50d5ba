"""The transformers engine against brute force: every label scored by plain forward passes of the same checkpoint."""

import math
import random
from functools import lru_cache

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from llmtl.engines import ModelSource
from llmtl.engines.tokens import encode, shared_length
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import ContextLengthError, ModelError
from llmtl.prompting.template import Template
from llmtl.task import Example, Task

LABELS = ("billing", "billing dispute", "card", "card lost", "card arrival", "other", "refund")
TEXTS = (
    "I lost my card",
    "Why was I charged twice for the same payment this month? I want to dispute it.",
    "hello",
    "My new card has not arrived yet, when will it be here? It has been many days already.",
    "refund",
)
CHECKPOINTS = ("tiny_llama", "tiny_mistral", "tiny_base")


@pytest.fixture(params=CHECKPOINTS)
def folder(request):
    return request.getfixturevalue(request.param)


def load(folder, dtype="auto", **settings):
    return TransformersEngine.load(ModelSource(str(folder), dtype=dtype), device="cpu", **settings)


def worded(engine, texts=TEXTS, labels=LABELS, demonstrations=()):
    template = Template(Task("t", labels), engine)
    return [template.prompt(text, demonstrations) for text in texts], list(template.answers())


@lru_cache(maxsize=4)
def plain(folder):
    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()


@torch.inference_mode()
def brute_force(folder, prompt, answers, end):
    """Return (probabilities, greedy choice) from one plain forward pass a label, renormalised by hand."""
    tokenizer, model = plain(folder)
    head = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    paths = [tokenizer(prompt + each + end, add_special_tokens=False)["input_ids"][len(head) :] for each in answers]
    steps = []
    for path in paths:
        logits = model(torch.tensor([head + path])).logits[0].double()
        steps.append([torch.log_softmax(logits[len(head) - 1 + place], -1) for place in range(len(path))])
    logprobs = []
    for path, step in zip(paths, steps, strict=True):
        total = 0.0
        for place, token in enumerate(path):
            allowed = {other[place] for other in paths if other[:place] == path[:place]}
            total += float(step[place][token] - torch.logsumexp(step[place][sorted(allowed)], -1))
        logprobs.append(total)
    alive, place = list(range(len(paths))), 0
    while len(alive) > 1:
        allowed = {paths[index][place]: index for index in alive}
        best = max(allowed, key=lambda token: float(steps[allowed[token]][place][token]))
        alive = [index for index in alive if paths[index][place] == best]
        place += 1
    return [math.exp(value) for value in logprobs], alive[0], len(head)


def check(engine, folder, prompts, answers, scores):
    for prompt, score in zip(prompts, scores, strict=True):
        probabilities, choice, length = brute_force(folder, prompt, answers, engine.end_of_answer)
        assert score.probabilities == pytest.approx(probabilities, abs=1e-4)
        assert sum(score.probabilities) == pytest.approx(1.0, abs=1e-9)
        assert score.choice == choice
        assert score.prompt_tokens == length


def test_scores_equal_brute_force_for_prefix_labels_shared_prefixes_and_padding(folder):
    engine = load(folder)
    prompts, answers = worded(engine)
    scores = engine.score(prompts, answers)
    check(engine, folder, prompts, answers, scores)
    assert len({score.prompt_tokens for score in scores}) > 2  # padding really took part
    assert max(max(score.probabilities) for score in scores) - 1 / len(LABELS) > 0.05  # and the numbers really differ


def test_window_shorter_than_the_prompt_equals_plain_forward(tiny_mistral):
    engine = load(tiny_mistral)
    demonstrations = [Example(str(i), text, LABELS[i % 7]) for i, text in enumerate(TEXTS * 2)]
    prompts, answers = worded(engine, demonstrations=demonstrations)
    scores = engine.score(prompts, answers)
    assert min(score.prompt_tokens for score in scores) > 4 * 48
    assert max(score.cached_tokens for score in scores) > 2 * 48
    check(engine, tiny_mistral, prompts, answers, scores)
    # A model without the window gives other numbers: the window matters here.
    unwindowed = AutoModelForCausalLM.from_pretrained(tiny_mistral, sliding_window=None)
    other = TransformersEngine(unwindowed.eval(), engine.tokenizer).score(prompts, answers)
    assert any(a.probabilities != pytest.approx(b.probabilities, abs=1e-3) for a, b in zip(scores, other, strict=True))


def test_one_prompt_without_a_prefix_equals_a_batch_with_one(folder):
    engine, fresh = load(folder), load(folder)
    prompts, answers = worded(engine)
    together = engine.score(prompts, answers)
    for prompt, score in zip(prompts, together, strict=True):
        [alone] = fresh.score([prompt], answers)
        assert alone.probabilities == pytest.approx(score.probabilities, abs=1e-5)
        assert alone.choice == score.choice


def test_order_of_prompts_and_size_of_batches_do_not_matter(folder):
    engine, narrow = load(folder), load(folder, token_budget=1)
    prompts, answers = worded(engine)
    order = [3, 0, 4, 2, 1]
    straight = engine.score(prompts, answers)
    shuffled = narrow.score([prompts[index] for index in order], answers)
    for place, index in enumerate(order):
        assert shuffled[place].probabilities == pytest.approx(straight[index].probabilities, abs=1e-5)


def test_order_of_answers_only_permutes_probabilities(tiny_llama):
    engine = load(tiny_llama)
    prompts, answers = worded(engine)
    order = [5, 2, 0, 6, 4, 1, 3]
    straight, permuted = engine.score(prompts, answers), engine.score(prompts, [answers[index] for index in order])
    for a, b in zip(straight, permuted, strict=True):
        assert b.probabilities == pytest.approx([a.probabilities[index] for index in order], abs=1e-6)
        assert order[b.choice] == a.choice


def test_seventy_seven_labels(tiny_llama):
    rng = random.Random(3)
    words = [
        "card",
        "lost",
        "refund",
        "billing",
        "payment",
        "arrival",
        "order",
        "account",
        "month",
        "new",
        "other",
        "charge",
    ]
    labels = tuple(dict.fromkeys(" ".join(rng.sample(words, rng.randint(1, 4))) for _ in range(200)))[:77]
    assert len(labels) == 77
    engine = load(tiny_llama)
    prompts, answers = worded(engine, TEXTS[:2], labels=labels)
    with torch.inference_mode():
        scores = engine.score(prompts, answers)
    check(engine, tiny_llama, prompts, answers, scores)


def test_prefix_is_computed_once_and_kept_for_the_next_call(tiny_llama):
    engine = load(tiny_llama)
    demonstrations = [Example("0", TEXTS[1], "billing")]
    prompts, answers = worded(engine, demonstrations=demonstrations)
    first = engine.score(prompts, answers)
    shared = first[1].cached_tokens
    assert first[0].cached_tokens == 0  # the first prompt pays for the prefix
    assert shared > 50
    assert {score.cached_tokens for score in first[1:]} == {shared}
    again = engine.score(prompts, answers)
    assert {score.cached_tokens for score in again} == {shared}
    for a, b in zip(first, again, strict=True):
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-6)


def test_single_requests_find_the_prefix_they_share_with_the_one_before(tiny_mistral):
    engine = load(tiny_mistral)
    demonstrations = [Example("0", TEXTS[1], "billing")]
    prompts, answers = worded(engine, demonstrations=demonstrations)
    cached = [engine.score([prompt], answers)[0].cached_tokens for prompt in prompts]
    assert cached[:2] == [0, 0]
    assert min(cached[2:]) > 50
    unrelated, other_answers = worded(engine, labels=("yes", "no"))
    check(engine, tiny_mistral, unrelated[:1], other_answers, engine.score(unrelated[:1], other_answers))
    check(engine, tiny_mistral, prompts[:1], answers, engine.score(prompts[:1], answers))


def test_identical_prompts_and_a_prompt_that_is_a_prefix_of_another(tiny_base):
    engine = load(tiny_base)
    prompts = ["Label:", "Label: card lost. Label:", "Label:"]
    answers = [" card", " refund", " other"]
    check(engine, tiny_base, prompts, answers, engine.score(prompts, answers))
    check(engine, tiny_base, prompts[:1] * 3, answers, engine.score(prompts[:1] * 3, answers))


def test_completion_tokens_count_the_chosen_answer_with_its_end(tiny_llama):
    engine = load(tiny_llama)
    prompts, answers = worded(engine)
    for score in engine.score(prompts, answers):
        assert score.completion_tokens == engine.count_tokens(answers[score.choice] + engine.end_of_answer)
        assert score.seconds > 0


def test_no_prompts_give_no_scores_and_one_answer_is_certain(tiny_llama):
    engine = load(tiny_llama)
    assert engine.score([], ["a", "b"]) == []
    [score] = engine.score(["<|bos|>x"], ["card lost"])
    assert (score.choice, score.probabilities) == (0, (1.0,))


def test_a_bos_only_prompt_is_scored(tiny_llama):
    engine = load(tiny_llama)
    check(engine, tiny_llama, ["<|bos|>"], ["card", "other"], engine.score(["<|bos|>"], ["card", "other"]))


def test_progress_adds_up(tiny_llama):
    engine = load(tiny_llama, token_budget=200)
    prompts, answers = worded(engine, TEXTS * 3)
    steps = []
    engine.score(prompts, answers, advance=steps.append)
    assert sum(steps) == len(prompts)
    assert len(steps) > 1


def test_a_prompt_that_does_not_fit_names_the_lengths(tiny_llama):
    engine = load(tiny_llama)
    prompts, answers = worded(engine, ["word " * 600])
    with pytest.raises(ContextLengthError, match=r"has \d{3,} tokens .* context is 512 tokens"):
        engine.score(prompts, answers)


def test_a_prompt_that_just_fits_is_scored(tiny_llama):
    engine = load(tiny_llama)
    answers = ["card", "other"]
    room = engine.context_length - max(engine.count_tokens(each) for each in answers) - 1
    prompt = "<|bos|>" * room
    assert engine.score([prompt], answers)[0].prompt_tokens == room
    with pytest.raises(ContextLengthError):
        engine.score([prompt + "<|bos|>"], answers)


def test_labels_that_become_the_same_tokens_are_an_error(tiny_llama):
    engine = load(tiny_llama)
    with pytest.raises(ModelError, match="rename one of them"):
        engine.score(["<|bos|>x"], ["card", "card"])


def test_out_of_memory_halves_the_batch_and_goes_on(tiny_llama, caplog):
    engine = load(tiny_llama)
    prompts, answers = worded(engine, TEXTS * 2)
    expected = engine.score(prompts, answers)

    class Cramped:
        """A forward pass that has room for three rows only, failing in the allocator's words."""

        def __init__(self, real):
            self.real, self.sizes = real, []

        def extend(self, *arguments):
            return self.real.extend(*arguments)

        def edge_logits(self, prefix, suffixes, trie):
            self.sizes.append(len(suffixes))
            if len(suffixes) > 3:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
            return self.real.edge_logits(prefix, suffixes, trie)

    engine._forward = cramped = Cramped(engine._forward)
    scores = engine.score(prompts, answers)
    assert cramped.sizes[:3] == [10, 5, 2]
    assert "going on with 5" in caplog.text
    for a, b in zip(scores, expected, strict=True):
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-6)


def test_one_prompt_that_exhausts_the_memory_is_a_model_error(tiny_llama):
    engine = load(tiny_llama)

    class Full:
        def extend(self, *arguments):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

        edge_logits = extend

    engine._forward = Full()
    for prompts in (["<|bos|>x"], ["<|bos|>x", "<|bos|>y"]):
        with pytest.raises(ModelError, match="exhausts the memory"):
            engine.score(prompts, ["card", "other"])


def test_more_prompts_than_are_held_at_once(tiny_llama, monkeypatch):
    engine, few = load(tiny_llama), load(tiny_llama)
    prompts, answers = worded(engine, TEXTS * 2)
    straight = engine.score(prompts, answers)
    monkeypatch.setattr("llmtl.engines.transformers.engine._CHUNK", 3)
    chunked = few.score(prompts, answers)
    for a, b in zip(straight, chunked, strict=True):
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-5)
    assert [score.cached_tokens > 0 for score in chunked] == [False] + [True] * 9


def test_other_runtime_errors_are_not_taken_for_memory(tiny_llama):
    engine = load(tiny_llama)

    class Broken:
        def edge_logits(self, prefix, suffixes, trie):
            raise RuntimeError("shape mismatch")

    engine._forward = Broken()
    with pytest.raises(RuntimeError, match="shape mismatch"):
        engine.score(["<|bos|>x"], ["card", "other"])


def test_bfloat16_is_close_to_float32(folder):
    exact, rounded = load(folder), load(folder, dtype="bfloat16")
    prompts, answers = worded(exact)
    for a, b in zip(exact.score(prompts, answers), rounded.score(prompts, answers), strict=True):
        assert a.probabilities == pytest.approx(b.probabilities, abs=0.1)
        assert a.probabilities != b.probabilities


def test_a_lora_adapter_changes_scores_as_peft_alone_does(tiny_llama, tmp_path):
    from peft import LoraConfig, PeftModel, get_peft_model

    torch.manual_seed(0)
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_llama),
        LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"),
    )
    adapted.save_pretrained(tmp_path / "adapter")
    engine = TransformersEngine.load(ModelSource(str(tiny_llama), adapter=tmp_path / "adapter"), device="cpu")
    prompts, answers = worded(engine)
    base = load(tiny_llama).score(prompts, answers)
    scores = engine.score(prompts, answers)
    assert any(a.probabilities != pytest.approx(b.probabilities, abs=1e-3) for a, b in zip(scores, base, strict=True))
    merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_llama), tmp_path / "adapter")
    merged.merge_and_unload().save_pretrained(tmp_path / "merged")
    engine.tokenizer.save_pretrained(tmp_path / "merged")
    check(engine, tmp_path / "merged", prompts, answers, scores)
    unmerged = TransformersEngine.load(
        ModelSource(str(tiny_llama), adapter=tmp_path / "adapter", dtype="bfloat16"), device="cpu"
    )
    for a, b in zip(unmerged.score(prompts, answers), scores, strict=True):
        assert a.probabilities == pytest.approx(b.probabilities, abs=0.15)


def test_properties_come_from_the_checkpoint(tiny_llama, tiny_base):
    engine, base = load(tiny_llama), load(tiny_base)
    assert (engine.name, engine.device, engine.context_length) == ("transformers", "cpu", 512)
    assert (engine.bos, engine.end_of_answer) == ("<|bos|>", "<|end|>")
    assert "<|user|>" in engine.special_tokens
    assert engine.render([{"role": "user", "content": "hi"}]) == "<|bos|><|user|>hi<|end|><|assistant|>"
    assert engine.count_tokens("<|bos|><|end|>") == 2
    assert base.chat_template is None
    with pytest.raises(ModelError, match="no chat template"):
        base.render([{"role": "user", "content": "hi"}])


def test_end_of_answer_is_what_the_chat_template_puts_there(make_checkpoint, tmp_path):
    template = (
        "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|pad|>' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    )
    folder = make_checkpoint(tmp_path / "m", model_type="llama", chat_template=template)
    assert load(folder).end_of_answer == "<|pad|>"


def test_a_template_that_rejects_a_conversation_is_a_model_error(make_checkpoint, tmp_path):
    template = "{{ raise_exception('no system role') if messages[0]['role'] == 'system' }}{{ messages[0]['content'] }}"
    folder = make_checkpoint(tmp_path / "m", model_type="mistral", chat_template=template)
    with pytest.raises(ModelError, match="no system role"):
        load(folder).render([{"role": "system", "content": "x"}])


def test_closed_engine_frees_its_model(tiny_llama):
    import gc
    import weakref

    model = AutoModelForCausalLM.from_pretrained(tiny_llama).eval()
    watched = weakref.ref(model)
    engine = TransformersEngine(model, AutoTokenizer.from_pretrained(tiny_llama))
    engine.score(["<|bos|>x", "<|bos|>y"], ["card", "other"])
    del model
    engine.close()
    gc.collect()
    assert watched() is None


def test_single_requests_that_take_turns_between_prefixes_find_each_of_them(tiny_llama):
    engine = load(tiny_llama)
    labels = tuple(f"{word} {place}" for word in ("billing", "card lost", "refund") for place in ("here", "abroad"))
    orders = [(*labels[start:], *labels[:start]) for start in (0, 2, 4)]
    asked = [worded(engine, TEXTS[:4], labels=order)[0] for order in orders]
    _, answers = worded(engine, labels=labels)
    found = []
    for position in range(4):
        for prompts in asked:
            [score] = engine.score([prompts[position]], answers)
            check(engine, tiny_llama, [prompts[position]], answers, [score])
            found.append(score.cached_tokens)
    shared = [shared_length([tuple(ids) for ids in encode(engine.tokenizer, prompts)]) for prompts in asked]
    # the second turn of an order computes what it shares with the first, the third finds it
    assert found[6:9] == found[9:12] == shared
    assert max(found[:6]) < min(shared)


def test_no_more_prefixes_are_kept_than_their_tokens_allow(tiny_llama):
    engine = load(tiny_llama)
    _, answers = worded(engine)
    for turn in range(12):
        start = f"<|bos|>{turn} " + "card lost billing refund " * 20
        engine.score([f"{start}one", f"{start}two"], answers)
    assert 1 < len(engine._kept) <= 8
    assert sum(len(prefix.ids) for prefix in engine._kept) <= 2048
