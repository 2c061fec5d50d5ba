"""Elastic weight consolidation: the Fisher information by hand, and a penalty that holds an adapter back."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from llmtl.tuning.consolidation import Consolidation, fisher
from llmtl.tuning.training import train


def test_fisher_information_is_the_squared_gradient_per_token(tiny_llama):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)
    weight, rows = model.model.norm.weight, [[5, 6, 7, 8], [9, 10, 11], [12]]
    expected = torch.zeros_like(weight)
    for row in rows[:2]:
        ids = torch.tensor([row])
        nats = torch.nn.functional.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="sum")
        expected += torch.autograd.grad(nats, weight)[0] ** 2
    [found] = fisher(model, [weight], rows)
    torch.testing.assert_close(found, expected / 5, rtol=1e-4, atol=1e-8)


def test_the_penalty_is_half_the_strength_times_the_weighted_square():
    weight = torch.nn.Parameter(torch.tensor([1.0, 3.0]))
    penalty = Consolidation(((weight, torch.tensor([0.0, 1.0]), torch.tensor([2.0, 0.5])),), 4.0).penalty()
    assert penalty.item() == pytest.approx(4 / 2 * (2 * 1 + 0.5 * 4))
    penalty.backward()
    assert weight.grad.tolist() == [8.0, 4.0]


def test_a_strong_penalty_keeps_the_adapter_near_its_start(make_job):
    sizes = []
    for strength in (0.0, 1e6):
        job = make_job(f"adapter-{strength:g}", ewc=strength)
        train(job)
        kept = load_file(job.folder / "adapter_model.safetensors")
        sizes.append(sum(float(each.square().sum()) for name, each in kept.items() if "lora_B" in name))
    assert sizes[1] < 0.5 * sizes[0]
