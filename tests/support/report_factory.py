"""Made-up but realistic report contents: `make_content()` and its variants. Numbers are simulated, not measured."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score
from statsmodels.stats.proportion import proportion_confint

from llmtl.checks.finding import Finding, Level
from llmtl.costs import StatedCost
from llmtl.decision.broken_limits import Broken, Constraint
from llmtl.decision.outcome import (
    Choice,
    Comparison,
    Decision,
    DevScore,
    Planned,
    Purpose,
    StrategyResult,
    TestScore,
    Verdict,
)
from llmtl.decision.outlook import BreakEven, MoreRequests
from llmtl.findings import FitFinding, SearchTrace, TrainingCurve, TrainingPoint, TriedPrompt
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.intervals import Interval
from llmtl.report.content import ReportContent, Skipped, SkipReason
from llmtl.report.sentences import Summary
from llmtl.strategy import Prediction, Role
from llmtl.task import Example, Task

LABELS = (
    "billing",
    "delivery",
    "returns",
    "account access",
    "technical fault",
    "cancellation",
    "loyalty points",
    "other",
)
OPENINGS = ("Hello,", "Hi there,", "Good morning,", "Quick question:", "", "Urgent:")
BODIES = (
    "my parcel was due on Tuesday and nobody can tell me where it is",
    "the amount on my last statement is not what we agreed",
    "I cannot sign in any more since I changed my phone",
    "please end my contract by the end of the month",
    "the kettle switches itself off before the water boils",
    "how do I send back the jacket that does not fit",
    "I bought for 80 but none of it shows in my rewards",
    "are you open on Sundays over the summer",
)
SUCCESS_RATES = {
    "majority": 0.125,
    "tfidf": 0.55,
    "zero-shot": 0.64,
    "few-shot": 0.76,
    "knn-few-shot": 0.78,
    "qlora": 0.91,
}


@dataclass(frozen=True)
class Cost:
    usd: float
    p50_ms: float
    p95_ms: float
    train_seconds: float
    prompt_tokens: float = 0.0
    cached_tokens: float = 0.0


COSTS = {
    "majority": Cost(0.0, 0.003, 0.01, 0.0),
    "tfidf": Cost(0.0000042, 0.41, 0.9, 1.3),
    "zero-shot": Cost(0.0011, 12.2, 17.8, 0.0, 118, 84),
    "few-shot": Cost(0.0013, 14.6, 21.0, 41.0, 506, 470),
    "knn-few-shot": Cost(0.0062, 61.0, 94.0, 2.1, 498, 84),
    "qlora": Cost(0.0011, 12.9, 18.4, 200.0, 34, 0),
}


def role_of(name: str) -> Role:
    if name in ("majority", "tfidf"):
        return Role.BASELINE
    return Role.TUNING if name == "qlora" else Role.PROMPTING


def make_examples(labels: tuple[str, ...], n: int, prefix: str) -> tuple[Example, ...]:
    bodies = [BODIES[i % len(BODIES)] for i in range(len(labels))]
    return tuple(
        Example(
            id=f"{prefix}-{i}",
            input=f"{OPENINGS[i % len(OPENINGS)]} {bodies[i % len(labels)]} (ref {1000 + 7 * i})".strip(),
            reference=labels[i % len(labels)],
        )
        for i in range(n)
    )


def predict(name: str, examples: tuple[Example, ...], labels: tuple[str, ...], *, rate: float, failed: int = 0):
    rng = np.random.default_rng(sum(map(ord, name)))
    hardness = np.random.default_rng(5).uniform(0, 1, len(examples))  # shared: hard examples are hard for everyone
    predictions = []
    for i, example in enumerate(examples):
        if i < failed:
            predictions.append(Prediction(example.id, None, failure="the answer is no label"))
            continue
        right = name != "majority" and 0.6 * hardness[i] + 0.4 * rng.uniform() < rate
        own = labels.index(example.reference)
        guess = own if right else (own + 1 + int(rng.exponential(0.8))) % len(labels)
        weights = rng.gamma(0.25, size=len(labels))
        weights[guess] = weights.max() + rng.gamma(3.0 if right else 1.0)
        if name == "majority":
            guess, weights = 0, np.ones(len(labels))
        probabilities = dict(zip(labels, (weights / weights.sum()).tolist(), strict=True))
        predictions.append(Prediction(example.id, labels[guess], probabilities, seconds=COSTS[name].p50_ms / 1000))
    return tuple(predictions)


def score_interval(references: list[str], predicted: list[str]) -> dict[str, Interval]:
    n, value = len(references), accuracy_score(references, predicted)
    low, high = proportion_confint(round(value * n), n, method="wilson")
    f1 = f1_score(references, predicted, average="macro", labels=sorted(set(references)), zero_division=0)
    return {
        "accuracy": Interval(float(value), float(low), float(high)),
        "macro_f1": Interval(float(f1), max(0.0, float(f1 - value + low)), min(1.0, float(f1 - value + high))),
    }


def evaluate(
    name: str, split: str, examples: tuple[Example, ...], labels: tuple[str, ...], *, rate: float, failed: int = 0
):
    predictions = predict(name, examples, labels, rate=rate, failed=failed)
    references = tuple(example.reference for example in examples)
    cost = COSTS[name]
    return Evaluation(
        strategy=name,
        role=role_of(name),
        split=split,
        predictions=predictions,
        references=references,
        scores=score_interval(list(references), [p.answer or "" for p in predictions]),
        seconds=len(examples) * cost.p50_ms / 1000,
        p50_ms=cost.p50_ms,
        p95_ms=cost.p95_ms,
        train_seconds=cost.train_seconds,
        stated=StatedCost(cost.usd / 1000, 0.0),
        prompt_tokens_per_request=cost.prompt_tokens,
        cached_tokens_per_request=cost.cached_tokens,
        completion_tokens_per_request=2.4 if cost.prompt_tokens else 0.0,
        peak_memory_gib=0.6 if cost.prompt_tokens else 0.05,
    )


def result_of(dev: Evaluation, test: Evaluation) -> StrategyResult:
    def ends(interval: Interval) -> tuple[float, float]:
        return interval.low, interval.high

    on_dev, on_test, cost = dev.scores["accuracy"], test.scores["accuracy"], COSTS[dev.strategy]
    return StrategyResult(
        name=dev.strategy,
        role=dev.role,
        eligible=True,
        dev=DevScore(on_dev.value, ends(on_dev)),
        test=TestScore(on_test.value, ends(on_test), test.n, test.failed),
        usd_per_1k_requests=cost.usd,
        usd_total=cost.usd * 100,
        p50_ms=cost.p50_ms,
        p95_ms=cost.p95_ms,
        train_seconds=cost.train_seconds,
        train_gpu_hours=0.0,
    )


def searched(tried: list[TriedPrompt]) -> SearchTrace:
    best = max(tried, key=lambda each: each.scores["accuracy"])
    return SearchTrace(best.shots, best.seed, 0, ("tell",), "accuracy", dev_examples=200, tried=tuple(tried))


def trained(points: list[TrainingPoint], *, best_step: int) -> TrainingCurve:
    return TrainingCurve(
        points=tuple(points),
        best_step=best_step,
        stopped_by="early stopping",
        learning_rate=1e-3,
        learning_rate_from="recipe",
        batch=16,
        accumulation=1,
        train_examples=160,
        dropped_train_examples=0,
        dropped_dev_examples=0,
        trained_tokens=1000,
        peak_memory_gib=1.0,
    )


def findings_of(names: list[str], seed: int = 0) -> dict[str, tuple[FitFinding, ...]]:
    rng = np.random.default_rng(seed)
    candidates = [
        TriedPrompt(shots, s, {"accuracy": round(float(0.6 + 0.05 * i + rng.normal(0, 0.025)), 3)}, 0, 1.0)
        for i, shots in enumerate((4, 8, 16, 32))
        for s in range(3)
    ]
    curve = [
        TrainingPoint(
            step=10 * step,
            epoch=step / 4,
            train_loss=float(2.1 * np.exp(-step / 4) + 0.08 + abs(rng.normal(0, 0.02))),
            dev_loss=float(1.9 * np.exp(-step / 4) + 0.25 + 0.008 * step + abs(rng.normal(0, 0.01))),
            dev_token_accuracy=float(min(0.93, 0.4 + 0.09 * step - 0.004 * step**2)),
            seconds=float(step),
        )
        for step in range(1, 13)
    ]
    found: dict[str, tuple[FitFinding, ...]] = {
        "few-shot": (searched(candidates),),
        "qlora": (trained(curve, best_step=90),),
    }
    return {name: found.get(name, ()) for name in names}


def compare(a: StrategyResult, b: StrategyResult, why: Purpose, p: float) -> Comparison:
    gap = a.test.value - b.test.value
    half = 0.085
    return Comparison(
        a.name, b.name, why, gap, (gap - half, gap + half), gap + 0.07, p, min(1.0, 3 * p), "exact McNemar"
    )


def make_decision(results: tuple[StrategyResult, ...], **changes: Any) -> Decision:
    by_name = {result.name: result for result in results}
    winner = changes.get("winner", "qlora" if "qlora" in by_name else results[-1].name)
    others = [result.name for result in results if result.name != winner]
    comparisons = tuple(
        compare(by_name[winner], by_name[name], why, p)
        for name, why, p in (
            ("tfidf", Purpose.BEST_BASELINE, 0.0000021),
            ("zero-shot", Purpose.ZERO_SHOT, 0.0004),
            ("knn-few-shot", Purpose.RUNNER_UP, 0.021),
        )
        if name in others
    )
    decision = Decision(
        task="customer messages",
        verdict=Verdict.ADOPT,
        winner=winner,
        metric="accuracy",
        target=0.85,
        target_met=True,
        margin=0.02,
        chosen_before_test=winner,
        choice=Choice(
            strategy=winner,
            best_on_dev=winner,
            best_baseline="tfidf",
            best_llm="qlora",
            runner_up="knn-few-shot",
            not_shown_worse=(winner,),
            within_margin=(winner,),
            comparisons=tuple(Planned(c.a, c.b, c.purpose) for c in comparisons),
            margin=0.02,
            written_at="2026-11-23 14:02 UTC",
        ),
        strategies=results,
        comparisons=comparisons,
        minimum_detectable_difference=0.112,
        more_test_examples=None,
        break_even=(BreakEven("few-shot", "qlora", 41200.0),),
        changes=(MoreRequests(BreakEven("few-shot", "qlora", 41200.0)),),
    )
    return replace(decision, **changes)


SUMMARY = Summary(
    reason="qlora is right on 0.917 of the test messages, more than every other strategy, and costs no more per "
    "request than zero-shot prompting.",
    reasons=(
        "On test qlora scores 0.917, 0.135 above knn-few-shot, the runner-up; the difference is larger than chance "
        "explains (p = 0.021 before and 0.063 after correction).",
        "Against tfidf, the best baseline, it gains 0.375: what the model knew before matters here.",
        "It needs 34 prompt tokens a request where few-shot needs 506, so it is no slower than zero-shot.",
    ),
    would_change=(
        "Fewer than 41,200 requests in all: few-shot then costs less than training qlora.",
        "A latency limit below 18 ms at p95 would leave only the baselines.",
    ),
    warnings=("Dev holds 48 examples only: the choice among the prompting strategies is noisy.",),
    target_note="the lower end of the interval lies above it",
)
SAID = tuple(item.name for item in fields(Summary))


def make_content(
    names: tuple[str, ...] = tuple(SUCCESS_RATES),
    *,
    labels: tuple[str, ...] = LABELS,
    n_test: int = 96,
    failed: int = 0,
    **changes: Any,
) -> ReportContent:
    """Return a complete content: each strategy measured on dev and test, qlora adopted unless told otherwise.

    `changes` are fields of the decision or of its summary.
    """
    said = {name: changes.pop(name) for name in SAID if name in changes}
    dev, test = make_examples(labels, max(8, n_test // 2), "dev"), make_examples(labels, n_test, "test")
    pairs = [
        (
            evaluate(name, "dev", dev, labels, rate=SUCCESS_RATES[name]),
            evaluate(name, "test", test, labels, rate=SUCCESS_RATES[name], failed=failed if name == "qlora" else 0),
        )
        for name in names
    ]
    results = tuple(result_of(on_dev, on_test) for on_dev, on_test in pairs)
    return ReportContent(
        task=Task("customer messages", labels, target=0.85),
        decision=make_decision(results, **changes),
        summary=replace(SUMMARY, **said),
        evaluations=tuple(evaluation for pair in pairs for evaluation in pair),
        test_examples=test,
        sizes={"train": 160, "dev": len(dev), "test": len(test)},
        fit_findings=findings_of(list(names)),
        findings=(
            Finding(
                "duplicates", Level.WARNING, "3 messages occur twice; the copies were removed.", ("row-7", "row-81")
            ),
            Finding("imbalance", Level.INFO, "The rarest label, other, has 9 examples in train."),
        ),
        skipped={"dpo": Skipped(SkipReason.UNKNOWN, "not part of this recipe")}
        if "qlora" in names
        else {"qlora": Skipped(SkipReason.UNKNOWN, "no model was given")},
        provenance={
            "llmtl": "0.1.0",
            "model": "pocket-llama",
            "device": "cpu, 2 cores",
            "data": "sha256:4be1c9…a07f",
            "seed": "0",
            "started": "2026-11-23 13:51 UTC",
            "duration": "11 min 20 s",
        },
    )


def many_labels() -> ReportContent:
    """Return a task of 77 labels with 308 test examples."""
    topics = ("card", "transfer", "top up", "exchange", "account", "refund", "pin")
    events = (
        "arrival",
        "declined",
        "pending",
        "fee charged",
        "limit",
        "not recognised",
        "wrong amount",
        "cancelled",
        "status",
        "how to",
        "lost",
    )
    return make_content(
        labels=tuple(f"{topic} {event}".replace(" ", "_") for topic in topics for event in events), n_test=308
    )


def few_rows() -> ReportContent:
    """Return a decision on 24 test examples, too few to settle it, with no target."""
    return make_content(
        n_test=24,
        verdict=Verdict.INCONCLUSIVE,
        reason="24 test examples cannot tell qlora from knn-few-shot: about 230 more would.",
        target=None,
        target_met=None,
        target_note=None,
        more_test_examples=230,
        minimum_detectable_difference=0.31,
    )


TOO_SLOW = "it takes 94 ms at the 95th percentile, and decision.max_p95_ms is 50"


def with_failures() -> ReportContent:
    """Return a decision where the winner failed on 5 examples and one strategy is not eligible."""
    content = make_content(failed=5, target_met=False, target_note=None)
    slow = tuple(
        replace(result, eligible=False, broken=(Broken(Constraint.P95_MS, 50, 94),), test=None)
        if result.name == "knn-few-shot"
        else result
        for result in content.decision.strategies
    )
    evaluations = tuple(e for e in content.evaluations if (e.strategy, e.split) != ("knn-few-shot", "test"))
    return replace(
        content,
        decision=replace(content.decision, strategies=slow),
        summary=replace(content.summary, why_not={"knn-few-shot": TOO_SLOW}),
        evaluations=evaluations,
    )


def only_baselines() -> ReportContent:
    """Return a decision for a baseline where no model was given."""
    return make_content(
        ("majority", "tfidf"),
        verdict=Verdict.BASELINE,
        winner="tfidf",
        reason="Use tfidf: no strategy with a pre-trained model was measured. "
        "It is far better than always answering billing.",
        reasons=("tfidf scores 0.417 above majority.",),
        target_met=False,
        break_even=(),
        would_change=("A model: give one to see whether prompting or tuning is worth more.",),
        warnings=(),
    )


def tie() -> ReportContent:
    """Return a tie that goes to the cheapest of the tied."""
    return make_content(
        verdict=Verdict.TIE,
        winner="zero-shot",
        reason="No strategy is shown better than zero-shot, the cheapest.",
        target_met=False,
    )


def hostile() -> ReportContent:
    """Return a content whose every text tries to become markup."""
    evil = "<script>alert('x')</script>"
    labels = (f"{evil} | **a** `b`", "[bold]b[/bold]", "plain", "\"quoted\" & 'single'")
    content = make_content(labels=labels, reason=f"{evil} [red]reason[/red] | x", would_change=(f"{evil} [x](y)",))
    examples = tuple(replace(example, input=f"{evil}\n| {example.text} |\n# head") for example in content.test_examples)
    return replace(
        content,
        task=replace(content.task, name=evil),
        test_examples=examples,
        findings=(Finding(evil, Level.WARNING, evil, (evil,)),),
        skipped={evil: Skipped(SkipReason.UNKNOWN, evil)},
        provenance={evil: evil, "model": "see http://example.com/x.js"},
    )


VARIANTS = {
    "adopt": make_content,
    "many-labels": many_labels,
    "few-rows": few_rows,
    "failures": with_failures,
    "only-baselines": only_baselines,
    "tie": tie,
    "hostile": hostile,
}
