"""One file per strategy; `table.py` lists them, cheapest first. `get` finds one, to be used without a run."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmtl.strategies.one_strategy import OneStrategy


def get(name: str, **choices: Any) -> "OneStrategy":
    """Find a strategy by its name, to be fitted and asked without a run; `choices` are keys of its section of a recipe.

    Raises `InputError` for an unknown name, and `RecipeError` for choices that the section refuses.
    """
    from llmtl.strategies.one_strategy import one_strategy  # late: the table takes a second to import

    return one_strategy(name, **choices)
