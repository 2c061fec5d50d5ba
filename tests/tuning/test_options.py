"""Options of tuning: what they do to the adapter and to its learning rates, and what is refused in a recipe."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import TrainerCallback

from llmtl.engines.protocol import ModelSource
from llmtl.engines.transformers.loading import load_model
from llmtl.errors import RecipeError
from llmtl.recipe import validate
from llmtl.strategies.lora import LoraChoices
from llmtl.strategies.qlora import QloraConfig
from llmtl.tuning.group_rates import GroupRates
from llmtl.tuning.trained_weights import Adapter
from llmtl.tuning.training import train, trainer_of


class LastModel(TrainerCallback):
    def __init__(self, seen):
        self.seen = seen

    def on_train_end(self, args, state, control, **kwargs):
        self.seen.append(kwargs["model"])


@pytest.fixture
def trainer_for(make_job):
    """Return a function that makes a trainer of a job with these choices, before its first step."""

    def make(**choices):
        job = make_job(**choices)
        return trainer_of(job, job.weights.load(job.checkpoint, device="cpu"), 4, 1, callbacks=[])

    return make


def test_each_layer_learns_more_slowly_than_the_one_above_and_b_faster_than_a(trainer_for):
    trainer = trainer_for(layer_decay=0.5, b_rate_ratio=16, learning_rate=1e-3)
    names = {id(each): name for name, each in trainer.model.named_parameters()}
    rates = {
        names[id(each)]: group["lr"] for group in trainer.create_optimizer().param_groups for each in group["params"]
    }
    assert len(rates) == len([each for each in trainer.model.parameters() if each.requires_grad]) == 2 * 14
    for name, rate in rates.items():
        layer, second = (1.0 if ".layers.1." in name else 0.5), (16 if "lora_B" in name else 1)
        assert rate == pytest.approx(1e-3 * layer * second), name


def test_embeddings_learn_most_slowly_and_the_head_at_the_full_rate():
    rates = GroupRates(layer_decay=0.5)
    names = ["model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight", "model.norm.weight", "lm_head.weight"]
    assert [rates.factor(name, layers=3) for name in names] == [0.125, 0.25, 1.0, 1.0]


def test_chosen_layers_get_the_adapter_and_its_scale_can_go_by_the_root_of_the_rank(trainer_for):
    trainer = trainer_for(target_modules=["q_proj", "v_proj"], rank_stabilised=True, rank=4, alpha=8)
    layers = {name: each for name, each in trainer.model.named_modules() if isinstance(each, LoraLayer)}
    assert {name.rpartition(".")[2] for name in layers} == {"q_proj", "v_proj"}
    assert all(each.scaling["default"] == 8 / math.sqrt(4) for each in layers.values())


def logits_of(model, tokenized):
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokenized[0].input_ids])).logits


MANY = {"target_modules": ["q_proj", "down_proj"], "b_rate_ratio": 4, "layer_decay": 0.9, "neftune_alpha": 5}


@pytest.mark.parametrize(
    "choices",
    [
        {"rank_stabilised": True, **MANY},
        {"initialisation": "pissa", "rank_stabilised": True},
        {"initialisation": "olora"},
    ],
    ids=["many", "pissa", "olora"],
)
def test_what_was_trained_is_what_is_served(make_job, tokenized, choices):
    ended = []
    job = make_job(callbacks=(LastModel(ended),))
    config = LoraChoices(**job.config.model_dump() | {"max_epochs": 2, "rank": 4, "alpha": 8} | choices)
    job = replace(job, config=config, weights=Adapter(config, four_bits=False))
    outcome = train(job)
    assert outcome.curve[1].train_loss < outcome.curve[0].train_loss
    served = load_model(ModelSource(str(job.checkpoint), adapter=job.folder), "cpu")
    torch.testing.assert_close(
        logits_of(served, tokenized), logits_of(ended[0].eval(), tokenized), atol=1e-4, rtol=1e-4
    )
    settings = json.loads((job.folder / "adapter_config.json").read_text())
    assert settings["init_lora_weights"] is True  # vLLM refuses an adapter that names another
    assert settings["r"] == (8 if "initialisation" in choices else 4)


def test_loftq_starts_nearer_to_the_unrounded_weights_and_is_served_as_what_training_changed(trainer_for, tmp_path):
    trainer = trainer_for(initialisation="loftq", rank=4, alpha=8)
    with safe_open(Path(trainer.model.get_base_model().config.name_or_path) / "model.safetensors", "pt") as file:
        for name, layer in trainer.model.named_modules():
            if isinstance(layer, LoraLayer):
                weight = file.get_tensor(f"{name.removeprefix('base_model.model.')}.weight").float()
                held = layer.get_base_layer().weight
                lost = weight - dequantize_4bit(held.data, held.quant_state)
                assert (lost - layer.get_delta_weight("default")).norm() < 0.95 * lost.norm()
    config = QloraConfig(initialisation="loftq", rank=4, alpha=8)
    Adapter(config, four_bits=True).save(trainer.model, tmp_path / "untrained")
    kept = load_file(tmp_path / "untrained" / "adapter_model.safetensors")
    for name, first in kept.items():
        if ".lora_A." in name:
            second = kept[name.replace(".lora_A.", ".lora_B.")]
            torch.testing.assert_close(second @ first, torch.zeros(len(second), first.shape[1]), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ({"dora": True}, "vLLM takes DoRA merged into the model only"),
        ({"target_modules": ["q_proj", "lm_head"]}, "target_modules"),
        ({"target_modules": []}, "target_modules"),
        ({"target_modules": ["q_proj", "q_proj"]}, "names a layer twice"),
        ({"initialisation": "pissa"}, "rounded to four bits a second time; take the strategy lora"),
        ({"initialisation": "olora"}, "rounded to four bits a second time; take the strategy lora"),
        ({"initialisation": "loftq", "rank": 300}, "vLLM serves at most 512; halve it"),
        ({"b_rate_ratio": 0.5}, "greater than or equal to 1"),
        ({"layer_decay": 0}, "greater than 0"),
    ],
)
def test_what_cannot_work_is_refused_when_the_recipe_is_read(choices, reason):
    with pytest.raises(RecipeError, match=reason) as caught:
        validate(QloraConfig, choices, source="strategies.qlora")
    assert "\n" not in str(caught.value)
