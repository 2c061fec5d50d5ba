"""Score generated text: chrF and BLEU of the whole set from sacrebleu's counts of each text, ROUGE-L, exact match.

Every score takes several references per text, and is divided by 100 if its library counts to 100. Not covered: other
tokenizers than BLEU's `13a` and ROUGE's (which keeps ASCII letters and digits only, so that ROUGE-L of a text in
another script is 0), chrF++, judging by a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llmtl.metrics.counting import Answers, ExactMeasure, Floats, MeanMeasure, Measure, exact
from llmtl.values import Metric

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric as SacrebleuMetric

References = Sequence[Sequence[str]]
"""All references of each text."""

BLEU_ORDER = 4
CHRF_BETA = 2.0


def all_references(references: Sequence[str], alternatives: Sequence[Sequence[str]] = ()) -> list[tuple[str, ...]]:
    """List the references of each example, the main one first."""
    others = alternatives or [()] * len(references)
    return [(one, *more) for one, more in zip(references, others, strict=True)]


def text_match(references: Sequence[str], alternatives: Sequence[Sequence[str]] = ()) -> ExactMeasure:
    """Measure the share of texts that equal one of their references, outer white space aside."""
    return exact(Metric.EXACT_MATCH, references, str.strip, alternatives=alternatives)


@dataclass(frozen=True)
class ChrFMeasure(Measure):
    """The character n-gram F-score of the whole set, with sacrebleu's defaults (n up to 6, beta 2).

    Popović (2015), "chrF: character n-gram F-score for automatic MT evaluation". Of several
    references, the one with the best score counts.
    """

    references: References
    metric: Metric = Metric.CHRF
    _scorer: "SacrebleuMetric" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        from sacrebleu.metrics.chrf import CHRF

        object.__setattr__(self, "_scorer", CHRF(references=_streams(self.references)))

    def counts(self, answers: Answers) -> Floats:
        """Count the n-grams in the answer, in the reference and in both, for n from 1 to 6; shape (N, 18)."""
        return _statistics(self._scorer, answers, len(self.references))

    def value(self, totals: Floats) -> Floats:
        """Compute chrF from summed counts, shape (..., 18) to (...)."""
        claimed, expected, both = (totals[..., part::3] for part in range(3))
        effective = (claimed > 0) & (expected > 0)
        number = np.maximum(effective.sum(axis=-1), 1)
        precision = _shares(both, claimed, effective).sum(axis=-1) / number
        recall = _shares(both, expected, effective).sum(axis=-1) / number
        factor = CHRF_BETA**2
        return _shares((1 + factor) * precision * recall, factor * precision + recall, precision + recall > 0)

    def without_hits(self, counts: Floats) -> Floats:
        """Set all matches to zero and leave the lengths."""
        return np.asarray(counts * np.tile((1.0, 1.0, 0.0), counts.shape[-1] // 3), dtype=np.float64)

    def each(self, answers: Answers) -> Floats:
        """Compute sacrebleu's sentence chrF of each answer, shape (N,)."""
        return self.value(self.counts(answers))


@dataclass(frozen=True)
class BleuMeasure(Measure):
    """BLEU of the whole set: Papineni et al. (2002), with sacrebleu's defaults (13a, n to 4, exponential smoothing)."""

    references: References
    metric: Metric = Metric.BLEU
    _scorer: "SacrebleuMetric" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        from sacrebleu.metrics.bleu import BLEU

        # force: no warning about tokenised text, which would go to the terminal
        object.__setattr__(self, "_scorer", BLEU(force=True, references=_streams(self.references)))

    def counts(self, answers: Answers) -> Floats:
        """Count the lengths of answer and closest reference, and matching and all n-grams up to 4; shape (N, 10)."""
        return _statistics(self._scorer, answers, len(self.references))

    def value(self, totals: Floats) -> Floats:
        """Compute BLEU from summed counts, shape (..., 10) to (...)."""
        return _bleu(totals, effective=False)

    def without_hits(self, counts: Floats) -> Floats:
        """Set all matches to zero and leave the lengths."""
        return np.asarray(counts * ([1.0] * 2 + [0.0] * BLEU_ORDER + [1.0] * BLEU_ORDER), dtype=np.float64)

    def each(self, answers: Answers) -> Floats:
        """Compute sacrebleu's sentence BLEU of each answer (only the orders that it is long enough for), shape (N,)."""
        return _bleu(self.counts(answers), effective=True)


@dataclass(frozen=True)
class RougeLMeasure(MeanMeasure):
    """The mean over examples of the F-score of the longest common subsequence: Lin (2004), "ROUGE", by rouge-score.

    Without stemming, its default; of several references the best one counts.
    """

    references: References
    metric: Metric = Metric.ROUGE_L

    def each(self, answers: Answers) -> Floats:
        """Compute ROUGE-L of each answer, shape (N,)."""
        # it imports nltk, which takes seconds
        from rouge_score.rouge_scorer import RougeScorer

        scorer = RougeScorer(["rougeL"])
        pairs = zip(self.references, answers, strict=True)
        return np.array([scorer.score_multi(truth, answer or "")["rougeL"].fmeasure for truth, answer in pairs], float)


def _streams(references: References) -> list[list[Any]]:
    """Arrange the references as sacrebleu takes them: the first of every text, then the second, None where missing."""
    most = max(len(several) for several in references)
    return [[several[rank] if rank < len(several) else None for several in references] for rank in range(most)]


def _statistics(scorer: "SacrebleuMetric", answers: Answers, expected: int) -> Floats:
    if len(answers) != expected:
        raise ValueError(f"There are {len(answers)} answers for {expected} references; give one for each.")
    # sacrebleu's own significance tests call this method; no public one returns what each text contributes
    rows: Any = scorer._extract_corpus_statistics([answer or "" for answer in answers], None)
    return np.array(rows, dtype=np.float64)


def _bleu(totals: Floats, *, effective: bool) -> Floats:
    """Compute BLEU from counts; with `effective`, leave out orders without n-grams, which would make it 0."""
    length, expected_length = totals[..., 0], totals[..., 1]
    right, all_ = totals[..., 2 : 2 + BLEU_ORDER], totals[..., 2 + BLEU_ORDER :]
    present = all_ > 0
    # the k-th order without a match counts 1 / 2^k of a match (Chen & Cherry 2014, method 3)
    smoothed = 0.5 ** np.cumsum(present & (right == 0), axis=-1)
    precision = _shares(np.where(right > 0, right, smoothed), all_, present)
    logs = np.log(precision, out=np.zeros_like(precision), where=present)
    orders = np.maximum(present.sum(axis=-1), 1) if effective else BLEU_ORDER
    defined = right.any(axis=-1) & (effective | present.all(axis=-1))
    shortfall = _shares(expected_length, length, length > 0)
    penalty = np.exp(np.minimum(0.0, 1 - shortfall))
    return np.asarray(np.where(defined, penalty * np.exp(logs.sum(axis=-1) / orders), 0.0), dtype=np.float64)


def _shares(part: Floats, whole: Floats, where: NDArray[np.bool_]) -> Floats:
    """Compute part / whole, 0 where `where` is false."""
    return np.asarray(np.divide(part, whole, out=np.zeros_like(whole), where=where), dtype=np.float64)
