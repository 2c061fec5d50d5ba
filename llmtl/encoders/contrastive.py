"""Contrastive tuning of a sentence encoder: rows of texts, and losses that say which texts belong together.

There are two sorts of material. Texts with a label: each is drawn to the others of its label and away from all else in
the batch, the supervised contrastive loss of Khosla et al. (2020, arXiv:2004.11362, equation 2). Queries with a
relevant text and hard negatives: sentence-transformers' MultipleNegativesRankingLoss, without false negatives: a text
that is relevant to a query is never a negative of that query, not as a mined one, and not as the positive or negative
of another row of the batch, where classes repeat in every batch. Both are the cross-entropy of what is right among the
texts that count. Not covered: which texts of a label are paired (`label_pairs`), the training itself (`trainer`).
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmtl.encoders.label_pairs import Pair

SCALE = 20.0
"""What cosines of queries and texts are multiplied by: the default of MultipleNegativesRankingLoss."""
GROUP = 16
"""Texts of a batch that are padded to one length; a batch of short messages has half of its tokens in padding else."""
Floats = NDArray[np.float32]


def labelled_columns(texts: Sequence[str], labels: Sequence[str], pairs: Sequence[Pair]) -> dict[str, list[Any]]:
    """Lay pairs out as the trainer takes them: their texts one below the other, with the number of their label."""
    numbers = {label: at for at, label in enumerate(sorted(set(labels)))}
    places = [place for pair in pairs for place in (pair.first, pair.second)]
    return {"text": [texts[place] for place in places], "label": [numbers[labels[place]] for place in places]}


def label_loss(temperature: float) -> Callable[[Any], Any]:
    """Return what makes the loss of a model over texts with labels, whose cosines are divided by `temperature`."""
    import torch

    class LabelLoss(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, columns: Any, labels: Any) -> Any:
            vectors = torch.cat([embedded(self.model, each) for each in columns])  # (B, width)
            itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
            numbers = labels.view(-1).to(vectors.device)
            same = (numbers[:, None] == numbers[None]) & ~itself
            return _cross_entropy(vectors @ vectors.T / temperature, same, itself)

    return LabelLoss


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


def query_columns(
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

        def forward(self, columns: Any, labels: Any) -> Any:
            queries, *texts = [embedded(self.model, each) for each in columns]
            # (B, width) and (B (1 + negatives), width): all positives, then all first negatives, and so on
            scores = SCALE * queries @ torch.cat(texts).T
            numbers = labels.tolist()
            candidates = [places[number][column] for column in range(1 + negatives) for number in numbers]
            false = torch.tensor([self._false(number, candidates) for number in numbers], device=scores.device)
            own = torch.eye(len(numbers), scores.shape[1], dtype=torch.bool, device=scores.device)
            return _cross_entropy(scores, own, false & ~own)

        def _false(self, number: int, candidates: Sequence[int]) -> list[bool]:
            query = rows[number].query
            return [each in relevant[query] or each == itself[query] for each in candidates]

    return RankingLoss


def _cross_entropy(scores: Any, right: Any, left_out: Any) -> Any:
    """Average -log softmax over the right candidates of each anchor, then over the anchors that have any; 0 for none.

    All are (anchors, candidates); what is left out is not a candidate.
    """
    import torch

    logs = torch.log_softmax(scores.masked_fill(left_out, -torch.inf), dim=1).masked_fill(~right, 0)
    having = right.any(dim=1)
    each = -logs.sum(dim=1) / right.sum(dim=1).clamp(min=1)
    return each.sum() / having.sum().clamp(min=1)


def embedded(model: Any, features: Any) -> Any:
    """Embed B texts as vectors of length 1, (B, width), those of like length together.

    Padding of what is on the right is cut off for each group; what a model makes of a text does not depend on it.
    """
    import torch

    mask = features.get("attention_mask")
    if mask is None or not bool(mask[:, 0].all()):  # padded on the left
        return torch.nn.functional.normalize(model(features)["sentence_embedding"], dim=-1)
    order = mask.sum(dim=1).argsort(stable=True)
    parts = []
    for rows in order.split(GROUP):
        longest = int(mask[rows].sum(dim=1).max())
        parts.append(model({name: _cut(each, rows, longest, mask.shape) for name, each in features.items()}))
    vectors = torch.cat([part["sentence_embedding"] for part in parts])[order.argsort()]
    return torch.nn.functional.normalize(vectors, dim=-1)


def _cut(feature: Any, rows: Any, longest: int, shape: Any) -> Any:
    """Take some texts of what has a value per token; leave what else a tokenizer tells as it is."""
    import torch

    if isinstance(feature, torch.Tensor) and feature.shape == shape:
        return feature[rows, :longest]
    return feature
