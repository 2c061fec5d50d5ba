"""The `judge` section of a recipe, and where it may stand."""

import pytest

from llmtl.costs import read_table, token_prices
from llmtl.errors import RecipeError
from llmtl.recipe import json_schema, validate
from llmtl.settings import Recipe

FREE = {"model": "m", "usd_per_million_prompt_tokens": 0, "usd_per_million_completion_tokens": 0}


def recipe(*, kind="generation", private=False, judge=None):
    document = {
        "name": "a",
        "data": {"path": "rows.csv"},
        "model": {"name": "pocket-llama"},
        "task": {"kind": kind},
        "decision": {"private": private},
    }
    return validate(Recipe, document | ({"judge": judge} if judge is not None else {}), source="It")


def test_there_is_no_judge_unless_the_recipe_has_one_and_a_kept_recipe_reads_back():
    assert recipe().judge is None
    judged = recipe(judge=FREE)
    assert Recipe.model_validate(judged.model_dump(mode="json")) == judged
    assert Recipe.model_validate(recipe().model_dump(mode="json")) == recipe()
    assert "judge" in json_schema(Recipe)["properties"]


@pytest.mark.parametrize("kind", ["classification", "multi-label", "extraction"])
def test_only_generation_is_judged(kind):
    with pytest.raises(RecipeError, match=rf"1 problem: only generation is judged, .* {kind}; leave 'judge' out"):
        recipe(kind=kind, judge=FREE)


@pytest.mark.parametrize("url", ["https://api.openai.com/v1", "http://10.0.0.7:8000/v1"])
def test_private_inputs_bar_a_judge_elsewhere(url):
    assert recipe(judge=FREE | {"base_url": url}).judge
    with pytest.raises(RecipeError, match=r"which decision\.private bars; .* or leave 'judge' out"):
        recipe(private=True, judge=FREE | {"base_url": url})


def test_a_judge_on_this_machine_may_read_private_inputs():
    judged = recipe(private=True, judge=FREE | {"base_url": "http://127.0.0.1:8000/v1"})
    assert judged.decision.private
    assert judged.judge


def test_problems_name_the_key():
    with pytest.raises(RecipeError, match=r"'judge\.usd_per_million_prompt_tokens' is missing"):
        recipe(judge={"model": "m"})
    with pytest.raises(RecipeError, match=r"unknown key 'judge\.max_usdd' \(did you mean 'max_usd'\?\)"):
        recipe(judge=FREE | {"max_usdd": 3})
    with pytest.raises(RecipeError, match=r"'judge\.model' is missing"):
        recipe(judge={name: value for name, value in FREE.items() if name != "model"})


def test_prices_come_from_the_table_where_they_are_not_given():
    name, price = next(iter(read_table().models.items()))
    prices = token_prices(recipe(judge={"model": "m", "price": name}).judge.prices())
    assert (prices.prompt, prices.completion) == (price.prompt, price.completion)
    given = token_prices(recipe(judge=FREE).judge.prices())
    assert (given.prompt, given.cached, given.completion) == (0, 0, 0)


def test_limits_do_not_make_another_judgement():
    slow = recipe(judge=FREE | {"requests_per_minute": 3, "max_usd": 1, "concurrency": 1}).judge
    assert slow.asked() == recipe(judge=FREE).judge.asked()
    assert recipe(judge=FREE | {"criteria": "Be brief."}).judge.asked() != slow.asked()
