"""The decision: what test shows about the choice made on dev.

Not covered: making the choice (`choice`), storing it, opening test, saying it in words (`llmtl.report`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llmtl.costs import PriceConfig, Pricing
from llmtl.decision.bets import place_bets
from llmtl.decision.capability import capability
from llmtl.decision.changes import cautions, would_change
from llmtl.decision.comparing import compare_evaluations, over_seeds
from llmtl.decision.config import DecisionConfig, Goal
from llmtl.decision.cost_verdict import by_cost, rule_by_cost, totals_on_test
from llmtl.decision.cut_rivals import CutRival, cut_rivals
from llmtl.decision.detectable import break_evens, detectable_difference
from llmtl.decision.eligibility import check, check_disjoint
from llmtl.decision.evidence import Evidence, gather
from llmtl.decision.expected_cost import spending_of, value_of_accuracy
from llmtl.decision.forgotten import harder_english
from llmtl.decision.one_draw import sd_of_one_draw, single_draws
from llmtl.decision.outcome import Caution, Choice, Decision, DevScore, StrategyResult, TestScore
from llmtl.decision.ranking import Ranking
from llmtl.decision.settling import settling_of
from llmtl.decision.share_verdict import by_share, rule_by_share, shares_on_test
from llmtl.decision.totals import ValueOfAccuracy
from llmtl.decision.transfer import Transfer, transfers
from llmtl.decision.unclear_costs import unclear_costs
from llmtl.decision.verdict import Ruling, rule
from llmtl.errors import RunError
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.intervals import Interval
from llmtl.metrics.paired import PairedDifference
from llmtl.metrics.summed import clustered
from llmtl.strategies.table import facts_of
from llmtl.task import Metric, Task


def decide(
    task: Task,
    choice: Choice,
    *,
    dev: Sequence[Evaluation],
    test: Sequence[Evaluation],
    config: DecisionConfig,
    prices: PriceConfig,
    dropped: Sequence[Evaluation] = (),
    notes: Sequence[Caution] = (),
) -> Decision:
    """Return the verdict on a choice, from test evaluations of at least the strategies it planned to compare.

    `dropped` are the evaluations, on the part of dev that they saw, of the strategies that left the race. The margin is
    the choice's, which was written down with it. `notes` come before the decision's own cautions. Raises `RunError` for
    evaluations that do not fit together.
    """
    check(dev, split="dev")
    check(test, split="test")
    check_disjoint(dev, test)
    expected = {item.strategy: item.expected for item in choice.dropped}
    ranking = Ranking((*dev, *dropped), task.metric, prices, expected)
    if choice.strategy not in ranking.names():
        raise RunError(f"The choice '{choice.strategy}' has no dev evaluation; choose again.")
    on_test = {item.strategy: over_seeds(item, task.metric, config) for item in test}
    evidence = gather(choice, on_test, metric=task.metric, config=config)
    bets = place_bets(ranking, choice, {item.strategy: item for item in test}, seed=config.seed)
    totals = totals_on_test(choice, ranking, on_test, config)
    shares = shares_on_test(choice, dev, on_test, metric=task.metric, config=config, prices=prices)
    if shares is not None:
        ruling = rule_by_share(choice, shares)
    elif totals is not None:
        ruling = rule_by_cost(choice, evidence, ranking, totals)
    else:
        ruling = rule(choice, evidence, ranking, bets)
    found = _decision(task, ranking, choice=choice, test=on_test, evidence=evidence, ruling=ruling, seed=config.seed)
    found = replace(
        found,
        cautions=(*notes, *found.cautions, *harder_english(dev, config)),
        expected_regret=bets.expected_regret,
        value_of_accuracy=_value_of_accuracy(choice, ranking, on_test),
        transfer=_transfers(task, on_test, config),
    )
    if shares is not None:
        return by_share(found, shares, config)
    return found if totals is None else by_cost(found, totals)


def _decision(
    task: Task,
    ranking: Ranking,
    *,
    choice: Choice,
    test: Mapping[str, Evaluation],
    evidence: Evidence,
    ruling: Ruling,
    seed: int,
) -> Decision:
    """Return everything about a ruling."""
    detectable, settling = detectable_difference(evidence), settling_of(ruling, evidence)
    points = break_evens(ranking, _eligible(choice, ranking, test), ruling.winner)
    own = cautions(choice, ruling.verdict, detectable=detectable, n=evidence.n, test=test.values())
    own += capability(test.values(), task.metric, margin=choice.margin)
    winner = test.get(ruling.winner)
    return Decision(
        task=task.name,
        verdict=ruling.verdict,
        winner=ruling.winner,
        metric=task.metric.value,
        target=task.target,
        target_met=target_met(task.target, None if winner is None else winner.scores[task.metric.value]),
        margin=choice.margin,
        chosen_before_test=choice.strategy,
        choice=choice,
        strategies=tuple(_result(item, test, choice=choice, ranking=ranking) for item in ranking.evaluations),
        comparisons=evidence.comparisons,
        minimum_detectable_difference=detectable,
        more_test_examples=settling.more,
        break_even=points,
        rule=ruling.rule,
        hangs_on=ruling.pairs,
        cheapest_tied=ruling.cheapest_tied,
        alpha=evidence.alpha,
        requests=ranking.prices.requests,
        grouped=any(clustered(item.groups) for item in test.values()),
        changes=would_change(choice, ranking, ruling=ruling, settling=settling, points=points, seed=seed),
        cautions=(
            *own,
            *single_draws(test.values(), _compared(choice), task.metric),
            *_cut_rivals(ranking, choice, test, ruling.winner),
            *unclear_costs(ranking, ruling.pairs),
        ),
    )


def _transfers(task: Task, test: Mapping[str, Evaluation], config: DecisionConfig) -> tuple[Transfer, ...]:
    """Say what pre-training is worth, of every strategy whose control was tested, too."""

    def control_of(name: str) -> str | None:
        facts = facts_of(name)
        return (facts.control_of or None) if facts else None

    def compare(one: Evaluation, other: Evaluation) -> PairedDifference:
        return compare_evaluations(one, other, task.metric, config)

    return transfers(test, control_of, compare, alpha=config.alpha)


def _value_of_accuracy(choice: Choice, ranking: Ranking, test: Mapping[str, Evaluation]) -> ValueOfAccuracy | None:
    """Say which strategy is the best at which cost of an error, of those that were tested and may be chosen."""
    spent = spending_of(ranking.evaluations, ranking.prices, choice.labels_used)
    compared = [test[name] for name in ranking.names() if name in test and name in spent and name not in choice.barred]
    there = {item.strategy for item in compared}
    return value_of_accuracy(
        compared,
        spent,
        metric=ranking.metric,
        requests=ranking.prices.requests,
        left_out=[name for name in ranking.names() if name not in there],
    )


def _cut_rivals(ranking: Ranking, choice: Choice, test: Mapping[str, Evaluation], winner: str) -> tuple[CutRival, ...]:
    by_score = choice.goal is Goal.SCORE and choice.expected_totals is None
    return cut_rivals(
        ranking.evaluations,
        test,
        winner,
        metric=ranking.metric.value,
        barred=choice.barred,
        may_be_cheaper=ranking.may_be_cheaper,
        room_for=choice.margin if by_score else None,
    )


def _compared(choice: Choice) -> set[str]:
    return {choice.strategy, *(name for planned in choice.comparisons for name in (planned.a, planned.b))}


def target_met(target: float | None, score: Interval | None) -> bool | None:
    """Return whether a target is met (by the whole interval), missed (False) or not shown (None)."""
    if target is None or score is None:
        return None
    if score.low >= target:
        return True
    return None if score.value >= target else False


def _eligible(choice: Choice, ranking: Ranking, test: Mapping[str, Evaluation]) -> list[str]:
    out = {*choice.barred, *(item.strategy for item in choice.dropped if item.strategy not in test)}
    return [name for name in ranking.names() if name not in out]


def _result(dev: Evaluation, test: Mapping[str, Evaluation], *, choice: Choice, ranking: Ranking) -> StrategyResult:
    """Return one strategy's row; costs and latencies are those that the choice saw, measured on dev."""
    name, metric = dev.strategy, ranking.metric.value
    on_dev = dev.scores[metric]
    broken = choice.barred.get(name, ())
    left = any(item.strategy == name for item in choice.dropped) and name not in test
    pricing, volume = Pricing(ranking.prices), ranking.prices.requests_per_month
    running = pricing.running(dev)
    return StrategyResult(
        name=name,
        role=dev.role,
        eligible=not broken and not left,
        dev=DevScore(on_dev.value, (on_dev.low, on_dev.high), dev.n),
        test=_test_score(test[name], metric) if name in test else None,
        usd_per_1k_requests=ranking.usd_per_1k(name),
        usd_total=pricing.total(dev),
        p50_ms=dev.p50_ms,
        p95_ms=dev.p95_ms,
        train_seconds=dev.train_seconds,
        train_gpu_hours=dev.train_gpu_hours,
        broken=broken,
        model=dev.model,
        cuts=dev.cuts,
        usd_per_month=None if running is None else running.usd_per_month(volume),
        machines=None if running is None else running.machines(volume),
        forgetting=dev.forgetting,
    )


def _test_score(test: Evaluation, metric: str) -> TestScore:
    score = test.scores[metric]
    return TestScore(
        value=score.value,
        ci95=(score.low, score.high),
        n=test.n,
        failed=test.failed,
        seeds=1 + len(test.seed_predictions),
        draw=test.draw,
        draw_sd=sd_of_one_draw(test, Metric(metric)),
    )
