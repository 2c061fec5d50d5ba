"""Tiny real checkpoints (random weights) for many tests: LLaMA, Mistral with a sliding window, and a base model."""

import gc
from pathlib import Path

import pytest

pytest_plugins = (
    "tests.support.encoders",
    "tests.support.forked_vllm",
    "tests.support.help_pages",
    "tests.support.kind_runs",
    "tests.support.plain_contexts",
    "tests.support.prompt_contexts",
    "tests.support.training_jobs",
    "tests.support.finished_runs",
)

gc.disable()  # until everything is collected: 8 of 26 CPU seconds of that went into looking for garbage

WHOLE_RUNS = {"llama_run", "mistral_run", "kind_run", "chromium"}
"""Fixtures that make a whole run or start a browser: what uses them is slow."""
SLOW_PLACES = (
    "browser/",
    "checkpoints/test_conversion",
    "cli/test_cli_plain",
    "cli/test_cli_stderr",
    "encoders/test_network",
    "evals/",
    "heads/test_layer_changes",
    "judging/test_judged_run",
    "pipeline/test_curve",
    "pipeline/test_forecasts",
    "pipeline/test_kept_runs",
    "pipeline/test_more_time",
    "pipeline/test_prices",
    "pipeline/test_race_and_seeds",
    "pipeline/test_refit",
    "pipeline/test_refresh_report",
    "pipeline/test_run",
    "pocket/",
    "recipes/",
    "serving/bundle/test_bundle_merge",
    "serving/front/",
    "serving/live/",
    "serving/proof/test_load",
    "serving/server/test_supervisor",
    "serving/task_api/test_abstaining",
    "serving/task_api/test_classifier_app",
    "serving/task_api/test_middleware_start",
    "strategies/test_class_head",
    "strategies/test_contract",
    "strategies/test_encoder",
    "strategies/test_full_and_hybrid",
    "strategies/test_hosted",
    "strategies/test_lora",
    "strategies/test_option_pairs",
    "strategies/test_plugin",
    "strategies/test_qlora",
    "strategies/test_setfit",
    "test_contributing",
    "test_label_descriptions",
    "test_notebooks",
    "tuning/test_range_test",
    "tuning/test_own_weights",
    "tuning/test_resuming",
    "tuning/test_training",
    "playground/test_playground_kinds",
)
"""Parts of the tests that make runs, train models or start processes."""

LONGEST = (
    "serving/live/test_kinds_vllm.py",
    "serving/task_api/test_middleware_llama.py",
    "serving/live/test_serve_vllm.py",
    "serving/task_api/test_middleware_mistral.py",
    "serving/bundle/test_bundle_stock_vllm.py",
    "engines/vllm/test_vllm_run.py",
    "browser/test_browser_vllm.py",
    "engines/openai/test_openai_vllm.py",
    "serving/live/test_serve_classifier.py",
    "serving/live/test_serve_cascade.py",
    "serving/task_api/test_middleware_answers.py",
    "pipeline/test_run_kinds.py",
    "browser/test_browser_playground.py",
    "engines/vllm/test_vllm_engine.py",
)
"""The files that take longest, the longest first: started last, one of them would keep one worker alone at the end.

`--no-loadscope-reorder` keeps pytest-xdist from starting with those that have the most tests.
"""


def _place(item: pytest.Item) -> str:
    tests = Path(__file__).parent
    return item.path.relative_to(tests).as_posix() if item.path.is_relative_to(tests) else ""


def _rank(item: pytest.Item) -> tuple[int, bool]:
    place = _place(item)
    return LONGEST.index(place) if place in LONGEST else len(LONGEST), item.get_closest_marker("slow") is None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and begin with it, so that no worker is left with it alone at the end."""
    for item in items:
        if _place(item).startswith(SLOW_PLACES) or WHOLE_RUNS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    items.sort(key=_rank)


@pytest.fixture(scope="session", autouse=True)
def little_general_text():
    """Measure what tuning forgets on the fewest passages: all of them take seconds in every run."""
    from llmtl.pipeline import forgetting_steps

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forgetting_steps, "MOST_SECONDS", 0.0)
        yield


def pytest_collection_finish() -> None:
    """Leave what imports and collection made, a million objects, out of every later collection of garbage.

    Whatever frees a model collects all of it, a training several times: 0.65 seconds each without this.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    gc.unfreeze()


CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
SPECIAL_TOKENS = ["<|bos|>", "<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>"]
SENTENCES = (
    "Classify the message. Answer with one label.",
    "Labels: billing, billing dispute, card arrival, card lost, refund, other",
    "Message: I lost my card and need a new one. Label: card lost",
    "The refund for my order never came back to my account.",
    "Why was I charged twice for the same payment this month?",
    "My new card has not arrived yet, when will it be here?",
)


def build_tokenizer():
    """Return a byte-level BPE tokenizer with the special tokens, trained on a few sentences; about 400 tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(SENTENCES * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<|bos|>", eos_token="<|end|>", pad_token="<|pad|>", model_max_length=512
    )


def save_checkpoint(folder: Path, *, model_type: str, chat_template: str | None = CHAT_TEMPLATE, **changes) -> Path:
    """Return `folder` holding a random checkpoint: hidden 64, 2 layers, 512 positions; `changes` go to the config."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

    tokenizer = build_tokenizer()
    tokenizer.chat_template = chat_template
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    } | changes
    with torch.random.fork_rng():
        torch.manual_seed(7)
        if model_type == "mistral":
            model = MistralForCausalLM(MistralConfig(**({"sliding_window": 48} | settings)))
        else:
            model = LlamaForCausalLM(LlamaConfig(**settings))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def make_checkpoint():
    """Return `save_checkpoint`, for tests that need a checkpoint of their own."""
    return save_checkpoint


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory):
    """Return the folder of a tiny LlamaForCausalLM with a chat template."""
    return save_checkpoint(tmp_path_factory.mktemp("tiny") / "llama", model_type="llama")


@pytest.fixture(scope="session")
def tiny_mistral(tmp_path_factory):
    """Return the folder of a tiny MistralForCausalLM (sliding window of 48 tokens) with a chat template."""
    return save_checkpoint(tmp_path_factory.mktemp("tiny") / "mistral", model_type="mistral")


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory):
    """Return the folder of a tiny LlamaForCausalLM without a chat template."""
    return save_checkpoint(tmp_path_factory.mktemp("tiny") / "base", model_type="llama", chat_template=None)
