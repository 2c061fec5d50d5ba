"""Training: against a hand-written PEFT loop, out of memory, limits, the best adapter, determinism."""

import logging
import random
from time import monotonic

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, TrainerCallback
from transformers.utils import logging as transformers_logging

from llmtl.errors import TrainingError
from llmtl.task import Example
from llmtl.tuning.tokenized import fitting
from llmtl.tuning.training import train

EPOCHS = 3


class NoMemoryAbove(TrainerCallback):
    """Fails as a GPU does when more than `limit` examples are computed at once."""

    def __init__(self, limit, error):
        self.limit = limit
        self.error = error

    def on_step_begin(self, args, state, control, **kwargs):
        if args.per_device_train_batch_size > self.limit:
            raise self.error


def padded(examples):
    width = max(len(each.input_ids) for each in examples)
    ids = torch.tensor([[*each.input_ids, *[2] * (width - len(each.input_ids))] for each in examples])
    labels = torch.tensor([[*each.labels, *[-100] * (width - len(each.labels))] for each in examples])
    mask = torch.tensor([[1] * len(each.input_ids) + [0] * (width - len(each.input_ids)) for each in examples])
    return ids, labels, mask


def answer_loss(model, examples):
    """Return the mean cross-entropy in nats over the answer tokens of all examples."""
    ids, labels, mask = padded(examples)
    logits = model(input_ids=ids, attention_mask=mask).logits
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)


def four_bit(folder):
    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    return AutoModelForCausalLM.from_pretrained(folder, quantization_config=settings, dtype=torch.float32)


@pytest.fixture(scope="module")
def reference(tiny_llama, tokenized):
    """Return the adapter and losses of a plain PyTorch loop: all eight examples per step, AdamW, clipping at 0.3."""
    model = four_bit(tiny_llama)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(model, config)
    trainable = {name: each for name, each in model.named_parameters() if each.requires_grad}
    for parameter in trainable.values():
        parameter.data = parameter.data.bfloat16().float()  # TRL rounds the initial adapter
    optimizer = torch.optim.AdamW(trainable.values(), lr=5e-3, weight_decay=0.0)
    model.train()
    losses = []
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        loss = answer_loss(model, tokenized)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable.values(), 0.3)
        optimizer.step()
        losses.append(loss.item())
    weights = {name.replace(".default", ""): each.detach() for name, each in trainable.items()}
    return weights, losses


def saved(job):
    return load_file(job.folder / "adapter_model.safetensors")


def assert_same_adapter(found, expected, *, atol):
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=atol, rtol=0)


def test_agrees_with_a_hand_written_peft_loop(make_job, reference):
    weights, losses = reference
    job = make_job(max_epochs=EPOCHS)
    outcome = train(job)
    assert [point.train_loss for point in outcome.curve] == pytest.approx(losses, rel=1e-4)
    assert losses[-1] < losses[0] - 0.5  # the loop does learn, so that the comparison means something
    assert_same_adapter(saved(job), weights, atol=2e-4)
    assert (outcome.batch, outcome.accumulation, outcome.stopped_by) == (8, 1, "max epochs")
    assert outcome.trained_tokens == EPOCHS * sum(len(each.input_ids) for each in job.train)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    ],
    ids=["gpu", "cpu"],
)
def test_out_of_memory_halves_the_batch_and_learns_the_same(make_job, reference, error):
    job = make_job(max_epochs=EPOCHS, callbacks=(NoMemoryAbove(2, error),))
    outcome = train(job)
    assert (outcome.batch, outcome.accumulation) == (2, 4)
    assert [line.split(":")[0] for line in job.progress.lines] == ["Out of memory", "Out of memory"]
    assert "2 example(s) at a time, and a step still takes 8" in job.progress.lines[-1]
    assert_same_adapter(saved(job), reference[0], atol=2e-4)


def test_out_of_memory_with_one_example_names_the_cure(make_job):
    job = make_job(batch_size=2, callbacks=(NoMemoryAbove(0, MemoryError()),))
    with pytest.raises(TrainingError, match=r"single example at a time; lower 'max_length' or 'rank'"):
        train(job)


def test_another_failure_is_not_taken_for_lack_of_memory(make_job):
    with pytest.raises(RuntimeError, match="something else"):
        train(make_job(callbacks=(NoMemoryAbove(0, RuntimeError("something else")),)))


def test_the_time_limit_stops_after_the_step_and_keeps_an_adapter(make_job, tokenized):
    job = make_job(max_epochs=50, batch_size=2, dev=tokenized[:2], deadline=monotonic())
    outcome = train(job)
    assert outcome.stopped_by == "budget"
    assert [point.step for point in outcome.curve] == [0, 1]
    assert saved(job)


def test_divergence_is_said_and_the_last_good_adapter_kept(make_job, tokenized):
    job = make_job(learning_rate=1e30, dev=tokenized[:2])
    outcome = train(job)
    assert outcome.curve[-1].train_loss is None
    assert outcome.curve[-1].dev_loss is None
    assert all(weight.isfinite().all() for weight in saved(job).values())
    assert "diverged at a learning rate of 1.0e+30" in job.progress.lines[-1]


@pytest.fixture
def contrary(examples, template, tokenizer):
    """Return the same messages with the label of another: the better train is learned, the worse these fare."""
    turned = [Example(each.id, each.text, examples[(i + 2) % 8].reference) for i, each in enumerate(examples)]
    return fitting(turned, template, tokenizer, max_length=512)


def test_early_stopping_keeps_the_adapter_with_the_lowest_dev_loss(make_job, contrary, tiny_llama):
    job = make_job(max_epochs=60, patience=2, learning_rate=2e-2, dev=contrary)
    outcome = train(job)
    losses = [point.dev_loss for point in outcome.curve]
    assert outcome.stopped_by == "early stopping"
    assert outcome.best.dev_loss == min(losses)
    assert outcome.curve[-1].step == outcome.best.step + 2 < 60
    model = PeftModel.from_pretrained(four_bit(tiny_llama), job.folder)
    with torch.no_grad():
        assert answer_loss(model, contrary).item() == pytest.approx(outcome.best.dev_loss, rel=2e-3)


def test_dev_is_measured_as_often_as_asked(make_job, tokenized):
    outcome = train(make_job(max_epochs=2, batch_size=2, evaluations_per_epoch=2, dev=tokenized[:2]))
    assert [point.step for point in outcome.curve] == [0, 2, 4, 6, 8]
    assert [point.epoch for point in outcome.curve] == pytest.approx([0, 0.5, 1, 1.5, 2])


def test_the_same_seed_gives_the_same_adapter_and_another_does_not(make_job):
    jobs = [make_job(name, seed=seed, dropout=0.1, batch_size=3) for name, seed in [("a", 1), ("b", 1), ("c", 2)]]
    for job in jobs:
        train(job)
    first, second, other = map(saved, jobs)
    assert_same_adapter(first, second, atol=0)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_leaves_random_states_and_logging_as_they_were(make_job, capfd):
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    levels = [logging.getLogger(name).level for name in ("trl", "peft", "bitsandbytes", "accelerate")]
    verbosity = (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled())
    job = make_job(max_epochs=1)
    train(job)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before
    assert [logging.getLogger(name).level for name in ("trl", "peft", "bitsandbytes", "accelerate")] == levels
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == verbosity
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in job.folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
