"""What is said of a recipe's choices before any compute is spent: odd ones are warned of, impossible ones refused."""

import json
import shutil

import pytest

from llmtl.errors import ModelError
from llmtl.pipeline.prepare import prepare
from llmtl.settings import recipe_for_data

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
        prepare(recipe, progress)
        return progress.lines

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
