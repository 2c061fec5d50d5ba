"""Measuring learning curves: the strategies of a run again on nested parts of train, scored on dev.

Each point is a fit and a dev evaluation of the store, so an interrupted run resumes and the largest point is the run's
own. Test is not touched. Not covered: what the points say (`llmtl.learning_curve`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from llmtl.costs import WorkKind
from llmtl.data import subsample
from llmtl.decision.outcome import Decision
from llmtl.learning_curve import (
    CURVE_FILE,
    CURVES,
    FEWEST_POINTS,
    CurvePoint,
    LabelsWorth,
    LearningCurves,
    MeasuredCurve,
    labels_worth,
    subset_sizes,
)
from llmtl.learning_curve import conclude as conclude_curves
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.measure import Bench
from llmtl.pipeline.prepare import Prepared
from llmtl.progress import Silent
from llmtl.store import write_json
from llmtl.strategy import AnyStrategy, Role

BUDGET_SHARE = 0.1
"""The part of the run's time budget that curves may take by default, if so much is left."""
UNLIMITED_MINUTES = 60.0
RESAMPLES = 2000
_Scored = tuple[int, Evaluation]
"""An evaluation on dev after fitting on so many training examples."""


def write_curves(bench: Bench, dev: Sequence[Evaluation], decision: Decision) -> LearningCurves | None:
    """Measure the curves of the winner and its best rival, from the dev evaluations of the run; write `curve.json`.

    None, with the file deleted, where curves are off.
    """
    path = bench.store.folder / CURVE_FILE
    if not bench.prepared.recipe.learning_curve.enabled:
        path.unlink(missing_ok=True)
        return None
    curves = measure_curves(bench, dev, focus_of(decision))
    write_json(path, CURVES.dump_python(curves, mode="json"))
    return curves


def focus_of(decision: Decision) -> tuple[str, ...]:
    """Name the winner and the best other strategy on test; in place of a cascade its members, the better one first."""
    tested = [(item.test.value, item.name) for item in decision.strategies if item.test]
    rivals = sorted((each for each in tested if each[1] != decision.winner), key=lambda each: -each[0])
    members = {trace.name: (trace.then, trace.first) for trace in decision.choice.cascades}
    named = [decision.winner, *(name for _, name in rivals[:1])]
    return tuple(dict.fromkeys(member for name in named for member in members.get(name, (name,))))


def measure_curves(bench: Bench, dev: Sequence[Evaluation], focus: Sequence[str]) -> LearningCurves:
    """Measure the curves of `focus`, or those that the recipe asks for, as far as the time allows; conclude from them.

    Who comes first in `focus` has its curve measured first, and behind them whoever has a control: the curve says how
    many labels pre-training is worth.
    """
    recipe = bench.prepared.recipe
    # a strategy that left the race on dev was scored on a part of it only
    own = {item.strategy: item for item in dev if item.n == len(bench.split.dev)}
    plan = _plan(bench, own, focus)
    scored = {item.name: _measure(bench, item, plan.sizes, own[item.name]) for item in plan.strategies}
    measured = [_measured(found, bench) for found in scored.values()]
    facts = {strategy.name: strategy.facts for strategy in bench.prepared.strategies}
    levels = [
        _measured([(len(bench.split.train), evaluation)], bench)
        for name, evaluation in own.items()
        if not facts[name].learns_from_train
    ]
    prompts = [item for item in measured if facts[item.strategy].role is Role.PROMPTING]
    curves = conclude_curves(
        measured,
        metric=bench.prepared.task.metric.value,
        target=bench.prepared.task.target,
        margin=recipe.decision.margin,
        usd_per_label=recipe.prices.usd_per_label,
        prompting=[*levels, *prompts],
        skipped=plan.skipped,
        focus=focus,
    )
    return replace(curves, worth=_worth(bench, scored, own))


def _worth(
    bench: Bench, scored: Mapping[str, Sequence[_Scored]], own: Mapping[str, Evaluation]
) -> tuple[LabelsWorth, ...]:
    """Say of every curve whose strategy has a control how many times the labels pre-training is worth."""
    metric, found = bench.prepared.task.metric.value, []
    for name, points in scored.items():
        control = own.get(_controls(bench.prepared).get(name, ""))
        if control is not None and len(points) > 1:
            evaluations = [*(evaluation for _, evaluation in points), control]
            scores = [item.scores[metric].value for item in evaluations]
            noise, sizes = _covariance(evaluations, bench), [size for size, _ in points]
            found.append(labels_worth(name, control.strategy, sizes, scores, noise))
    return tuple(found)


def _controls(prepared: Prepared) -> dict[str, str]:
    """Map the strategies whose control the recipe runs, too, to that."""
    return {item.facts.control_of: item.name for item in prepared.strategies if item.facts.control_of}


@dataclass(frozen=True)
class _Plan:
    """Which strategies are measured at which sizes, and why others are not."""

    strategies: tuple[AnyStrategy, ...]
    sizes: tuple[int, ...]
    skipped: Mapping[str, str]


