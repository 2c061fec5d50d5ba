"""Batches laid out behind a shared prefix: the losses and gradients of padded batches, of fewer tokens."""

import pytest
import torch
from transformers import AutoModelForCausalLM, MistralConfig, MistralForCausalLM
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from llmtl.errors import TrainingError
from llmtl.tuning import shared_prefix
from llmtl.tuning.shared_prefix import SharedPrefixCollator
from llmtl.tuning.training import train


@pytest.fixture
def rows(tokenized):
    return [{"input_ids": list(each.input_ids), "labels": list(each.labels)} for each in tokenized]


def random_rows(lengths, *, shared=9, answer=2):
    draw = torch.Generator().manual_seed(0)
    head = torch.randint(5, 60, (shared,), generator=draw).tolist()
    found = []
    for length in lengths:
        ids = head + torch.randint(5, 60, (length,), generator=draw).tolist()
        found.append({"input_ids": ids, "labels": [-100] * (len(ids) - answer) + ids[-answer:]})
    return found


def loss_and_gradients(model, batch):
    model.zero_grad()
    batch = {key: value for key, value in batch.items() if key != "tokens"}
    loss = model(**batch, use_cache=False).loss
    loss.backward()
    return loss.item(), torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])


def assert_same(model, rows, laid_out):
    plain = DataCollatorForLanguageModeling(pad_token_id=0)(rows)
    loss, gradient = loss_and_gradients(model, plain)
    shared_loss, shared_gradient = loss_and_gradients(model, laid_out)
    assert laid_out["input_ids"].numel() < plain["input_ids"].numel()
    assert shared_loss == pytest.approx(loss, abs=1e-5)
    torch.testing.assert_close(shared_gradient, gradient, atol=1e-5, rtol=1e-5)


def test_loss_and_gradient_are_those_of_the_padded_batch(tiny_llama, rows):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)
    batch = SharedPrefixCollator(sharing=True, window=None)(rows)
    assert batch["input_ids"].shape[0] == 1
    assert int(batch["tokens"]) == sum(len(row["input_ids"]) for row in rows)
    assert_same(model, rows, batch)


def test_a_long_batch_takes_several_rows(tiny_llama, rows, monkeypatch):
    monkeypatch.setattr(shared_prefix, "_ROW_TOKENS", 120)
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)
    batch = SharedPrefixCollator(sharing=True, window=None)(rows)
    assert batch["input_ids"].shape[0] > 1
    assert batch["input_ids"].shape[1] <= 120
    assert_same(model, rows, batch)


@pytest.mark.parametrize("window", [4, 12, None])
def test_a_sliding_window_is_kept(window):
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=window,
    )
    rows = random_rows([5, 9, 3, 14])
    assert_same(MistralForCausalLM(config), rows, SharedPrefixCollator(sharing=True, window=window)(rows))


def test_batches_that_share_little_are_padded_as_trl_does(tokenized):
    rows = random_rows([30, 30, 31], shared=1)
    batch = SharedPrefixCollator(sharing=True, window=None)(rows)
    plain = DataCollatorForLanguageModeling(pad_token_id=0)(rows)
    assert all(torch.equal(batch[key], value) for key, value in plain.items())


def test_equal_prompts_leave_a_token_of_its_own_to_each_example():
    [first, _] = rows = random_rows([4, 4])
    rows[1] = {"input_ids": [*first["input_ids"][:-2], 7, 8], "labels": [*first["labels"][:-2], 7, 8]}
    batch = SharedPrefixCollator(sharing=True, window=None)(rows)
    assert batch["input_ids"].shape == (1, 10 + 2 * 3)
    assert batch["labels"][0, -6:].tolist() == [-100, *first["labels"][-2:], -100, 7, 8]


def test_a_lost_answer_token_stops_training(monkeypatch):
    monkeypatch.setattr(shared_prefix, "_prompt_length", lambda row: len(row["labels"]))  # a prefix with answers in it
    [row] = random_rows([5])
    with pytest.raises(TrainingError, match=r"A batch of 4 answer tokens would train on 2"):
        SharedPrefixCollator(sharing=True, window=None)([row, row])


def test_training_on_shared_prefixes_learns_the_same(make_job, tokenized, monkeypatch):
    padded = train(make_job("padded", max_epochs=2, dev=tokenized[:4], batch_size=4))
    monkeypatch.setattr("llmtl.tuning.training.SHARING_PARAMETERS", 0)
    shared = train(make_job("shared", max_epochs=2, dev=tokenized[:4], batch_size=4))
    assert shared.trained_tokens == padded.trained_tokens == 2 * sum(len(each.input_ids) for each in tokenized)
    losses = [[(point.train_loss or 0.0, point.dev_loss) for point in each.curve] for each in (shared, padded)]
    torch.testing.assert_close(*map(torch.tensor, losses), atol=1e-4, rtol=1e-4)


def test_general_text_among_the_prompts_stands_in_rows_of_its_own(tiny_llama, rows):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)
    ids = torch.randint(5, 60, (2, 30), generator=torch.Generator().manual_seed(1)).tolist()
    texts = [{"input_ids": each, "labels": [-100, *each[1:]]} for each in ids]
    batch = SharedPrefixCollator(sharing=True, window=None)([*rows, *texts])
    assert batch["input_ids"].shape[0] == 2
    assert_same(model, [*rows, *texts], batch)
