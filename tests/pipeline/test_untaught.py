"""Embedded models are not prompted for kinds of task that they were never taught, unless asked for by name."""

import pytest

from llmtl.pipeline.prepare import untaught
from llmtl.settings import recipe_for_data
from llmtl.strategies.table import build


def left_out(kind, model, *overrides):
    recipe = recipe_for_data(
        "my/data", text="text", label="label", model=model, overrides=[f"task.kind={kind}", *overrides]
    )
    return untaught(recipe, build(recipe.strategies, recipe.task.kind))


@pytest.mark.parametrize("kind", ["multi-label", "generation"])
def test_prompts_of_an_embedded_model_are_left_out_with_the_cure(kind):
    found = left_out(kind, "pocket-llama")
    assert set(found) == {"zero-shot", "few-shot", "many-shot", "knn-few-shot"}
    assert f"was never taught {kind} tasks; name a real model, such as --model smollm2" in found["zero-shot"]
    assert left_out(kind, "smollm2") == {}
    assert left_out(kind, "pocket-llama", "strategies.run=[majority,zero-shot]") == {}


@pytest.mark.parametrize("kind", ["classification", "extraction"])
def test_what_it_was_taught_is_prompted(kind):
    assert left_out(kind, "pocket-mistral") == {}
