"""The decision: what test shows about the choice made on dev.

Not covered: making the choice (`choice`), storing it, opening test.
"""

from collections.abc import Mapping, Sequence

from llmtl.costs import PriceConfig, known_total
from llmtl.decision.comparing import over_seeds
from llmtl.decision.config import DecisionConfig
from llmtl.decision.eligibility import check, check_disjoint
from llmtl.decision.evidence import gather
from llmtl.decision.outcome import Choice, Decision, DevScore, StrategyResult, TestScore
from llmtl.decision.power import break_evens, detectable_difference, more_test_examples
from llmtl.decision.ranking import Ranking
from llmtl.decision.reasons import Case, reason, reasons, target_of, warnings, why_dropped, would_change
from llmtl.decision.verdict import rule
from llmtl.errors import RunError
from llmtl.measured.evaluation import Evaluation
from llmtl.task import Task


def decide(
    task: Task,
    choice: Choice,
    *,
    dev: Sequence[Evaluation],
    test: Sequence[Evaluation],
    config: DecisionConfig,
    prices: PriceConfig,
    dropped: Sequence[Evaluation] = (),
) -> Decision:
    """Return the verdict on a choice, from test evaluations of at least the strategies it planned to compare.

    `dropped` are the evaluations, on the part of dev that they saw, of the strategies that left the race. The margin is
    the choice's, which was written down with it. Raises `RunError` for evaluations that do not fit together.
    """
    check(dev, split="dev")
    check(test, split="test")
    check_disjoint(dev, test)
    expected = {item.strategy: item.expected for item in choice.dropped}
    ranking = Ranking((*dev, *dropped), task.metric, prices, expected)
    if choice.strategy not in ranking.names():
        raise RunError(f"The choice '{choice.strategy}' has no dev evaluation; choose again.")
    on_test = {item.strategy: over_seeds(item, task.metric, config) for item in test}
    case = _case(choice, ranking, on_test, config)
    winner = case.test.get(case.ruling.winner)
    score = None if winner is None else winner.scores[task.metric.value]
    met, note = target_of(task.target, score, case.words)
    return Decision(
        task=task.name,
        verdict=case.ruling.verdict,
        winner=case.ruling.winner,
        reason=reason(case),
        reasons=reasons(case, note),
        metric=task.metric.value,
        target=task.target,
        target_met=met,
        target_note=note,
        margin=choice.margin,
        chosen_before_test=choice.strategy,
        choice=choice,
        strategies=tuple(_result(item, case) for item in ranking.evaluations),
        comparisons=tuple(finding.written() for finding in case.evidence.findings),
        minimum_detectable_difference=case.detectable,
        more_test_examples=case.more,
        break_even=case.break_even,
        would_change=would_change(case),
        warnings=warnings(case),
    )


def _case(choice: Choice, ranking: Ranking, test: Mapping[str, Evaluation], config: DecisionConfig) -> Case:
    """Return the evidence, the ruling and the forecasts together."""
    evidence = gather(choice, test, metric=ranking.metric, config=config)
    ruling = rule(choice, evidence, ranking)
    out = {*choice.ineligible, *(item.strategy for item in choice.dropped if item.strategy not in test)}
    eligible = [name for name in ranking.names() if name not in out]
    return Case(
        choice=choice,
        ranking=ranking,
        test=test,
        evidence=evidence,
        ruling=ruling,
        config=config,
        detectable=detectable_difference(evidence),
        more=more_test_examples(ruling, evidence),
        break_even=break_evens(ranking, eligible, ruling.winner),
    )


def _result(dev: Evaluation, case: Case) -> StrategyResult:
    """Return one strategy's row; costs and latencies are those that the choice saw, measured on dev."""
    metric = case.ranking.metric.value
    on_dev, test = dev.scores[metric], case.test.get(dev.strategy)
    why_not = case.choice.ineligible.get(dev.strategy)
    dropped = next((item for item in case.choice.dropped if item.strategy == dev.strategy), None)
    if dropped and not test:
        why_not = why_dropped(dropped, case.words)
    return StrategyResult(
        name=dev.strategy,
        role=dev.role,
        eligible=why_not is None,
        why_not=why_not,
        dev=DevScore(on_dev.value, (on_dev.low, on_dev.high), dev.n),
        test=None if test is None else _test_score(test, case),
        usd_per_1k_requests=dev.usd_per_1k_requests,
        usd_total=known_total(dev.train_usd, dev.usd_per_1k_requests, case.ranking.prices),
        p50_ms=dev.p50_ms,
        p95_ms=dev.p95_ms,
        train_seconds=dev.train_seconds,
        train_gpu_hours=dev.train_gpu_hours,
    )


def _test_score(test: Evaluation, case: Case) -> TestScore:
    score = test.scores[case.ranking.metric.value]
    return TestScore(score.value, (score.low, score.high), test.n, test.failed, 1 + len(test.seed_predictions))
