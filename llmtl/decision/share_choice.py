"""The choice on dev where the goal is to automate: of which strategy can the largest share of inputs be left to it?

Of the strategies that say how sure they are the one with the least expected regret in share is taken (`beliefs`): what
the share that test is expected to confirm falls short of the largest one, plus the margin as far as a cheaper strategy
probably lies within it. The comparisons on test are planned as those of scores are (`choice.plan`), with best baseline,
best language-model strategy and runner-up by expected share.

Not covered: the search of a strategy for its own prompt, which goes by score; what was confirmed (`automation`).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from llmtl.costs import PriceConfig
from llmtl.decision.automation import why_unable
from llmtl.decision.beliefs import Beliefs, least
from llmtl.decision.choice import plan
from llmtl.decision.config import DecisionConfig, Goal
from llmtl.decision.outcome import Choice
from llmtl.decision.ranking import Ranking
from llmtl.decision.share_beliefs import ShareBeliefs
from llmtl.errors import RecipeError
from llmtl.measured.evaluation import Evaluation
from llmtl.task import Task


def by_goal(
    choice: Choice, task: Task, dev: Sequence[Evaluation], n_test: int, *, config: DecisionConfig, prices: PriceConfig
) -> Choice:
    """Return the choice that the goal asks for: the one given, made by score, or the one by the share left to it.

    Raises `RecipeError` where no strategy that may be chosen says how sure it is.
    """
    if config.goal is not Goal.AUTOMATE:
        return choice
    able = [item.strategy for item in dev if item.strategy not in choice.barred and not why_unable(item, task.metric)]
    if not able:
        raise RecipeError(
            "No strategy that may be chosen says how sure it is, so nothing can be left to any; set "
            "decision.goal=score (nothing is scored again)."
        )
    beliefs = ShareBeliefs.fixed_on(dev, n_test, metric=task.metric, config=config).believe(dev)
    shares = dict(zip(beliefs.names, beliefs.draws.mean(axis=0).tolist(), strict=True))
    ranking = Ranking(tuple(dev), task.metric, prices, shares)
    return _chosen(choice, ranking, able, beliefs=among(beliefs, able), shares=shares)


def among(beliefs: Beliefs, names: Sequence[str]) -> Beliefs:
    """Return the beliefs on some of the strategies."""
    return Beliefs(tuple(names), beliefs.draws[:, [beliefs.names.index(name) for name in names]])


def _chosen(
    choice: Choice, ranking: Ranking, able: Sequence[str], *, beliefs: Beliefs, shares: dict[str, float]
) -> Choice:
    """Return the choice of the least expected regret, with what will be compared."""
    regret = beliefs.expected_regrets(ranking.cheaper, choice.margin)
    chosen, best = ranking.cheapest(least(regret, able)), ranking.best(able) or able[0]
    baselines = [name for name in ranking.names(baseline=True) if name not in choice.barred]
    baseline = ranking.best(baselines)
    llm = ranking.best(ranking.names(baseline=False, among=able))
    runner_up = ranking.best([name for name in able if name != chosen])
    compared = ranking.names(among=[*able, *baselines])
    plausible = [name for name in able if not _shown_smaller(beliefs, name, best, choice.margin)]
    return replace(
        choice,
        strategy=chosen,
        best_on_dev=best,
        best_baseline=baseline,
        best_llm=llm,
        runner_up=runner_up,
        not_shown_worse=tuple(plausible),
        within_margin=tuple(name for name in plausible if shares[best] - shares[name] <= choice.margin + 1e-12),
        comparisons=plan(
            ranking,
            compared,
            chosen=chosen,
            baseline=baseline,
            llm=llm,
            runner_up=runner_up,
            plausible=plausible,
        ),
        optimism=None,
        expected_regret=regret,
        goal=Goal.AUTOMATE,
        expected_shares=shares,
    )


def _shown_smaller(beliefs: Beliefs, name: str, best: str, margin: float) -> bool:
    """Say whether dev shows a strategy to be left less than the best by more than the margin."""
    first, second = (beliefs.draws[:, beliefs.names.index(each)] for each in (best, name))
    return bool(np.quantile(first - second, 0.05) > margin)
