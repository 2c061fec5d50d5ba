"""What asking with the labels in several orders came to, in sentences.

Not covered: how the orders are made and averaged (`llmtl.prompting.rotations`).
"""

from collections.abc import Mapping, Sequence

from llmtl.report import wording
from llmtl.report.view import DrawnPrompt


def in_orders(rotations: int) -> str:
    """Say in how many orders the labels were listed."""
    return f"asked with the labels in {rotations} orders"


def order_sentences(searches: Mapping[str, Sequence[DrawnPrompt]]) -> list[str]:
    """Write a sentence per strategy that tried several orders, beside one order of the same wording."""
    return [line for strategy, tried in searches.items() for line in _sentence(strategy, tried)]


def _sentence(strategy: str, tried: Sequence[DrawnPrompt]) -> list[str]:
    several = next((each for each in tried if each.rotations > 1), None)
    if several is None:
        return []
    same = (several.shots, several.seed, several.instruction)
    one = next(each for each in tried if each.rotations == 1 and (each.shots, each.seed, each.instruction) == same)
    scores = f"{wording.score(several.score)} on dev against {wording.score(one.score)} with one order"
    if several.chosen:
        orders = f"{in_orders(several.rotations)}, one prompt each for every input, and the answers averaged"
        return [f"{strategy} is {orders}: {scores}."]
    return [f"{strategy} was also {in_orders(several.rotations)}: {scores}, which is not better, so one order is kept."]
