"""What asking with the labels in several orders came to, and looking examples up in two ways, in sentences.

Not covered: how the orders are made and averaged (`llmtl.prompting.rotations`), how examples are found
(`llmtl.prompting.retrieval`).
"""

from collections.abc import Mapping, Sequence

from llmtl.report import wording
from llmtl.report.view import DrawnPrompt
from llmtl.strategy import Retrieval


def in_orders(rotations: int) -> str:
    """Say in how many orders the labels were listed."""
    return f"asked with the labels in {rotations} orders"


def choice_sentences(searches: Mapping[str, Sequence[DrawnPrompt]]) -> list[str]:
    """Write a sentence per strategy that tried several orders, or two ways to find examples, all else being equal."""
    return [
        line
        for strategy, tried in searches.items()
        for line in (*_orders(strategy, tried), *_retrieval(strategy, tried))
    ]


def _retrieval(strategy: str, tried: Sequence[DrawnPrompt]) -> list[str]:
    embedded = next((each for each in tried if each.retrieval == Retrieval.SENTENCES), None)
    if embedded is None:
        return []
    same = (embedded.shots, embedded.seed, embedded.instruction)
    plain = [each for each in tried if each.retrieval == Retrieval.TFIDF]
    beside = next((each for each in plain if (each.shots, each.seed, each.instruction) == same), None)
    if beside is None:
        return [f"{strategy} finds similar examples by the encoder's embeddings: by TF-IDF, too few prompts fit."]
    embeds = any(each.chosen and each.retrieval == Retrieval.SENTENCES for each in tried)
    better, other = ("the encoder's embeddings", "TF-IDF") if embeds else ("TF-IDF", "the encoder's embeddings")
    first, second = (embedded, beside) if embeds else (beside, embedded)
    return [
        f"{strategy} finds similar examples by {better}: with {embedded.shots} of them, "
        f"{wording.score(first.score)} on dev against {wording.score(second.score)} by {other}."
    ]


def _orders(strategy: str, tried: Sequence[DrawnPrompt]) -> list[str]:
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
