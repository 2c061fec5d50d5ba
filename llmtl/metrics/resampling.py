"""What resampling says about macro-F1: the spread of a score, of a paired difference, and a randomisation test.

All work on `Patterns`, the distinct (reference, prediction, ...) tuples with their counts, so that a resample is a
vector of weights over patterns and thousands of macro-F1 values are a few matrix products.

Intervals use the Bayesian bootstrap (Rubin 1981, "The Bayesian Bootstrap"): weights are Dirichlet instead of
multinomial, so that no resample loses a rare label and macro-F1 is always a mean over the same labels. Three things
are put right, each seen in simulation to bring the coverage towards 95%:

- A sample without errors must not give an interval of width zero. So pseudo-examples are added, spread over the labels
  like the references: one right and one wrong for a score (for accuracy that is the interval of a uniform prior,
  close to Wilson's), one that only a and one that only b gets right for a difference (Bonett & Price 2012, "Adjusted
  Wald Confidence Interval for a Difference of Binomial Proportions Based on Paired Data").
- F1 is a ratio, so resampled values lie below the observed one when labels are rare (about 0.03 at four examples a
  label): the draws are moved so that those without pseudo-examples have the observed value as their mean. The interval
  is thus for the score expected of such a sample, not for that of an endless one.
- Resampling few examples a label understates their spread by (m - 1) / m for m examples (Rao & Wu 1988, "Resampling
  Inference with Complex Survey Data"): deviations are stretched by sqrt(n / (n - C)), at most by sqrt(2).

Not covered: accuracy, which has closed forms (`intervals`, `paired`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmtl.metrics.intervals import Interval

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Kinds = Sequence[tuple[float, tuple[bool, ...]]]
"""Kinds of pseudo-example: the total weight, and whether each system gets it right."""

FAILED = -1
"""The code of a prediction that is no label."""
_CHUNK = 2_000_000
"""Weights drawn at once: resamples x patterns, 16 MB."""


@dataclass(frozen=True)
class Patterns:
    """Distinct (reference, prediction of each system) tuples: codes and counts of K patterns over C labels.

    `references` has shape (K,), `predictions` (S, K) for S systems, `counts` (K,).
    """

    references: Integers
    predictions: Integers
    counts: Floats
    labels: int

    @property
    def n(self) -> int:
        """Return the number of examples."""
        return int(self.counts.sum())

    def macro_f1(self, weights: Floats) -> Floats:
        """Return the macro-F1 of each system under each row of `weights`, shape (B, K) to (S, B)."""
        return np.stack([_macro_f1(self.references, guesses, self.labels, weights) for guesses in self.predictions])

    def observed(self) -> Floats:
        """Return the macro-F1 of each system on the examples themselves, shape (S,)."""
        return self.macro_f1(self.counts[None, :])[:, 0]


def patterns(references: Sequence[str], *predictions: Sequence[str | None]) -> Patterns:
    """Return the distinct tuples of a reference with the predictions of one or more systems, and how often each is."""
    names: set[str] = set(references)
    names.update(guess for guesses in predictions for guess in guesses if guess is not None)
    codes: dict[str | None, int] = {name: code for code, name in enumerate(sorted(names))}
    codes[None] = FAILED
    rows = np.array([[codes[value] for value in column] for column in (references, *predictions)], dtype=np.int64)
    # one whole number a tuple: sorting those is much faster than sorting columns
    base = (len(names) + 1) ** np.arange(len(rows))
    _, first, counts = np.unique(base @ (rows + 1), return_index=True, return_counts=True)
    return Patterns(rows[0, first], rows[1:, first], counts.astype(np.float64), len(names))


def macro_f1_interval(counted: Patterns, *, resamples: int, seed: int) -> Interval:
    """Return macro-F1 with its 95% percentile interval from the Bayesian bootstrap, within 0 and 1."""
    value = float(counted.observed()[0])
    plain, widened = _bootstrap(counted, ((1.0, (True,)), (1.0, (False,))), resamples, seed)
    low, high = np.quantile(_centred(counted, value, plain[0], widened[0]), (0.025, 0.975))
    return Interval(value, max(0.0, min(value, float(low))), min(1.0, max(value, float(high))))


def macro_f1_difference_draws(counted: Patterns, *, resamples: int, seed: int) -> Floats:
    """Return draws of macro-F1(first) - macro-F1(second) from the paired Bayesian bootstrap, shape (resamples,)."""
    plain, widened = _bootstrap(counted, ((1.0, (True, False)), (1.0, (False, True))), resamples, seed)
    first, second = counted.observed()
    return _centred(counted, float(first - second), plain[0] - plain[1], widened[0] - widened[1])


def randomisation_p(counted: Patterns, *, resamples: int, seed: int) -> float:
    """Return the two-sided p-value of approximate randomisation for a difference in macro-F1 between two systems.

    Under the null hypothesis the two predictions of an example could be swapped; the p-value is the share of random
    swaps with a difference at least as large, the observed one included, (1 + r) / (1 + resamples): Noreen (1989),
    "Computer-Intensive Methods for Testing Hypotheses"; Yeh (2000), "More accurate tests for the statistical
    significance of result differences"; Phipson & Smyth (2010) for the added one. For accuracy the same test is the
    exact McNemar test. It is 1 when the systems never differ.
    """
    first, second = counted.observed()
    threshold = abs(float(first - second)) - 1e-12
    differ = counted.predictions[0] != counted.predictions[1]
    tries = counted.counts[differ].astype(np.int64)
    generator = np.random.default_rng(seed)
    extreme = 0
    for size in _chunks(resamples, counted.counts.size):
        swapped = np.zeros((size, counted.counts.size))
        swapped[:, differ] = generator.binomial(tries, 0.5, size=(size, tries.size))
        extreme += int((np.abs(_swapped_difference(counted, swapped)) >= threshold).sum())
    return (1 + extreme) / (1 + resamples)


def _swapped_difference(counted: Patterns, swapped: Floats) -> Floats:
    """Return macro-F1(first) - macro-F1(second) after the predictions of `swapped` examples changed sides."""
    references = np.concatenate([counted.references, counted.references])
    first, second = counted.predictions
    weights = np.concatenate([counted.counts - swapped, swapped], axis=1)
    ones = _macro_f1(references, np.concatenate([first, second]), counted.labels, weights)
    others = _macro_f1(references, np.concatenate([second, first]), counted.labels, weights)
    return ones - others


def _macro_f1(references: Integers, predictions: Integers, labels: int, weights: Floats) -> Floats:
    """Return, for each row of weights, the mean F1 over the labels that have weight as reference or prediction."""
    codes = np.arange(labels)
    is_reference = (references[:, None] == codes).astype(np.float64)
    is_prediction = (predictions[:, None] == codes).astype(np.float64)
    hits = weights @ (is_reference * is_prediction)
    total = weights @ (is_reference + is_prediction)
    present = total > 0
    f1 = np.divide(2 * hits, total, out=np.zeros_like(total), where=present)
    return np.asarray(f1.sum(axis=1) / present.sum(axis=1), dtype=np.float64)


def _bootstrap(counted: Patterns, kinds: Kinds, resamples: int, seed: int) -> tuple[Floats, Floats]:
    """Return draws of each system's macro-F1 without and with the pseudo-examples, (S, resamples) both, all paired."""
    generator = np.random.default_rng(seed)
    everything = _with_pseudo_examples(counted, kinds)
    plain, widened = [], []
    for size in _chunks(resamples, everything.counts.size):
        # normalised gammas are Dirichlet; F1 is a ratio, so the normalisation cancels
        weights = generator.standard_gamma(everything.counts, size=(size, everything.counts.size))
        plain.append(counted.macro_f1(weights[:, : counted.counts.size]))
        widened.append(everything.macro_f1(weights))
    return np.concatenate(plain, axis=1), np.concatenate(widened, axis=1)


