"""Pairs of tuning options: what cannot work is refused in a line, and what is left trains and is served as trained.

A sample of the pairs is trained, drawn by a seed; `LLMTL_OPTION_PAIRS` says how many of each strategy. Not covered:
vLLM.
"""

import os
from itertools import combinations
from random import Random

import pytest
import torch
from peft import PeftModel

from llmtl.engines.protocol import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.engines.transformers.loading import load_model
from llmtl.errors import RecipeError
from llmtl.findings import PreferenceStage, TrainingCurve, finding
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.generation import GENERATION
from llmtl.pocket import resolve
from llmtl.prompting.template import Template
from llmtl.recipe import validate
from llmtl.strategies.table import STRATEGIES
from llmtl.strategy import FitContext
from llmtl.task import Task
from llmtl.tuning import training
from llmtl.tuning.quantised import load_quantised
from llmtl.tuning.tokenized import IGNORED, fitting
from tests.support.contract import PRICES, WORDS, Contract, assert_served_as_measured, examples

PACKED = "packed"
"""No option: prefixes are shared from 20M parameters on, and here of a small model, too."""
OPTIONS = {
    "ewc": {"ewc": 1.0},
    "ewc auto": {"ewc": "auto"},
    "replay": {"replay": 0.05},
    "neftune": {"neftune_alpha": 5.0},
    "dora": {"dora": True},
    "pissa": {"initialisation": "pissa"},
    "olora": {"initialisation": "olora"},
    "loftq": {"initialisation": "loftq"},
    "rslora": {"rank_stabilised": True},
    "loraplus": {"b_rate_ratio": 16.0},
    "some layers": {"target_modules": ("q_proj", "down_proj")},
    "layer decay": {"layer_decay": 0.9},
    "averaging": {"average_best": 3},
    "lr finder": {"find_learning_rate": "always"},
    "linear": {"schedule": "linear", "warmup_fraction": 0.1},
    "weight decay": {"weight_decay": 0.1},
    PACKED: {},
}
TUNING = ("lora", "qlora", "full", "hybrid", "class-head", "dpo")
MODELS = ("pocket-llama", "pocket-mistral")
FEW = {"max_epochs": 2, "batch_size": 8, "learning_rate": 1e-3}
FEW_PAIRS = {"preference_epochs": 1, "preference_rate": 1e-3, "preference_batch_size": 4}
EACH = [(name, *pair) for name in TUNING for pair in combinations(OPTIONS, 2)]


def refused(strategy, one, other):
    """Say by the rules that are documented whether a pair cannot work with a strategy."""
    options, fields = OPTIONS[one] | OPTIONS[other], STRATEGIES[strategy].section.model_fields
    unknown = any(key not in fields for key in options)
    start = options.get("initialisation")
    wrong_bits = start in ("pissa", "olora") if strategy == "qlora" else start == "loftq"
    return unknown or wrong_bits or "dora" in options


def told_twice(one, other):
    """Tell pairs that choose the same thing in two ways, of which a recipe can hold one."""
    return bool(OPTIONS[one].keys() & OPTIONS[other].keys())


@pytest.mark.parametrize("strategy", TUNING)
def test_a_pair_that_cannot_work_is_refused_in_a_line_when_the_recipe_is_read(strategy):
    section = STRATEGIES[strategy].section
    for one, other in combinations(OPTIONS, 2):
        if told_twice(one, other):
            continue
        options = OPTIONS[one] | OPTIONS[other]
        if not refused(strategy, one, other):
            assert validate(section, options, source=strategy)
            continue
        with pytest.raises(RecipeError) as caught:
            validate(section, options, source=strategy)
        assert "\n" not in str(caught.value)


TRAINED = [each for each in EACH if not told_twice(*each[1:]) and not refused(*each)]
EACH_STRATEGY = int(os.environ.get("LLMTL_OPTION_PAIRS", "2"))


def sample():
    """Draw as many pairs of each strategy."""
    for strategy in TUNING:
        pairs = [each for each in TRAINED if each[0] == strategy]
        yield from Random(16).sample(pairs, min(len(pairs), EACH_STRATEGY))


SAMPLE = list(sample())


@pytest.mark.parametrize(("at", "pair"), list(enumerate(SAMPLE)), ids=["-".join(each) for each in SAMPLE])
def test_a_pair_trains_and_is_served_as_it_was_trained(at, pair, tmp_path, monkeypatch):
    strategy, *chosen = pair
    if PACKED in chosen:
        monkeypatch.setattr(training, "SHARING_PARAMETERS", 0)
    section, writes = STRATEGIES[strategy].section, strategy == "dpo"
    few = {key: value for key, value in (FEW | FEW_PAIRS).items() if key in section.model_fields}
    tuning = STRATEGIES[strategy](section(**few | OPTIONS[chosen[0]] | OPTIONS[chosen[1]]))
    contract = fitted(tuning, ModelSource(str(resolve(MODELS[at % 2]))), tmp_path, writes=writes)
    assert_served_as_measured(contract, contract.context.model, tmp_path / "bundle")
    # LoftQ makes up for what rounding took, so that it is nearer to the model in training than to one in four bits
    if strategy != "class-head" and "loftq" not in chosen:
        assert_kept_is_what_dev_saw(contract)


def fitted(tuning, source, folder, *, writes):
    kind = GENERATION if writes else CLASSIFICATION
    task = Task("t", () if writes else WORDS, "Do it.", kind.metrics[0], kind=kind, max_output_tokens=8)
    (folder / "fit").mkdir()
    base = TransformersEngine.load(source, device="cpu")
    context = FitContext(
        task=task,
        train=examples(kind, 16, "train"),
        dev=examples(kind, 6, "dev"),
        model=source,
        load_engine=lambda tuned: base if tuned is None else TransformersEngine.load(source.tuned(tuned), device="cpu"),
        folder=folder / "fit",
        prices=PRICES,
    )
    return Contract(tuning, context, tuning.fit(context), examples(kind, 6, "test"))


def kept_model(contract):
    """Load what was kept by plain transformers and PEFT, in four bits where it was trained so."""
    source, kept = contract.context.model, contract.served.tuned
    if contract.strategy.name != "qlora":
        return load_model(source.tuned(kept), "cpu")
    return PeftModel.from_pretrained(load_quantised(source.name, device="cpu"), kept).eval()


def assert_kept_is_what_dev_saw(contract):
    """Compare the dev loss of what was kept with that which training measured."""
    context, found = contract.context, contract.fitted.findings
    curve, pairs = finding(found, TrainingCurve), finding(found, PreferenceStage)
    assert all(point.train_loss is not None for point in curve.points[1:])
    if pairs is not None and pairs.best_step:  # dev was scored there
        return
    best = min(point.dev_loss for point in curve.points) if curve.averaged_dev_loss is None else curve.averaged_dev_loss
    engine = context.load_engine(None)
    dev = fitting(context.dev, Template(context.task, engine), engine.tokenizer, max_length=512)
    model = kept_model(contract)
    nats = count = 0.0
    for each in dev:
        labels = torch.tensor([each.labels])
        with torch.inference_mode():
            loss = model(input_ids=torch.tensor([each.input_ids]), labels=labels).loss
        learned = int((labels[:, 1:] != IGNORED).sum())
        nats, count = nats + float(loss) * learned, count + learned
    assert nats / count == pytest.approx(best, abs=2e-3)
