"""What is believed about the true scores of several strategies, and what using each of them is expected to forgo.

Beliefs are draws from the Bayesian bootstrap (Rubin 1981) over examples, the same weights for all strategies, so that
what they get right together stays together. One pseudo-example that all get right and one that all get wrong keep a
strategy without a single error from being certain. Between several training or prompt draws of a strategy the mean
is taken, and its standard error over them is added; where there is one draw, the standard deviation that is stated for
its kind (`one_draw`). Then differences are shrunk as far as they may be chance, since strategies are often as good as
each other (`llmtl.metrics.shrinkage`).

Who left the race on dev was scored on a part of the examples. What is believed of it rests on those: the score of the
best of the others, plus the difference between the two where both were scored. That the race stopped because of that
difference does not change what it says (Berger & Wolpert 1988, "The Likelihood Principle").

The regret of using strategy s, if the true scores were known, is

    best score - score of s + margin, where a cheaper strategy lies within the margin of the best

since the margin is what a cheaper strategy is worth: the same loss of score may be had for less money. Its expectation
over the beliefs is what a rational user minimises (Raiffa & Schlaifer 1961, "Applied Statistical Decision Theory",
the expected opportunity loss). Every strategy stays in play in proportion to what speaks for it: neither is the cheap
one taken for want of evidence, nor the dear one for luck.

Not covered: tests and intervals (`comparing`, `evidence`); what an error costs in money.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from llmtl.decision.comparing import answers_of
from llmtl.decision.one_draw import sd_of_one_draw
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics import Measure
from llmtl.metrics.hierarchical import cluster_codes, distinct_rows, summed
from llmtl.metrics.shrinkage import shrunk
from llmtl.task import Metric

Floats = NDArray[np.float64]
Value = TypeVar("Value")
DRAWS = 2000
"""Draws of the beliefs: an expected regret of 2 points then has a standard error of about 0.05 points."""
_LEVEL = 5e-4
"""Expected regrets closer than this count as equal, half of the error that their draws leave."""


@dataclass(frozen=True)
class Beliefs:
    """Draws of the true scores, (D, K), of K strategies in the order of `names`."""

    names: tuple[str, ...]
    draws: Floats

    def chance_better(self, a: str, b: str) -> float:
        """Give the probability that the true score of a is above that of b."""
        first, second = (self.draws[:, self.names.index(name)] for name in (a, b))
        return float((first > second).mean())

    def expected_regrets(self, cheaper: Callable[[str, str], bool], margin: float) -> dict[str, float]:
        """Give the expected regret of using each strategy, in units of the metric.

        `cheaper(a, b)` says whether a costs less than b.
        """
        order = [[cheaper(a, b) for b in self.names] for a in self.names]
        found = regrets(self.draws, np.array(order, dtype=bool).reshape(len(self.names), -1), margin)
        return dict(zip(self.names, found.mean(axis=0).tolist(), strict=True))


def regrets(scores: Floats, cheaper: NDArray[np.bool_], margin: float) -> Floats:
    """Compute the regret of each strategy, (..., K), for true scores (..., K).

    `cheaper` (K, K) says whether the strategy of the row costs less than that of the column.
    """
    best = scores.max(axis=-1, keepdims=True)
    within = scores >= best - margin - 1e-12
    dearer = (within[..., :, None] & cheaper).any(axis=-2)
    return np.asarray(best - scores + margin * dearer, dtype=np.float64)


def least(expected: dict[str, float], among: Sequence[str]) -> list[str]:
    """List those with the least expected regret, up to what their draws leave open."""
    limit = min(expected[name] for name in among) + _LEVEL
    return [name for name in among if expected[name] <= limit]


def together(dev: Evaluation, test: Evaluation) -> Evaluation:
    """Join what a strategy answered on dev and on test into one evaluation; its draws are those on test."""
    return replace(
        dev,
        predictions=dev.predictions + test.predictions,
        references=dev.references + test.references,
        alternatives=_joined(dev, test, lambda item: item.alternatives, ()),
        groups=_joined(dev, test, lambda item: item.groups, None),
        seed_predictions=tuple(dev.predictions + again for again in test.seed_predictions),
    )


def believe(evaluations: Sequence[Evaluation], metric: Metric, *, seed: int, draws: int = DRAWS) -> Beliefs:
    """Draw the true scores of strategies that were evaluated on the same examples, or on a part of them."""
    first = max(evaluations, key=lambda item: item.n)
    measure = first.measure(metric)
    codes = cluster_codes(first.groups, first.n)
    perfect = measure.counts(first.references).mean(axis=0)
    pseudo = np.stack([perfect, measure.without_hits(perfect)])
    each, seen = zip(*(_counted(item, first, measure) for item in evaluations), strict=True)
    means = [summed(counts.mean(axis=0)[None], codes)[0] for counts in each]  # (G, S) of each strategy
    best = max(
        (at for at, part in enumerate(seen) if part.all()), key=lambda at: float(measure.value(means[at].sum(0)))
    )
    parts = {
        at: summed((each[best].mean(axis=0) * part[:, None])[None], codes)[0]
        for at, part in enumerate(seen)
        if not part.all()
    }
    # clusters alike for all strategies share one weight: a gamma as large as their number
    rows, times = distinct_rows(np.concatenate([*means, *parts.values()], axis=1))
    rng = np.random.default_rng(seed)
    weights = rng.standard_gamma(np.concatenate([times, np.ones(len(pseudo))]), (draws, len(times) + len(pseudo)))

    def drawn(sums: Floats) -> Floats:
        return measure.value(weights @ np.concatenate([sums[rows], pseudo]))

    found = np.stack([drawn(mean) for mean in means], axis=1)
    for at, part in parts.items():
        found[:, at] += found[:, best] - drawn(part)
    errors = np.array(
        [
            _error_over_draws(measure.value(counts.sum(axis=1))) or sd_of_one_draw(item, metric)
            for item, counts in zip(evaluations, each, strict=True)
        ]
    )
    found += errors * rng.standard_normal((draws, len(errors)))
    return Beliefs(tuple(item.strategy for item in evaluations), shrunk(found, rng))


def _counted(item: Evaluation, whole: Evaluation, measure: Measure) -> tuple[Floats, NDArray[np.bool_]]:
    """Count the answers to all examples, (R, N, S), with nothing for those it was not asked, and say which it was."""
    if item.n == whole.n:
        return np.stack([measure.counts(answers) for answers in answers_of(item)]), np.ones(item.n, dtype=bool)
    at = {prediction.id: position for position, prediction in enumerate(whole.predictions)}
    asked = [at[prediction.id] for prediction in item.predictions]
    counts = []
    for answers in answers_of(item):
        given: list[str | None] = [None] * whole.n
        for position, answer in zip(asked, answers, strict=True):
            given[position] = answer
        counts.append(measure.counts(given))
    seen = np.zeros(whole.n, dtype=bool)
    seen[asked] = True
    return np.stack(counts) * seen[:, None], seen


def _joined(
    dev: Evaluation, test: Evaluation, of: Callable[[Evaluation], tuple[Value, ...]], none: Value
) -> tuple[Value, ...]:
    """Join what belongs to the examples; where one side has none of it, each of its examples has `none`."""
    if not of(dev) and not of(test):
        return ()
    return tuple(value for item in (dev, test) for value in of(item) or (none,) * item.n)


def _error_over_draws(scores: Floats) -> float:
    """Estimate the standard error of the mean over training or prompt draws; 0 where there is one."""
    return 0.0 if len(scores) < 2 else float(scores.std(ddof=1) / np.sqrt(len(scores)))
