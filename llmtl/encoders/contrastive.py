"""The loss that brings texts of one label together: cosines near 1 for two texts of one label, near 0 for others.

It is SetFit's (Tunstall et al. 2022, arXiv:2209.11055), the squared difference to 1 or to 0. SetFit draws pairs of both
sorts; here a batch has pairs of one label, and every other two of its texts count as well, those of two labels as much
as those of one: with 16 pairs that is 496 cosines for the price of 16, as in supervised contrastive learning (Khosla et
al. 2020, arXiv:2004.11362). Not covered: which pairs (`llmtl.encoders.label_pairs`), training (`trainer`).
"""

from collections.abc import Sequence
from typing import Any

from llmtl.encoders.label_pairs import Pair


def pair_columns(texts: Sequence[str], labels: Sequence[str], pairs: Sequence[Pair]) -> dict[str, Sequence[Any]]:
    """Give the columns that the trainer wants: the two texts of each pair, and the number of their label."""
    numbers = {label: at for at, label in enumerate(sorted(set(labels)))}
    return {
        "first": [texts[pair.first] for pair in pairs],
        "second": [texts[pair.second] for pair in pairs],
        "label": [numbers[labels[pair.first]] for pair in pairs],
    }


def pair_loss(model: Any) -> Any:
    """Make the loss: the mean squared error of cosines of one label, and of all other cosines, added up."""
    import torch
    from torch.nn import functional

    class PairLoss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, columns: Any, labels: torch.Tensor) -> torch.Tensor:
            # B pairs -> 2 B vectors of length 1, (2 B, width), and their cosines, (2 B, 2 B)
            vectors = functional.normalize(torch.cat([self.model(each)["sentence_embedding"] for each in columns]))
            cosines, both = vectors @ vectors.T, labels.view(-1).repeat(len(columns))
            same = both[:, None] == both[None]
            itself = torch.eye(len(both), dtype=torch.bool, device=same.device)
            loss = ((1 - cosines[same & ~itself]) ** 2).mean()
            return loss if same.all() else loss + (cosines[~same] ** 2).mean()

    return PairLoss()
