"""The choice on dev, and the comparisons on test that it commits to: both are written down before test is opened.

The rule: among the eligible strategies take the cheapest (training and requests over the horizon) whose dev score is
within the margin of the best one's. That is "not shown worse than the best by more than the margin" with one more
demand. A strategy counts as shown worse when the one-sided 95% lower bound of best - s exceeds the margin; on a small
dev set almost nothing is shown worse, and the cheapest strategy, which is the majority label, would be chosen for want
of evidence. So the point estimate must lie within the margin too: s must be more likely than not good enough. With a
large dev set the two demands become one. The price of the second is that of two equal strategies the dearer is
sometimes chosen, when luck on dev puts it ahead by more than the margin; the verdict on test catches that, since a
strategy is only adopted when it is shown better than the cheaper ones it is compared with.

How much being chosen flatters the dev score is estimated by repeating the rule on resamples of dev
(`llmtl.metrics.optimism`) and written down with the choice.

Not covered: that dev scores of strategies with more tuning on dev are more optimistic; that too is left to test.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from llmtl.costs import PriceConfig
from llmtl.decision.comparing import compare_evaluations
from llmtl.decision.config import DecisionConfig
from llmtl.decision.eligibility import barred, check
from llmtl.decision.outcome import Choice, Dropped, Planned, Purpose
from llmtl.decision.ranking import Ranking
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.hierarchical import cluster_codes
from llmtl.metrics.optimism import optimism
from llmtl.task import Task

ZERO_SHOT = "zero-shot"


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
    """Return the strategy chosen on dev with the comparisons to make on test.

    `evaluations` are those of the strategies that saw all of dev. `dropped` left the race (`racing`), `left` are their
    evaluations on the part of dev that they saw: they cannot be chosen, but are compared as if they had seen all of it.
    `labels_used` counts the labels that a strategy takes.
    Raises `RunError` for evaluations that cannot be compared and `RecipeError` when no strategy meets the constraints.
    """
    check(evaluations, split="dev")
    broken = barred(evaluations, config, prices)
    ranking = Ranking(tuple(evaluations), task.metric, prices)
    eligible = [name for name in ranking.names() if name not in broken]
    field = Ranking((*evaluations, *left), task.metric, prices, {item.strategy: item.expected for item in dropped})
    compared = [name for name in field.names() if name not in broken]
    best = ranking.best(eligible) or eligible[0]
    plausible = [name for name in eligible if not _shown_worse(ranking, name, best, config)]
    within = [name for name in plausible if ranking.score(best) - ranking.score(name) <= config.margin + 1e-12]
    chosen = ranking.cheapest(within)
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
        within_margin=tuple(within),
        comparisons=_plan(field, compared, chosen=chosen, baseline=baseline, llm=llm, runner_up=runner_up),
        margin=config.margin,
        written_at=written_at,
        dropped=tuple(dropped),
        optimism=_optimism(ranking, eligible, config),
        barred=broken,
        labels_used=labels_used or {},
    )


def _optimism(ranking: Ranking, eligible: Sequence[str], config: DecisionConfig) -> float | None:
    """Return by how much the dev score of the choice flatters it; the rule repeated is that of the point estimates."""
    first = ranking[eligible[0]]
    measure = first.measure(ranking.metric)
    cheapest = cache(ranking.cheapest)

    def pick(scores: NDArray[np.float64]) -> int:
        least = scores.max() - config.margin - 1e-12
        within = [name for name, score in zip(eligible, scores, strict=True) if score >= least]
        return eligible.index(cheapest(tuple(within)))

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


def _plan(
    ranking: Ranking,
    compared: Sequence[str],
    *,
    chosen: str,
    baseline: str | None,
    llm: str | None,
    runner_up: str | None,
) -> tuple[Planned, ...]:
    """Return the comparisons to make on test, a strategy that is not a baseline first where only one of the two is.

    The chosen strategy meets the best baseline, zero-shot and the runner-up. For the verdict `baseline` the best
    language-model strategy meets a baseline too, and for a tie each cheaper rival does, because a rival may only win
    the tie when it is itself shown to beat the baseline.
    """
    zero_shot = ZERO_SHOT if ZERO_SHOT in compared else None
    wanted = [
        (chosen, baseline, Purpose.BEST_BASELINE),
        (chosen, zero_shot, Purpose.ZERO_SHOT),
        (chosen, runner_up, Purpose.RUNNER_UP),
    ]
    if ranking.is_baseline(chosen):
        return _distinct(ranking, [(chosen, llm, Purpose.LLM_AGAINST_CHOICE), *wanted])
    rivals = [name for name in (zero_shot, runner_up) if name and ranking.cheaper(name, chosen)]
    wanted += [(name, baseline, Purpose.CHEAPER_RIVAL) for name in rivals if not ranking.is_baseline(name)]
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
