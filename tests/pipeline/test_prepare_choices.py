"""What is said of a recipe's choices before any compute is spent: odd ones are warned of, impossible ones refused."""

import json
import shutil
from dataclasses import replace

import pytest

from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.errors import ModelError
from llmtl.hardware import inspect
from llmtl.pipeline import prepare as start
from llmtl.pipeline.prepare import prepare
from llmtl.settings import recipe_for_data
from llmtl.strategies.lora import Lora
from llmtl.strategies.qlora import Qlora

ROWS = [f"{word} number {at},{word}" for word in ("refund", "delivery") for at in range(20)]


@pytest.fixture
def prepared(tmp_path, make_progress):
    """Return a function that prepares a recipe with these strategies, and gives what was said."""

    def make(model, *overrides):
        data = tmp_path / "mail.csv"
        data.write_text("\n".join(["text,label", *ROWS]), encoding="utf-8")
        overrides = ["encoder=null", *overrides]
        recipe = recipe_for_data(str(data), text="text", label="label", model=str(model), overrides=overrides)
        progress = make_progress()
        names = [strategy.name for strategy in prepare(recipe, progress).strategies]
        return [*progress.lines, f"Strategies: {', '.join(names)}"]

    return make


def test_a_rate_that_hardly_works_is_said_in_a_line(prepared, tiny_llama):
    chosen = ("strategies.run=[majority,qlora]", "strategies.qlora.learning_rate=0.5")
    [said] = [line for line in prepared(tiny_llama, *chosen) if line.startswith("Warning: strategies.")]
    assert said == (
        "Warning: strategies.qlora.learning_rate is 0.5, and 0.0001 to 0.0003 are usual: training will probably "
        "diverge and unlearn what the model knew."
    )


@pytest.mark.parametrize("name", ["full", "hybrid", "class-head"])
def test_a_model_too_large_to_be_trained_here_is_refused_before_it_is_loaded(prepared, tiny_llama, tmp_path, name):
    large = shutil.copytree(tiny_llama, tmp_path / "large")
    config = json.loads((large / "config.json").read_text())
    (large / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 10**8}))
    instead = "take qlora" if name == "class-head" else "take lora or qlora"
    with pytest.raises(ModelError, match=f"The strategy '{name}' needs at least .* GiB free; {instead}, or"):
        prepared(large, f"strategies.run=[majority,{name}]")


TAKES_LONGER = "Measuring lora in place of qlora, which takes longer on a CPU"


@pytest.fixture
def cpu(monkeypatch):
    """Return a function that makes this a machine without a GPU that has so much memory, all of it free."""

    def make(gib):
        machine = replace(inspect(), gpus=(), ram_total_gib=gib, ram_free_gib=gib)
        monkeypatch.setattr(start, "inspect", lambda: machine)

    return make


def test_on_a_cpu_the_faster_way_to_fine_tune_is_measured_by_default(prepared, tiny_llama, cpu):
    cpu(4.0)
    said = prepared(tiny_llama)
    assert TAKES_LONGER in said
    assert said[-1].endswith(", lora")
    assert "qlora" not in said[-1]


@pytest.mark.parametrize("chosen", ["strategies.run=[majority,qlora]", "strategies.qlora.rank=4"])
def test_what_was_listed_or_configured_is_measured_wherever_it_is(prepared, tiny_llama, cpu, chosen):
    cpu(4.0)
    said = prepared(tiny_llama, chosen)
    assert TAKES_LONGER not in said
    assert said[-1].endswith(", qlora")


def test_four_bits_are_the_default_where_memory_does_for_nothing_else(prepared, tiny_llama, cpu):
    cpu(between(tiny_llama, Qlora(), Lora()))
    said = prepared(tiny_llama)
    assert TAKES_LONGER not in said
    assert said[-1].endswith(", qlora")


def between(checkpoint, fits, does_not):
    """Return the GiB that do for the one and not for the other, found by halving."""
    info, machine = inspect_checkpoint(str(checkpoint)), replace(inspect(), gpus=())
    low, high = 0.0, 4.0
    for _ in range(60):
        gib = (low + high) / 2
        holds = [does(each, info, replace(machine, ram_free_gib=gib)) for each in (fits, does_not)]
        if holds == [True, False]:
            return gib
        low, high = (low, gib) if all(holds) else (gib, high)
    raise AssertionError("both take the same memory")


def does(strategy, info, machine):
    try:
        strategy.require_memory(info, machine)
    except ModelError:
        return False
    return True
