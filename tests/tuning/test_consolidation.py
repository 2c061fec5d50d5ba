"""Elastic weight consolidation: Fisher information by hand, steps by a general minimiser, and what holds is held."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from scipy.optimize import minimize
from transformers import AutoModelForCausalLM

from llmtl.strategies.full import FullChoices
from llmtl.strategies.lora import LoraChoices
from llmtl.tuning.consolidation import Consolidation, HeldProduct, HeldWeight, factors, fisher
from llmtl.tuning.quantised import lora_config
from llmtl.tuning.trained_weights import OwnWeights
from llmtl.tuning.training import train


def nats_of(model, row):
    ids = torch.tensor([row])
    return torch.nn.functional.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="sum")


def test_fisher_information_is_the_squared_gradient_per_token(tiny_llama):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)
    weight, rows = model.model.norm.weight, [[5, 6, 7, 8], [9, 10, 11]]
    expected = sum(torch.autograd.grad(nats_of(model, row), weight)[0] ** 2 for row in rows)
    [found] = fisher(model, [weight], rows)
    torch.testing.assert_close(found, expected / 5, rtol=1e-4, atol=1e-8)


def test_of_one_predicted_token_the_factors_are_the_frozen_weights_fisher_information(tiny_llama):
    plain = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32), lora_config(LoraChoices())
    )
    layers = {name: each for name, each in adapted.named_modules() if isinstance(each, LoraLayer)}
    found = dict(zip(layers, factors(adapted, list(layers.values()), [[5, 6]]), strict=True))
    weights = {name: plain.get_submodule(name.removeprefix("base_model.model.")).weight for name in layers}
    gradients = torch.autograd.grad(nats_of(plain, [5, 6]), list(weights.values()))
    assert len(found) == 14
    for gradient, (outputs, inputs) in zip(gradients, found.values(), strict=True):
        torch.testing.assert_close(torch.outer(outputs, inputs), gradient**2, rtol=1e-3, atol=1e-9)


def test_a_step_of_a_weight_ends_at_the_minimum_of_penalty_and_distance():
    start, now, pace, information = (torch.tensor(each) for each in ([0.0, 1.0], [1.0, 3.0], [0.1, 0.2], [2.0, 0.5]))
    weight = torch.nn.Parameter(now.clone())
    with torch.no_grad():
        HeldWeight(weight, start, information).pull(lambda _: pace, 4.0)
    found = minimize(
        lambda w: (
            float(4 / 2 * (information * (torch.tensor(w) - start) ** 2).sum())
            + float(((torch.tensor(w) - now) ** 2 / (2 * pace)).sum())
        ),
        np.zeros(2),
    ).x
    assert weight.tolist() == pytest.approx(found.tolist(), abs=1e-4)


def product(*, out=3, rank=2, width=4):
    torch.manual_seed(0)
    first, second, a0, b0 = (torch.randn(shape) for shape in ((rank, width), (out, rank), (rank, width), (out, rank)))
    return HeldProduct(
        torch.nn.Parameter(first), torch.nn.Parameter(second), (a0, b0), torch.rand(out), torch.rand(width), 1.5
    )


def test_a_step_of_an_adapter_ends_at_the_minimum_of_penalty_and_distance():
    held, pace, strength = product(), torch.rand(3, 2), 4.0
    pace[0, 0] = 0.0  # during the warm-up nothing moves at first
    now, a = held.second.detach().clone(), held.first.detach()

    def loss(flat):
        b = torch.where(pace > 0, torch.tensor(flat, dtype=torch.float32).view(3, 2), now)
        change = held.scale * (b @ a - held.starts[1] @ held.starts[0])
        penalty = strength / 2 * (held.outputs[:, None] * held.inputs * change**2).sum()
        return float(penalty + ((b - now) ** 2 / (2 * pace.clamp_min(1e-9))).sum())

    with torch.no_grad():
        held.pull(lambda _: pace, strength)
    found = torch.tensor(minimize(loss, now.flatten().numpy(), method="Nelder-Mead", options={"maxfev": 20000}).x)
    assert loss(held.second.flatten().tolist()) <= loss(found.tolist()) + 1e-5
    assert held.second[0, 0] == now[0, 0]


def test_however_strong_it_is_a_step_stays_finite_and_ends_at_the_start():
    held = product()
    held = replace(held, starts=(held.starts[0], torch.zeros_like(held.starts[1])))
    with torch.no_grad():
        held.pull(lambda _: torch.full((3, 2), 1e6), 1e9)
    torch.testing.assert_close(held.second.detach(), torch.zeros(3, 2), atol=1e-4, rtol=0)


def test_nothing_is_held_before_the_optimizer_has_moved_it():
    weight = torch.nn.Parameter(torch.ones(2))
    Consolidation((HeldWeight(weight, torch.zeros(2), torch.ones(2)),), 1e9).pull(torch.optim.AdamW([weight]))
    assert weight.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("whole", [False, True], ids=["adapter", "own weights"])
def test_a_strong_penalty_keeps_weights_near_their_start(make_job, tiny_llama, whole):
    before, sizes = load_file(tiny_llama / "model.safetensors"), []
    for strength in (0.0, 1e9):
        name = "model" if whole else "adapter"
        job = make_job(f"{strength:g}/{name}", ewc=strength)
        if whole:
            config = FullChoices(max_epochs=3, batch_size=8, learning_rate=5e-3, ewc=strength)
            job = replace(job, config=config, weights=OwnWeights("float32"))
        train(job)
        kept = load_file(job.folder / ("model.safetensors" if whole else "adapter_model.safetensors"))
        moved = [each - before[key] if whole else each for key, each in kept.items() if whole or "lora_B" in key]
        sizes.append(sum(float(each.square().sum()) for each in moved))
    assert sizes[1] < 0.5 * sizes[0]
