"""What a search is tuned on: queries with a relevant text and hard negatives, and the loss that ranks them.

A text that is relevant to a query is never a negative of that query: not as a mined one, and not as the positive or
negative of another row of the batch, where classes repeat in every batch. Not covered: the training itself (`trainer`).
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALE = 20.0
"""What cosines are multiplied by: the default of sentence-transformers' MultipleNegativesRankingLoss."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TuningRow:
    """A query and texts of the corpus by their places: one that is relevant, and some that are not."""

    query: int
    positive: int
    negatives: tuple[int, ...]


@dataclass(frozen=True)
class Mining:
    """How negatives are mined, after `mine_hard_negatives` of sentence-transformers.

    Of the `depth` nearest texts that are not relevant to the query, those are taken, the nearest first, whose cosine is
    less than that of the positive by at least the share `margin` of it: a text that is as near as a relevant one is
    often relevant, too, and nobody said so (Moreira et al. 2024, "NV-Retriever", https://arxiv.org/abs/2407.15831,
    section 4.2: 95%). Each positive has its own limit, as there; the library takes that of the farthest one for all.
    """

    negatives: int = 1
    depth: int = 50
    margin: float = 0.05


def mine(
    queries: Floats,
    corpus: Floats,
    relevant: Sequence[frozenset[int]],
    itself: Sequence[int | None],
    how: Mining,
    *,
    pairs_per_query: int,
    seed: int,
) -> list[TuningRow]:
    """Make rows of unit vectors of Q queries and D texts: up to so many relevant texts of each query, drawn by `seed`.

    `itself` is the place of a query in the corpus, where it stands there: a text is not its own negative. A row has
    fewer negatives, or none, where too few texts are far enough from the query.
    """
    draw = random.Random(seed)
    rows = []
    for number, (vector, right) in enumerate(zip(queries, relevant, strict=True)):
        cosines = corpus @ vector
        order = np.argsort(-cosines, kind="stable")
        wrong = [int(at) for at in order[: how.depth + len(right) + 1] if at not in right and at != itself[number]]
        for positive in sorted(draw.sample(sorted(right), min(pairs_per_query, len(right)))):
            most = cosines[positive] - abs(cosines[positive]) * how.margin
            far = [at for at in wrong[: how.depth] if cosines[at] <= most]
            rows.append(TuningRow(number, positive, tuple(far[: how.negatives])))
    draw.shuffle(rows)
    return rows


def columns(
    rows: Sequence[TuningRow], queries: Sequence[str], corpus: Sequence[str], *, negatives: int
) -> dict[str, list[Any]]:
    """Lay rows out as the trainer takes them; the label of a row is its number.

    A row with too few negatives repeats its positive in their place, which the loss leaves out.
    """
    filled = [(*row.negatives, *[row.positive] * (negatives - len(row.negatives))) for row in rows]
    table: dict[str, list[Any]] = {
        "anchor": [queries[row.query] for row in rows],
        "positive": [corpus[row.positive] for row in rows],
    }
    for place in range(negatives):
        table[f"negative_{place + 1}"] = [corpus[each[place]] for each in filled]
    return table | {"label": list(range(len(rows)))}


def ranking_loss(
    rows: Sequence[TuningRow], relevant: Sequence[frozenset[int]], itself: Sequence[int | None], *, negatives: int
) -> Callable[[Any], Any]:
    """Return what makes the loss of a model: MultipleNegativesRankingLoss without false negatives.

    For each query the cross-entropy of its positive among all texts of the batch (Henderson et al. 2017,
    https://arxiv.org/abs/1705.00652), but for those that are relevant to it, or are itself.
    """
    import torch

    places = [(row.positive, *row.negatives, *[row.positive] * (negatives - len(row.negatives))) for row in rows]

    class RankingLoss(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, sentence_features: Any, labels: Any) -> Any:
            queries, *texts = [self.model(features)["sentence_embedding"] for features in sentence_features]
            # (B, width) and (B (1 + negatives), width): all positives, then all first negatives, and so on
            unit = torch.nn.functional.normalize
            scores = SCALE * unit(queries, dim=-1) @ unit(torch.cat(texts), dim=-1).T
            numbers = labels.tolist()
            candidates = [places[number][column] for column in range(1 + negatives) for number in numbers]
            false = torch.tensor([self._false(number, candidates) for number in numbers], device=scores.device)
            own = torch.eye(len(numbers), scores.shape[1], dtype=torch.bool, device=scores.device)
            masked = scores.masked_fill(false & ~own, -torch.inf)
            return torch.nn.functional.cross_entropy(masked, torch.arange(len(numbers), device=scores.device))

        def _false(self, number: int, candidates: Sequence[int]) -> list[bool]:
            query = rows[number].query
            return [each in relevant[query] or each == itself[query] for each in candidates]

    return RankingLoss
