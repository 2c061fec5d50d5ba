"""The four-bit base model: its format, where the adapter sits, and gradients that survive an evaluation."""

import pytest
import torch
from bitsandbytes.nn.modules import Linear4bit
from peft import get_peft_model

from llmtl.strategies.qlora import QloraConfig
from llmtl.tuning.quantised import load_quantised, lora_config, train_in_float32


@pytest.fixture
def adapted(tiny_llama):
    torch.manual_seed(0)
    return get_peft_model(load_quantised(tiny_llama, device="cpu"), lora_config(QloraConfig(rank=4, dropout=0.0)))


def test_linear_layers_are_double_quantised_nf4_and_adapted_but_the_head_is_not(adapted):
    layers = {name: module for name, module in adapted.named_modules() if isinstance(module, Linear4bit)}
    assert len(layers) == 2 * 7  # per block: q, k, v, o, gate, up, down
    for name, layer in layers.items():
        assert name.endswith("base_layer")
        assert layer.weight.quant_type == "nf4"
        assert layer.weight.quant_state.nested
    trainable = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert len(trainable) == 2 * len(layers)
    assert all("lora_" in name and "lm_head" not in name and "embed" not in name for name in trainable)


def gradients(model, ids):
    model.train()
    model.zero_grad()
    model(input_ids=ids, labels=ids).loss.backward()
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


def test_gradients_are_the_same_after_an_evaluation(adapted):
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    ids = torch.randint(6, 400, (2, 24), generator=torch.Generator().manual_seed(1))
    before = gradients(adapted, ids)
    adapted.eval()
    with torch.no_grad():
        adapted(input_ids=ids)
    after = gradients(adapted, ids)
    assert before.keys() == after.keys()
    for name, gradient in before.items():
        torch.testing.assert_close(after[name], gradient)


def test_trainable_parameters_are_put_in_float32_and_no_others(adapted):
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.bfloat16()
    frozen = {name: each.dtype for name, each in adapted.named_parameters() if not each.requires_grad}
    train_in_float32(adapted)
    assert {each.dtype for each in adapted.parameters() if each.requires_grad} == {torch.float32}
    assert {name: each.dtype for name, each in adapted.named_parameters() if not each.requires_grad} == frozen
