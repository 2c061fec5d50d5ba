"""TRL's output head over answer tokens alone: the same losses and gradients, of fewer positions."""

import torch
from transformers import AutoModelForCausalLM
from trl.trainer import utils

from llmtl.tuning.answers_only import answers_only


def test_losses_and_gradients_stay_and_prompts_are_left_out(tiny_llama, monkeypatch):
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32)
    utils.add_fused_lm_head(model)
    ids = torch.arange(10, 34).reshape(2, 12)
    labels = torch.where(torch.arange(12) >= 9, ids, -100)
    scored = []
    kernel = utils._ChunkedLogProbFunction.apply

    def counting(hidden, *rest):
        scored.append(len(hidden))
        return kernel(hidden, *rest)

    monkeypatch.setattr(utils._ChunkedLogProbFunction, "apply", counting)

    def loss_and_gradient():
        model.zero_grad()
        loss = model(input_ids=ids, labels=labels, fused_lm_head=True).loss
        loss.backward()
        return loss.item(), model.get_input_embeddings().weight.grad.clone()

    with answers_only():
        loss, gradient = loss_and_gradient()
    plain_loss, plain_gradient = loss_and_gradient()
    assert scored == [2 * 3, 2 * 11]
    assert abs(loss - plain_loss) < 1e-6
    torch.testing.assert_close(gradient, plain_gradient, atol=1e-6, rtol=1e-4)
