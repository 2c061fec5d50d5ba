"""What is believed about the shares of inputs that can be left to several strategies, and how two of them compare.

The share of a strategy is the one that a test of this size is expected to confirm at the thresholds that dev fixed
(`llmtl.metrics.share_ahead`), each strategy at the whole level alpha, as if it were the only one: what can be promised
beside the choice has a smaller level, which says nothing about the strategy. Who does not say how sure it is, and who
errs too often on dev at any threshold, can be left nothing.

A training or prompt draw moves shares as it moves scores (`beliefs`): the mean of several is taken and its standard
error added, and where there is one, the standard deviation that is stated for its kind. Differences that may be chance
are not shrunk as those of scores are: that takes errors to be normal, and where a test may confirm nothing at all these
are not.

Not covered: confirming a share (`automation`), choice and verdict by it (`share_choice`, `share_verdict`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from llmtl.decision.automation import ladder_of, marked
from llmtl.decision.beliefs import DRAWS, Beliefs
from llmtl.decision.config import DecisionConfig
from llmtl.decision.one_draw import sd_at
from llmtl.decision.promise import Ladder
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.between_draws import widen
from llmtl.metrics.hierarchical import Floats, cluster_codes
from llmtl.metrics.paired import PairedDifference
from llmtl.metrics.selective import Bools, TestAhead
from llmtl.metrics.share_ahead import Shared, by_threshold, draw_shares
from llmtl.task import Metric

METHOD = "Bayesian bootstrap of the shares that such a test is expected to confirm"


@dataclass(frozen=True)
class _Drawn:
    """Draws of the shares (D, K), and the standard deviation that is stated for those with one draw (K,)."""

    shares: Floats
    stated: Floats


@dataclass(frozen=True)
class ShareBeliefs:
    """The thresholds of each strategy, fixed on dev, and the test ahead: what shares are drawn with."""

    ladders: Mapping[str, Ladder]
    ahead: TestAhead
    seed: int

    @classmethod
    def fixed_on(
        cls, dev: Sequence[Evaluation], n_test: int, *, metric: Metric, config: DecisionConfig
    ) -> "ShareBeliefs":
        """Fix the thresholds on dev."""
        ladders = [ladder_of(item, n_test, metric=metric, level=config.alpha, config=config) for item in dev]
        ahead = TestAhead(n_test, config.max_error_automated, config.alpha)
        return cls({item.strategy: item for item in ladders}, ahead, config.seed)

    def believe(self, evaluations: Sequence[Evaluation]) -> Beliefs:
        """Draw the shares of strategies that were evaluated on the same examples."""
        rng = np.random.default_rng(self.seed)
        found = self._draw(evaluations, DRAWS, rng)
        # no share lies outside 0 to 1, whatever a draw may move it by
        moved = np.clip(found.shares + found.stated * rng.standard_normal(found.shares.shape), 0.0, 1.0)
        return Beliefs(tuple(item.strategy for item in evaluations), moved)

    def compare(
        self, a: Evaluation, b: Evaluation, *, answered: Mapping[str, Bools], config: DecisionConfig, comparisons: int
    ) -> PairedDifference:
        """Compare the shares of two strategies on the same examples, as one of so many comparisons.

        `answered` marks, by strategy, what it answers alone at the threshold that was confirmed.
        """
        found = self._draw((a, b), config.resamples, np.random.default_rng(self.seed))
        first, second = (answered[item.strategy] for item in (a, b))
        alpha = config.alpha / comparisons
        difference = found.shares[:, 0] - found.shares[:, 1]
        counts = int((first & ~second).sum()), int((second & ~first).sum())
        return widen(_paired(difference, counts, a.n, alpha=alpha), math.hypot(*found.stated), alpha=alpha)

    def _draw(self, evaluations: Sequence[Evaluation], draws: int, rng: np.random.Generator) -> _Drawn:
        first = evaluations[0]
        shared = Shared(cluster_codes(first.groups, first.n))
        ladders = [self.ladders[item.strategy] for item in evaluations]
        systems = [
            [by_threshold(marked(one, ladder.calibration), ladder.thresholds) for one in _each_draw(item)]
            for item, ladder in zip(evaluations, ladders, strict=True)
        ]
        drawn = draw_shares(systems, shared, self.ahead, draws=draws, rng=rng)
        means = np.stack([rows.mean(axis=0) for rows in drawn], axis=1)
        errors = np.array([_error_over_draws(rows) for rows in drawn])
        stated = np.array(
            [
                sd_at(item, float(rows.mean())) if ladder.thresholds else 0.0
                for item, rows, ladder in zip(evaluations, drawn, ladders, strict=True)
            ]
        )
        return _Drawn(means + errors * rng.standard_normal(means.shape), stated)


def _each_draw(evaluation: Evaluation) -> list[Evaluation]:
    runs = (evaluation.predictions, *evaluation.seed_predictions)
    return [replace(evaluation, predictions=predictions) for predictions in runs]


def _error_over_draws(shares: Floats) -> float:
    """Estimate the standard error of the mean over training or prompt draws; 0 where there is one."""
    means = shares.mean(axis=1)
    return 0.0 if len(means) < 2 else float(means.std(ddof=1) / math.sqrt(len(means)))


def _paired(difference: Floats, counts: tuple[int, int], n: int, *, alpha: float) -> PairedDifference:
    """Read interval, bounds and p-value off the draws of a difference."""
    ends = (0.025, 0.975, 0.05, 0.95, alpha / 2, 1 - alpha / 2)
    low, high, at_least, at_most, *joint = np.quantile(difference, ends).tolist()
    # one draw more on the side of no difference: a p-value is never 0 (Davison & Hinkley 1997, section 4.2)
    other_side = min(int((difference <= 0).sum()), int((difference >= 0).sum()))
    return PairedDifference(
        difference=float(difference.mean()),
        low=low,
        high=high,
        at_least=at_least,
        at_most=at_most,
        p=min(1.0, 2 * (other_side + 1) / (len(difference) + 1)),
        n=n,
        only_a=counts[0],
        only_b=counts[1],
        standard_error=float(difference.std(ddof=1)),
        method=METHOD,
        joint=(joint[0], joint[1]),
    )