def _plan(bench: Bench, own: Mapping[str, Evaluation], focus: Sequence[str]) -> _Plan:
    config, train = bench.prepared.recipe.learning_curve, bench.split.train
    sizes = sizes_of(bench)
    wanted = _wanted(bench.prepared, focus)
    named, names = config.strategies or (), [strategy.name for strategy in wanted]
    skipped: dict[str, str] = {
        name: "the recipe does not run it, or it left the race on dev" for name in (*named, *names) if name not in own
    }
    if len(sizes) < FEWEST_POINTS:
        made = "one size" if len(sizes) == 1 else f"{len(sizes)} sizes"
        few = f"a curve takes {FEWEST_POINTS} sizes of train, and {len(train):,} examples make {made} worth measuring"
        return _Plan((), sizes, skipped | {strategy.name: few for strategy in wanted})
    left, chosen = _seconds(bench), []
    for strategy in wanted:
        if strategy.name not in own:
            continue
        takes = _forecast_seconds(bench, strategy, sizes, own[strategy.name])
        if takes <= left:
            left -= takes
            chosen.append(strategy)
        else:
            skipped[strategy.name] = (
                f"its curve would take about {takes / 60:.1f} minutes and {left / 60:.1f} are left; "
                "raise learning_curve.minutes"
            )
    return _Plan(tuple(chosen), sizes, skipped)


def sizes_of(bench: Bench) -> tuple[int, ...]:
    """List the sizes of the parts of train that curves are measured on, the whole last."""
    points = bench.prepared.recipe.learning_curve.points
    return subset_sizes(len(bench.split.train), points=points, labels=len(bench.prepared.task.labels))


def _wanted(prepared: Prepared, focus: Sequence[str]) -> list[AnyStrategy]:
    """Return the strategies to measure: who matters most first, others that the recipe names cheapest first."""
    named = prepared.recipe.learning_curve.strategies or {*focus, *_controls(prepared)}
    by_name = {strategy.name: strategy for strategy in prepared.strategies if strategy.name in named}
    order = dict.fromkeys([*(name for name in focus if name in by_name), *by_name])
    return [by_name[name] for name in order if by_name[name].facts.has_curve]


def _seconds(bench: Bench) -> float:
    minutes = bench.prepared.recipe.learning_curve.minutes
    if minutes is not None:
        return 60 * minutes
    seconds = bench.seconds_for("curves", BUDGET_SHARE)
    return 60 * UNLIMITED_MINUTES if seconds is None else seconds


def _forecast_seconds(bench: Bench, strategy: AnyStrategy, sizes: Sequence[int], own: Evaluation) -> float:
    """Return how long the smaller sizes will take, from what the whole of train took (kept, so resuming agrees).

    Where fitting takes time in proportion to the examples it is cut; everything else takes as long as with all of them.
    """
    scoring = sum(prediction.seconds for prediction in own.predictions)
    fitting = bench.fit(strategy).train_seconds or 0.0
    shares = [size / sizes[-1] if strategy.facts.time_grows_with_train else 1.0 for size in sizes[:-1]]
    return float(sum(share * fitting + scoring for share in shares))


def _measure(bench: Bench, strategy: AnyStrategy, sizes: Sequence[int], own: Evaluation) -> list[_Scored]:
    """Evaluate the strategy at each size; `own` is the run's evaluation, its last point."""
    found: list[_Scored] = []
    with bench.progress.stage(f"{strategy.name}: learning curve", len(sizes) - 1) as advance:
        for size in sizes[:-1]:
            smaller = at_size(bench, strategy, size)
            if smaller.fit(strategy).skipped is None:
                found.append((size, smaller.evaluate(strategy, "dev")[0]))
            advance(1)
    return [*found, (sizes[-1], own)]


def at_size(bench: Bench, strategy: AnyStrategy, size: int) -> Bench:
    """Make the bench with that many training examples.

    Training that has a time limit gets its share of it, so that every size is trained for about as many passes.
    """
    prepared = bench.prepared
    split = subsample(bench.split, train=size, seed=prepared.recipe.seed, kind=prepared.task.kind)
    plan = bench.plan
    if plan and strategy.facts.time_grows_with_train:
        plan = plan.scaled(size / len(bench.split.train))
    return replace(bench, split=split, plan=plan, progress=Silent(), work=WorkKind.LEARNING_CURVES)


def _measured(found: Sequence[_Scored], bench: Bench) -> MeasuredCurve:
    evaluations = [evaluation for _, evaluation in found]
    metric = bench.prepared.task.metric.value
    intervals = [evaluation.scores[metric] for evaluation in evaluations]
    points = tuple(
        CurvePoint(size, interval.value, (interval.low, interval.high))
        for (size, _), interval in zip(found, intervals, strict=True)
    )
    return MeasuredCurve(evaluations[0].strategy, points, _covariance(evaluations, bench), evaluations[0].n)


def _covariance(evaluations: Sequence[Evaluation], bench: Bench) -> NDArray[np.float64]:
    """Return how the scores vary together over resamples of dev, by groups where there are any, shape (k, k)."""
    measure = evaluations[0].measure(bench.prepared.task.metric)
    examples = bench.split.dev
    groups = [example.id if example.group is None else f"group {example.group}" for example in examples]
    _, member = np.unique(groups, return_inverse=True)
    count = int(member.max()) + 1
    rng = np.random.default_rng(bench.prepared.recipe.seed)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)[:, member].astype(np.float64)
    scores = [measure.value(weights @ measure.counts(evaluation.answers)) for evaluation in evaluations]
    return np.asarray(np.atleast_2d(np.cov(np.stack(scores))), dtype=np.float64)
