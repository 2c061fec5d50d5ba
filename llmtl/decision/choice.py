"""The choice on dev, and the comparisons on test that it commits to: both are written down before test is opened.

The rule: of the eligible strategies take the one with the least expected regret on dev (`beliefs`): what its score is
expected to fall short of the best one's, plus the margin as far as a cheaper strategy probably lies within the margin
of the best; strategies that left the race count among these. So a cheaper strategy is taken where dev makes it likely
enough that it is as good, and a dearer one where it is not; neither for want of evidence. (Taking the cheapest whose
point estimate lies within the margin gives accuracy away where longer prompts cost more and score better:
`evals/real_logs.py`.)

Where it is known what an error costs, the choice is the lowest expected total cost instead (`expected_cost`).

The comparisons on test depend on the choice and on dev scores only, never on what was cheaper by the clock, so that two
runs that score alike correct for the same number of comparisons. One of them is with the best of those that adapt a
model less, where dev leaves it open which of the two is better (`adaptation`): the runner-up may be another large
adaptation, and a small one as good as both.

How much being chosen flatters the dev score is estimated by repeating the rule on resamples of dev
(`llmtl.metrics.optimism`) and written down with the choice.

Not covered: that dev scores of strategies with more tuning on dev are more optimistic; that too is left to test.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from llmtl.costs import PriceConfig
from llmtl.decision.adaptation import simpler_rival
from llmtl.decision.beliefs import believe, least, regrets
from llmtl.decision.comparing import compare_evaluations
from llmtl.decision.config import DecisionConfig
from llmtl.decision.eligibility import barred, check
from llmtl.decision.expected_cost import JointTotals, described, totals_if_priced
from llmtl.decision.outcome import Choice, Dropped, Planned, Purpose
from llmtl.decision.ranking import Ranking
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.hierarchical import cluster_codes
from llmtl.metrics.optimism import optimism
from llmtl.strategies.table import facts_of
from llmtl.task import Task


def choose(
    task: Task,
    evaluations: Sequence[Evaluation],
    *,
    config: DecisionConfig,
    prices: PriceConfig,
    written_at: str,
    dropped: Sequence[Dropped] = (),
    left: Sequence[Evaluation] = (),
    labels_used: Mapping[str, int] | None = None,
) -> Choice:
    """Choose a strategy on dev, and plan the comparisons to make on test.

    `evaluations` are those of the strategies that saw all of dev. `dropped` left the race (`racing`), `left` are their
    evaluations on the part of dev that they saw: they cannot be chosen, but are compared as if they had seen all of it.
    `labels_used` counts the labels that a strategy takes. Raises `RunError` for evaluations that cannot be compared and
    `RecipeError` when no strategy meets the constraints.
    """
    check(evaluations, split="dev")
    broken = barred(evaluations, config, prices)
    ranking = Ranking(tuple(evaluations), task.metric, prices)
    eligible = [name for name in ranking.names() if name not in broken]
    field = Ranking((*evaluations, *left), task.metric, prices, {item.strategy: item.expected for item in dropped})
    compared = [name for name in field.names() if name not in broken]
    best = ranking.best(eligible) or eligible[0]
    plausible = [name for name in eligible if not _shown_worse(ranking, name, best, config)]
    chosen, regret, totals = _pick(ranking, eligible, left=left, config=config, labels_used=labels_used or {})
    baseline = field.best(field.names(baseline=True, among=compared))
    llm = field.best(field.names(baseline=False, among=compared))
    runner_up = field.best([name for name in compared if name != chosen])
    return Choice(
        strategy=chosen,
        best_on_dev=best,
        best_baseline=baseline,
        best_llm=llm,
        runner_up=runner_up,
        not_shown_worse=tuple(plausible),
        within_margin=tuple(name for name in plausible if ranking.within(name, best, config.margin)),
        comparisons=plan(
            field, compared, chosen=chosen, baseline=baseline, llm=llm, runner_up=runner_up, plausible=plausible
        ),
        margin=config.margin,
        written_at=written_at,
        dropped=tuple(dropped),
        optimism=_optimism(ranking, eligible, config) if totals is None else None,
        barred=broken,
        labels_used=labels_used or {},
        expected_regret=regret,
        expected_totals=described(totals, field.names()),
    )


def _pick(
    ranking: Ranking,
    eligible: Sequence[str],
    *,
    left: Sequence[Evaluation],
    config: DecisionConfig,
    labels_used: Mapping[str, int],
) -> tuple[str, dict[str, float], JointTotals | None]:
    """Pick by expected total cost where errors have a price, and else by expected regret; return both as well."""
    mine = [ranking[name] for name in eligible]
    field = Ranking((*mine, *left), ranking.metric, ranking.prices)
    beliefs = believe(field.evaluations, ranking.metric, seed=config.seed)
    known = beliefs.expected_regrets(field.cheaper, config.margin)
    regret = {name: known[name] for name in eligible}
    totals = totals_if_priced(mine, labels_used, metric=ranking.metric, config=config, prices=ranking.prices)
    chosen = ranking.cheapest(least(regret, eligible)) if totals is None else totals.best(eligible)
    return chosen, regret, totals


def _optimism(ranking: Ranking, eligible: Sequence[str], config: DecisionConfig) -> float | None:
    """Estimate by how much the dev score of the choice flatters it; repeated is the regret at the point estimates."""
    first = ranking[eligible[0]]
    measure = first.measure(ranking.metric)
    cheaper = np.array([[ranking.cheaper(a, b) for b in eligible] for a in eligible], dtype=bool)

    def pick(scores: NDArray[np.float64]) -> int:
        return int(regrets(scores, cheaper, config.margin).argmin())

    return optimism(
        measure.value,
        np.stack([measure.counts(ranking[name].answers) for name in eligible]),
        cluster_codes(first.groups, first.n),
        pick=pick,
        seed=config.seed,
    )


def _shown_worse(ranking: Ranking, name: str, best: str, config: DecisionConfig) -> bool:
    """Return whether dev shows a strategy to be worse than the best by more than the margin."""
    if ranking.score(best) - ranking.score(name) <= config.margin:
        return False
    return compare_evaluations(ranking[best], ranking[name], ranking.metric, config).at_least > config.margin


def plan(
    ranking: Ranking,
    compared: Sequence[str],
    *,
    chosen: str,
    baseline: str | None,
    llm: str | None,
    runner_up: str | None,
    plausible: Sequence[str],
) -> tuple[Planned, ...]:
    """Return the comparisons to make on test, a strategy that is not a baseline first where only one of the two is.

    The chosen strategy meets the best baseline, zero-shot, the runner-up and, of the `plausible`, its simpler rival.
    For the verdict `baseline` the best language-model strategy meets a baseline too.
    """
    zero_shot = next((name for name in compared if (facts := facts_of(name)) and facts.plain_prompt), None)
    wanted = [
        (chosen, baseline, Purpose.BEST_BASELINE),
        (chosen, zero_shot, Purpose.ZERO_SHOT),
        (chosen, runner_up, Purpose.RUNNER_UP),
        (chosen, simpler_rival(ranking, chosen, plausible), Purpose.SIMPLER_RIVAL),
    ]
    if ranking.is_baseline(chosen):
        return _distinct(ranking, [(chosen, llm, Purpose.LLM_AGAINST_CHOICE), *wanted])
    wanted.append((llm or chosen, baseline, Purpose.LLM_AGAINST_BASELINE))
    return _distinct(ranking, wanted)


def _distinct(ranking: Ranking, wanted: Iterable[tuple[str, str | None, Purpose]]) -> tuple[Planned, ...]:
    """Return each pair once, with the first purpose given for it."""
    planned: dict[frozenset[str], Planned] = {}
    for a, b, purpose in wanted:
        if b is None or a == b:
            continue
        first, second = (b, a) if ranking.is_baseline(a) and not ranking.is_baseline(b) else (a, b)
        planned.setdefault(frozenset((a, b)), Planned(first, second, purpose))
    return tuple(planned.values())
