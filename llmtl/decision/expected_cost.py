"""What a wrong answer costs: expected total cost of each strategy, and which is the best at which cost of an error.

    total = machines or tokens, fitting, labels (where they have a price) + requests x expected cost of their errors

all over the horizon. The expected cost of an error and its uncertainty come from the joint posterior of all strategies
on the same examples (`llmtl.metrics.joint_posterior`). An answer is wrong when it is not entirely right: another label,
a set of labels or of spans that is not the reference's. A free text, which is right by degrees, counts as the part of
an error that its own score in the task's metric lacks, unless that metric is exact match.

Not covered: noise in measured seconds; what errors cost that depend on each other; that strategies tuned on the same
examples look better on them (test is free of that).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llmtl.costs import ErrorCrossing, ErrorLine, PriceConfig, Pricing, error_crossings
from llmtl.decision.config import DecisionConfig
from llmtl.decision.totals import ErrorRate, ExpectedTotal, ExpectedTotals, Saving, Switch, ValueOfAccuracy
from llmtl.errors import RecipeError, RunError
from llmtl.kinds.kind import Kind
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.hierarchical import Floats, cluster_codes
from llmtl.metrics.joint_posterior import posterior_draws, posterior_means
from llmtl.task import RIGHT_OR_WRONG, Metric, Task

_BAND = (0.025, 0.975)


@dataclass(frozen=True)
class ErrorCosts:
    """What errors cost, USD: `usd` each, but for the pairs of reference and answered label in `by_label`."""

    usd: float
    by_label: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, config: DecisionConfig) -> "ErrorCosts | None":
        """Read what the recipe says, or None where it says nothing."""
        return None if config.usd_per_error is None else cls(config.usd_per_error, config.error_costs)


@dataclass(frozen=True)
class JointTotals:
    """The totals of K strategies on the same examples of a split, drawn together, USD.

    `spent` and `expected`, the expected cost of errors, are (K,), `draws` (B, K) of the totals; `errors` (K,) counts
    the expected errors over so many `requests`.
    """

    names: tuple[str, ...]
    spent: Floats
    errors: Floats
    expected: Floats
    draws: Floats
    split: str
    n: int
    requests: float
    costs: ErrorCosts

    def best(self, among: Collection[str]) -> str:
        """Name the strategy with the lowest expected total, the first of equal ones."""
        totals = dict(zip(self.names, (self.spent + self.expected).tolist(), strict=True))
        return min((name for name in self.names if name in among), key=lambda name: totals[name])

    def saving(self, a: str, b: str) -> Saving:
        """Compare the totals of two strategies."""
        first, second = self.names.index(a), self.names.index(b)
        totals = self.spent + self.expected
        saved = self.draws[:, second] - self.draws[:, first]
        low, high = np.quantile(saved, _BAND).tolist()
        return Saving(a, b, float(totals[second] - totals[first]), (low, high), float((saved > 0).mean()))

    def spends_less(self, a: str, b: str) -> bool:
        """Say whether a costs less than b without errors."""
        return bool(self.spent[self.names.index(a)] < self.spent[self.names.index(b)])

    def described(self, *, left_out: Sequence[str] = (), savings: Sequence[Saving] = ()) -> ExpectedTotals:
        """Describe every strategy; where totals are equal in a draw, each counts as the cheapest in part."""
        lowest = self.draws == self.draws.min(axis=1, keepdims=True)
        cheapest = (lowest / lowest.sum(axis=1, keepdims=True)).mean(axis=0)
        low, high = np.quantile(self.draws, _BAND, axis=0)
        columns = np.stack((self.spent, self.errors, self.expected, low, high, cheapest), axis=1).tolist()
        return ExpectedTotals(
            split=self.split,
            n=self.n,
            requests=self.requests,
            usd_per_error=self.costs.usd,
            by_label=bool(self.costs.by_label),
            strategies=tuple(
                ExpectedTotal(name, spent, errors, expected, (least, most), chance)
                for name, (spent, errors, expected, least, most, chance) in zip(self.names, columns, strict=True)
            ),
            left_out=tuple(left_out),
            savings=tuple(savings),
        )


def check_error_costs(config: DecisionConfig, task: Task) -> None:
    """Raise `RecipeError` for a table of errors that does not fit the task."""
    if not config.error_costs:
        return
    if not task.kind.one_label:
        raise RecipeError(
            f"decision.error_costs prices one label answered for another, and answers of {task.kind.name} are not one "
            "label; remove it and keep decision.usd_per_error."
        )
    named = {label for reference, costs in config.error_costs.items() for label in (reference, *costs)}
    unknown = sorted(named - set(task.labels))
    if unknown:
        raise RecipeError(
            f"decision.error_costs names '{unknown[0]}', which is not a label of the task; use "
            f"{', '.join(task.labels[:20])}{', ...' if len(task.labels) > 20 else ''}."
        )


def spending_of(
    evaluations: Sequence[Evaluation], prices: PriceConfig, labels_used: Mapping[str, int]
) -> dict[str, float]:
    """Price everything but errors over the horizon, USD, where fitting that nobody priced counts as nothing.

    A strategy whose requests have no known cost is missing.
    """
    pricing, each = Pricing(prices), prices.usd_per_label or 0.0
    requests = {item.strategy: pricing.horizon(item) for item in evaluations}
    fitting = {item.strategy: pricing.fitting(item) or 0.0 for item in evaluations}
    return {
        name: fitting[name] + usd + each * labels_used.get(name, 0) for name, usd in requests.items() if usd is not None
    }


def totals_if_priced(
    evaluations: Sequence[Evaluation],
    labels_used: Mapping[str, int],
    *,
    metric: Metric,
    config: DecisionConfig,
    prices: PriceConfig,
) -> JointTotals | None:
    """Draw the totals of these strategies; None where it is not known what an error costs."""
    costs = ErrorCosts.of(config)
    if costs is None:
        return None
    spent = spending_of(evaluations, prices, labels_used)
    return joint_totals(evaluations, spent, costs, metric=metric, requests=prices.requests)


def described(totals: JointTotals | None, names: Sequence[str]) -> ExpectedTotals | None:
    """Describe totals, if there are any, with who of these is left out."""
    return None if totals is None else totals.described(left_out=[name for name in names if name not in totals.names])


def joint_totals(
    evaluations: Sequence[Evaluation], spent: Mapping[str, float], costs: ErrorCosts, *, metric: Metric, requests: float
) -> JointTotals:
    """Draw the totals of strategies that answered the same examples; those without a known cost are left out."""
    known = [item for item in evaluations if item.strategy in spent]
    if not known:
        raise RunError("No strategy has a known cost, so none has a known total; measure it, or state costs.")
    each = [wrong_answers(item, metric) for item in known]
    priced = [_priced(item, wrong, costs) for item, wrong in zip(known, each, strict=True)]
    codes = cluster_codes(known[0].groups, known[0].n)
    worst = _worst(each, priced, costs.usd)
    usd = np.array([spent[item.strategy] for item in known])
    return JointTotals(
        names=tuple(item.strategy for item in known),
        spent=usd,
        errors=requests * posterior_means(each, codes),
        expected=requests * posterior_means(priced, codes, worst=worst),
        draws=usd + requests * posterior_draws(priced, codes, worst=worst),
        split=known[0].split,
        n=known[0].n,
        requests=requests,
        costs=costs,
    )


def value_of_accuracy(
    evaluations: Sequence[Evaluation],
    spent: Mapping[str, float],
    *,
    metric: Metric,
    requests: float,
    left_out: Sequence[str] = (),
) -> ValueOfAccuracy | None:
    """Say which strategy is the best at which cost of an error; None where fewer than two can be compared."""
    known = [item for item in evaluations if item.strategy in spent]
    if len(known) < 2 or requests <= 0:
        return None
    losses = [wrong_answers(item, metric) for item in known]
    codes = cluster_codes(known[0].groups, known[0].n)
    wrong, draws = posterior_means(losses, codes), posterior_draws(losses, codes)
    low, high = np.quantile(draws, _BAND, axis=0)
    names = [item.strategy for item in known]
    lines = [ErrorLine(name, spent[name], requests * share) for name, share in zip(names, wrong.tolist(), strict=True)]
    drawn = {name: requests * draws[:, column] for column, name in enumerate(names)}
    return ValueOfAccuracy(
        split=known[0].split,
        n=known[0].n,
        requests=requests,
        strategies=tuple(
            ErrorRate(name, spent[name], share, (least, most))
            for name, share, least, most in zip(names, wrong.tolist(), low.tolist(), high.tolist(), strict=True)
        ),
        switches=tuple(_switch(item, spent, drawn) for item in error_crossings(lines)),
        graded=wrong_metric(known[0].kind, metric) not in RIGHT_OR_WRONG,
        left_out=tuple(left_out),
    )


def wrong_metric(kind: Kind, metric: Metric) -> Metric:
    """Name the metric by which answers are right or wrong, or right by degrees."""
    if metric in RIGHT_OR_WRONG or not kind.has_labels:
        return metric
    return next(item for item in kind.metrics if item in RIGHT_OR_WRONG)


def wrong_answers(evaluation: Evaluation, metric: Metric) -> Floats:
    """Say of every answer how wrong it is, 0 to 1, (R, N) for R seeds of N examples."""
    measure = evaluation.measure(wrong_metric(evaluation.kind, metric))
    runs = (evaluation.predictions, *evaluation.seed_predictions)
    return np.stack([1 - measure.each([prediction.answer for prediction in run]) for run in runs])


def _priced(evaluation: Evaluation, wrong: Floats, costs: ErrorCosts) -> Floats:
    """Price the errors of every answer, (R, N); a failed one costs what pairs without a price of their own do."""
    if not costs.by_label:
        return costs.usd * wrong
    runs = (evaluation.predictions, *evaluation.seed_predictions)
    usd = [
        [
            costs.by_label.get(reference, {}).get(answer.answer or "", costs.usd)
            for reference, answer in zip(evaluation.references, run, strict=True)
        ]
        for run in runs
    ]
    return np.asarray(wrong * np.array(usd), dtype=np.float64)


def _worst(wrong: Sequence[Floats], priced: Sequence[Floats], usd: float) -> float:
    """Say what an unknown error costs: as much as those seen did on average, or `usd` where none was."""
    errors = sum(float(each.sum()) for each in wrong)
    return sum(float(each.sum()) for each in priced) / errors if errors else usd


def _switch(crossing: ErrorCrossing, spent: Mapping[str, float], errors: Mapping[str, Floats]) -> Switch:
    """Bound the point where two totals cross: the difference of costs over the difference of errors, in every draw."""
    saved = spent[crossing.above] - spent[crossing.below]
    fewer = errors[crossing.below] - errors[crossing.above]
    pays = fewer > 0
    points = np.where(pays, saved / np.where(pays, fewer, 1.0), np.inf)
    # order statistics: an interpolation between a number and infinity would be neither
    low, high = np.quantile(points, _BAND, method="nearest").tolist()
    return Switch(
        below=crossing.below,
        above=crossing.above,
        usd_per_error=crossing.usd_per_error,
        ci95=(low if np.isfinite(low) else crossing.usd_per_error, high if np.isfinite(high) else None),
        pays=float(pays.mean()),
    )