def _centred(counted: Patterns, value: float, plain: Floats, widened: Floats) -> Floats:
    """Return the widened draws, centred and stretched as the module says."""
    labels = np.unique(counted.references).size
    stretch = math.sqrt(min(2.0, counted.n / max(1, counted.n - labels)))
    return np.asarray(value + stretch * (widened - plain.mean()), dtype=np.float64)


def _with_pseudo_examples(counted: Patterns, kinds: Kinds) -> Patterns:
    """Return the patterns followed by the pseudo-examples of each kind, shared out like the references."""
    shares = np.bincount(counted.references, weights=counted.counts, minlength=counted.labels) / counted.n
    seen = np.flatnonzero(shares)
    # an error costs a miss and a false positive: another label is predicted, or none where there is no other
    wrong = np.roll(seen, 1) if seen.size > 1 else np.full_like(seen, FAILED)
    predictions = [np.stack([seen if right else wrong for right in rights]) for _, rights in kinds]
    return Patterns(
        np.concatenate([counted.references, *[seen for _ in kinds]]),
        np.concatenate([counted.predictions, *predictions], axis=1),
        np.concatenate([counted.counts, *[weight * shares[seen] for weight, _ in kinds]]),
        counted.labels,
    )


def _chunks(resamples: int, width: int) -> list[int]:
    """Return how many resamples to draw at a time."""
    size = max(1, min(resamples, _CHUNK // max(1, width)))
    return [min(size, resamples - start) for start in range(0, resamples, size)]
