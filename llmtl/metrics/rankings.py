"""Score rankings of a corpus: nDCG, recall and reciprocal rank of the first ten, each a mean over queries.

A text is relevant or not; there are no grades. Not covered: precision and mean average precision, ranks beyond ten.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmtl.answers import read_ranking
from llmtl.metrics.counting import Answers, Floats, MeanMeasure
from llmtl.values import RANKED, Metric

_DISCOUNTS = 1 / np.log2(np.arange(RANKED) + 2)
"""What a relevant text counts at each rank."""


@dataclass(frozen=True)
class RankingMeasure(MeanMeasure):
    """The mean over queries of what is relevant among the first ten, against the set of all that is, `relevant`.

    nDCG is of Järvelin & Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques", with gains of 0 and 1
    and the discount 1 / log2(rank + 1); the ideal ranking fills as many of the ten ranks as there are relevant texts.
    Recall is the share of the relevant texts that are found, at most 10 / R where there are R > 10 of them. The
    reciprocal rank is 1 / rank of the first relevant text, and 0 where the first ten hold none. So does trec_eval.
    """

    metric: Metric
    relevant: tuple[frozenset[str], ...]

    def each(self, answers: Answers) -> Floats:
        """Score each ranking, shape (N,); a failed one gets 0, and so does every one where nothing is relevant."""
        pairs = zip(self.relevant, answers, strict=True)
        return np.array([self._score(relevant, answer) for relevant, answer in pairs], float)

    def _score(self, relevant: frozenset[str], answer: str | None) -> float:
        if answer is None or not relevant:
            return 0.0
        first = list(dict.fromkeys(read_ranking(answer)))[:RANKED]
        hits = np.array([each in relevant for each in first], dtype=bool)
        if not hits.any():
            return 0.0
        if self.metric is Metric.MRR_10:
            return float(1 / (1 + hits.argmax()))
        if self.metric is Metric.RECALL_10:
            return float(hits.sum() / len(relevant))
        ideal = _DISCOUNTS[: len(relevant)].sum()
        return float(_DISCOUNTS[: len(hits)][hits].sum() / ideal)


def ranking_measure(
    metric: Metric, references: Sequence[str], alternatives: Sequence[Sequence[str]] = ()
) -> RankingMeasure:
    """Make a metric on lists of relevant ids; further references of a query add to what is relevant."""
    others = alternatives or [()] * len(references)
    relevant = tuple(
        frozenset(id_ for each in (one, *more) for id_ in read_ranking(each))
        for one, more in zip(references, others, strict=True)
    )
    return RankingMeasure(metric, relevant)
