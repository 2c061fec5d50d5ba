"""The memory forecast: against what autograd keeps, and what follows from it before a training."""

import pytest
import torch
from peft import get_peft_model

from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.errors import TrainingError
from llmtl.json_and_yaml import parse_json
from llmtl.quiet import quiet
from llmtl.strategies.lora import LoraChoices
from llmtl.strategies.qlora import QloraConfig
from llmtl.tuning import step_memory
from llmtl.tuning.needed_memory import (
    GIB,
    DecoderSizes,
    MemoryForecast,
    StepLoad,
    TrainedPart,
    forecast,
    frozen_layers,
    layer_bytes,
)
from llmtl.tuning.shared_prefix import SharedPrefixCollator
from llmtl.tuning.step_memory import fitting_batch, load_of
from llmtl.tuning.tokenized import IGNORED, TokenizedExample
from llmtl.tuning.trained_weights import Adapter, OwnWeights
from llmtl.tuning.training import memory_needed, train

ROWS, WIDTH = 4, 96


def kept(model, *, masked):
    """Count the bytes that autograd keeps of a forward pass, each piece of memory once, but for the weights."""
    own = {each.untyped_storage().data_ptr() for each in model.parameters()}
    found = {}

    def pack(tensor):
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in own:
            found[memory.data_ptr()] = memory.nbytes()
        return tensor

    ids, more = torch.randint(5, 60, (ROWS, WIDTH)), {}
    if masked:
        walls = torch.ones(WIDTH, WIDTH, dtype=torch.bool).tril()[None, None].expand(ROWS, 1, WIDTH, WIDTH)
        more = {"attention_mask": walls, "position_ids": torch.arange(WIDTH)[None].expand(ROWS, WIDTH)}
    body = (model.get_base_model() if hasattr(model, "get_base_model") else model).model
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        body(input_ids=ids, **more)
    return sum(found.values())


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "weights",
    [
        OwnWeights("float32"),
        OwnWeights("float32", 0.5),
        Adapter(LoraChoices(), four_bits=False),
        Adapter(LoraChoices(dropout=0.0), four_bits=False),
        Adapter(LoraChoices(target_modules=("q_proj", "v_proj")), four_bits=False),
        Adapter(QloraConfig(), four_bits=True),
    ],
    ids=["full", "hybrid", "lora", "lora-without-dropout", "lora-on-two", "qlora"],
)
def test_what_layers_keep_is_what_autograd_keeps(tiny_llama, weights, masked):
    with quiet():
        model = weights.load(tiny_llama, device="cpu")
        if weights.adapter is not None:
            model = get_peft_model(model, weights.adapter)
    model.train()
    sizes = DecoderSizes.of(parse_json((tiny_llama / "config.json").read_bytes()))
    still = frozen_layers(sizes.layers, weights.trained.frozen) if weights.trained.frozen else 0
    load = StepLoad(ROWS, WIDTH, masked=masked)
    foretold = (sizes.layers - still) * layer_bytes(sizes, weights.trained, load, on_gpu=False)
    # an adapter's first layer keeps less, as the embeddings have no gradient, and the last norm is not a layer
    assert kept(model, masked=masked) == pytest.approx(foretold, rel=0.12)


@pytest.mark.parametrize("frozen", [0.0, 0.5])
def test_weights_gradients_and_moments_are_counted(tiny_llama, frozen):
    info = inspect_checkpoint(str(tiny_llama))
    model = OwnWeights("float32", frozen).load(tiny_llama, device="cpu")
    learned = sum(each.numel() for each in model.parameters() if each.requires_grad)
    held = sum(each.numel() for each in model.parameters())
    sizes = DecoderSizes.of(parse_json((info.path / "config.json").read_bytes()))
    assert sizes.parameters == info.parameters
    on_cpu = forecast(sizes, TrainedPart(frozen=frozen, temporary=False), StepLoad(), device="cpu")
    assert (on_cpu.weights, on_cpu.moments, on_cpu.gradients) == (4 * held, 8 * learned, 4 * learned)
    assert forecast(sizes, TrainedPart(frozen=frozen), StepLoad(), device="cuda").moments == 2 * learned


def test_an_adapter_is_small_and_four_bits_are_an_eighth(tiny_llama):
    sizes = DecoderSizes.of(parse_json((tiny_llama / "config.json").read_bytes()))
    plain, four = (
        forecast(sizes, TrainedPart(rank=4, four_bits=bits), StepLoad(), device="cpu") for bits in (False, True)
    )
    model = get_peft_model(
        Adapter(LoraChoices(rank=4), four_bits=False).load(tiny_llama, device="cpu"),
        Adapter(LoraChoices(rank=4), four_bits=False).adapter,
    )
    learned = sum(each.numel() for each in model.parameters() if each.requires_grad)
    assert plain.moments == 8 * learned
    assert plain.weights - four.weights == pytest.approx(sizes.layers * sizes.in_linear * (4 - 0.5159), rel=1e-3)


def examples(*lengths):
    return tuple(TokenizedExample(tuple(range(n)), (*[IGNORED] * (n - 2), n - 2, n - 1)) for n in lengths)


def test_the_heaviest_batch_is_that_of_the_longest_examples():
    collator = SharedPrefixCollator(sharing=False, window=None)
    load = load_of(examples(5, 9, 7, 9), 2, collator, recomputed=False)
    assert (load.rows, load.width, load.scored, load.masked) == (2, 9, 4, False)
    assert load_of(examples(5, 9, 7), 2, collator, recomputed=False).masked


def gib(count):
    return MemoryForecast(count * GIB, 0, 0, 0, 0)


def test_fewer_are_computed_at_once_where_the_memory_would_not_do(monkeypatch):
    monkeypatch.setattr(step_memory, "free_gib", lambda device: 5.0)
    said = []
    found = fitting_batch(gib, 16, device="cpu", less="lower 'rank'", say=said.append)
    assert found == 4
    assert said == [
        "A step of 16 examples would need about 16.0 GiB, and 5.0 GiB are free: 4 are computed at a time, and a step "
        "still takes them all."
    ]
    assert fitting_batch(lambda batch: gib(2), 16, device="cpu", less="", say=said.append) == 16
    assert len(said) == 1
    assert fitting_batch(lambda batch: gib(5.5), 2, device="cpu", less="lower 'rank'", say=said.append) == 1
    with pytest.raises(TrainingError, match=r"about 7\.0 GiB with a single example at a time.*lower 'rank', use a"):
        fitting_batch(lambda batch: gib(7.0), 2, device="cpu", less="lower 'rank'", say=said.append)


def test_a_training_starts_with_what_fits_and_its_steps_stay_the_same(make_job, monkeypatch):
    job = make_job(max_epochs=1, batch_size=4)
    whole, one = memory_needed(job, 4).peak_gib, memory_needed(job, 1).peak_gib
    assert one < whole
    monkeypatch.setattr(step_memory, "free_gib", lambda device: one + (whole - one) / 10)
    outcome = train(job)
    assert (outcome.batch, outcome.accumulation) == (1, 4)
    assert job.progress.lines[0].startswith("A step of 4 examples would need about")
