"""Dev, with the strategies raced that may be: one that cannot be chosen any more is not scored on the rest of dev.

Strategies that do not race, by their facts, are scored on all of dev first and run as rivals that cannot be dropped:
baselines cost next to nothing, and taking turns with a tuned model, which many machines cannot hold beside the base
model, would cost more than it saves. Not covered: the race itself (`llmtl.decision.racing`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from llmtl.costs import MemberUse, Pricing
from llmtl.decision.config import Goal
from llmtl.decision.outcome import Dropped
from llmtl.decision.racing import RACED, SURELY_CHEAPER, Cheaper, Race, race
from llmtl.findings import SearchTrace, finding
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics import Measure
from llmtl.pipeline.evaluate import Pass, mean_tokens
from llmtl.pipeline.measure import Bench, RacedPass
from llmtl.pipeline.searched import with_search
from llmtl.pipeline.waiting import Stopwatch
from llmtl.strategy import AnyStrategy, Prediction, Predictor
from llmtl.task import Example, references

Measured = list[tuple[Evaluation, Path]]
_PREDICTIONS = TypeAdapter(tuple[Prediction, ...])
_FORM = 2
"""What the race keeps, counted up with every change to it, so that an older run folder is raced anew."""
_READ = {"racing_block", "alpha", "margin"}
"""What the race reads of the decision's section: nothing is scored again for a change of anything else."""


@dataclass(frozen=True)
class Raced:
    """Dev evaluations of those who saw all of it, and of the dropped on what they saw."""

    finished: Measured
    left: Measured
    dropped: tuple[Dropped, ...]


def measure_dev(bench: Bench, strategies: list[AnyStrategy]) -> Raced:
    """Return the dev evaluations of fitted strategies, raced where that is possible and may save something."""
    config, dev = bench.prepared.recipe.decision, bench.split.dev
    running = [strategy for strategy in strategies if strategy.facts.races]
    # a strategy that scores less may still be left more, so nothing is dropped for its score then
    by_score = config.goal is Goal.SCORE and bench.prepared.task.metric in RACED
    possible = config.racing and not config.constrained and by_score
    if not possible or len(running) < 2 or len(dev) <= config.racing_block:
        return Raced([bench.evaluate(strategy, "dev") for strategy in strategies], [], ())
    rivals = {item.name: bench.evaluate(item, "dev") for item in strategies if item not in running}
    order = np.random.default_rng(bench.prepared.recipe.seed).permutation(len(dev))
    depends_on = {
        "form": _FORM,
        "fits": {strategy.name: bench.fit_folder(strategy).name for strategy in running},
        "rivals": {name: path.name for name, (_, path) in rivals.items()},
        "decision": config.model_dump(mode="json", include=_READ),
        "order": [dev[position].id for position in order],
    }
    kept = bench.store.step("race", depends_on, lambda _: _RaceScorer(bench, order, running).run(rivals))
    fits = {strategy.name: bench.fit(strategy) for strategy in running}
    dropped = tuple(with_search(drop, fits[drop.strategy]) for drop in (Dropped(**each) for each in kept["dropped"]))
    raced = _evaluated(bench, strategies, rivals, kept=kept["scored"], dropped=dropped, order=order)
    _warn_of_prices(bench, raced, kept.get("cheaper", {}))
    return raced


def _warn_of_prices(bench: Bench, raced: Raced, cheaper: Mapping[str, Sequence[str]]) -> None:
    """Say so where a kept race dropped a strategy for being dearer than one that costs more at the present prices.

    Nothing is scored again for a change of price: `cheaper` has, by dropped strategy, who counted as cheaper then.
    """
    pricing = Pricing(bench.prepared.recipe.prices)
    totals = {item.strategy: pricing.total(item) or 0.0 for item, _ in (*raced.finished, *raced.left)}
    for name, others in cheaper.items():
        dearer = [other for other in others if totals[other] > totals[name]]
        if dearer:
            bench.progress.say(
                f"Warning: {name} left the race on dev when {', '.join(dearer)} cost less; at these prices it costs "
                "more. Run into another folder with --out to race again."
            )


def _evaluated(
    bench: Bench,
    strategies: list[AnyStrategy],
    rivals: dict[str, tuple[Evaluation, Path]],
    *,
    kept: dict[str, Any],
    dropped: tuple[Dropped, ...],
    order: NDArray[np.int64],
) -> Raced:
    """Return the evaluations from the predictions made in the race."""
    finished: Measured = []
    left: Measured = []
    for strategy in strategies:
        if strategy.name in rivals:
            finished.append(rivals[strategy.name])
            continue
        row = kept[strategy.name]
        predictions = _PREDICTIONS.validate_python(row["predictions"])
        seen = sorted(zip(order.tolist(), predictions, strict=False), key=lambda pair: pair[0])
        examples = tuple(bench.split.dev[position] for position, _ in seen)
        timings = tuple((int(n), float(seconds)) for n, seconds in row.get("timings", ()))
        made = Pass(tuple(item for _, item in seen), row["seconds"], timings, row.get("waited"))
        scored = RacedPass(examples, made)
        measured = bench.evaluate(strategy, "dev", scored=scored)
        (left if strategy.name in {drop.strategy for drop in dropped} else finished).append(measured)
    return Raced(finished, left, dropped)


@dataclass
class _RaceScorer:
    """Scores blocks of dev in the race's order, and keeps what was predicted and how long it took."""

    bench: Bench
    order: NDArray[np.int64]
    strategies: list[AnyStrategy]
    predictors: dict[str, Predictor] = field(default_factory=dict)
    made: dict[str, list[Prediction]] = field(default_factory=dict)
    timings: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    waited: dict[str, float] = field(default_factory=dict)

    def run(self, rivals: dict[str, tuple[Evaluation, Path]]) -> dict[str, Any]:
        """Return the race as JSON values."""
        bench, config = self.bench, self.bench.prepared.recipe.decision
        self.predictors = {strategy.name: bench.predictor(strategy) for strategy in self.strategies}
        metric, whole = bench.prepared.task.metric, bench.split.dev
        fixed = {name: self._measure(whole).each(item.answers)[self.order] for name, (item, _) in rivals.items()}

        def score(name: str, positions: slice) -> NDArray[np.float64]:
            return fixed[name][positions] if name in fixed else self._score(name, positions)

        surely_cheaper = self._cheaper([item for item, _ in rivals.values()])
        cheaper: dict[str, list[str]] = {}

        def counted(a: str, b: str) -> bool:
            found = surely_cheaper(a, b)
            if found:
                cheaper.setdefault(b, []).append(a)
            return found

        names = [*fixed, *self.predictors]
        ended = race(
            names,
            score,
            len(whole),
            block=config.racing_block,
            alpha=config.alpha,
            margin=config.margin,
            never_drop=tuple(fixed),
            cheaper=counted,
        )
        tried = [finding(bench.fit(strategy).findings, SearchTrace) for strategy in self.strategies]
        before = sum(len(trace.tried) * trace.dev_examples for trace in tried if trace is not None)
        bench.progress.say(_told(ended, len(fixed), len(whole), metric.value, before=before))
        return {
            "dropped": _dropped(ended, len(whole)),
            "cheaper": {name: cheaper[name] for name in ended.dropped if name in cheaper},
            "scored": self._scored(),
        }

    def _scored(self) -> dict[str, Any]:
        return {
            name: {
                "predictions": _PREDICTIONS.dump_python(tuple(self.made[name]), mode="json"),
                "seconds": self._seconds(name),
                "timings": self.timings[name],
                "waited": self.waited[name],
            }
            for name in self.predictors
        }

    def _score(self, name: str, positions: slice) -> NDArray[np.float64]:
        examples = [self.bench.split.dev[position] for position in self.order[positions]]
        with self.bench.progress.stage(f"{name}: dev, from {positions.start + 1}", len(examples)) as advance:
            watch = Stopwatch()
            made = self.predictors[name].predict([example.input for example in examples], advance=advance)
            self.timings.setdefault(name, []).append((len(examples), watch.seconds()))
            self.waited[name] = self.waited.get(name, 0.0) + watch.waited()
        named = [replace(item, id=example.id) for item, example in zip(made, examples, strict=True)]
        self.made.setdefault(name, []).extend(named)
        return np.asarray(self._measure(examples).each([item.answer for item in made]), dtype=np.float64)

    def _cheaper(self, rivals: list[Evaluation]) -> Cheaper:
        """Return whether one strategy surely costs less than another, asked when the first block is scored."""
        pricing = Pricing(self.bench.prepared.recipe.prices)
        known = {item.strategy: (pricing.fitting(item) or 0) + (pricing.horizon(item) or 0) for item in rivals}

        def total(name: str) -> float:
            return known[name] if name in known else self._usd_total(name)

        return lambda a, b: SURELY_CHEAPER * total(a) <= total(b)

    def _seconds(self, name: str) -> float:
        return sum(seconds for _, seconds in self.timings[name])

    def _usd_total(self, name: str) -> float:
        """Return what a strategy would cost over the horizon, going by what was scored so far."""
        prices = self.bench.prepared.recipe.prices
        fitted = self.bench.fit(next(item for item in self.strategies if item.name == name))
        made = self.made[name]
        tokens = mean_tokens(made)
        used = MemberUse(
            name,
            len(made),
            self._seconds(name),
            None,
            device=fitted.device,
            devices=fitted.devices,
            prompt_tokens_per_request=tokens.prompt,
            cached_tokens_per_request=tokens.cached,
            completion_tokens_per_request=tokens.completion,
        )
        return (fitted.usd(prices) or 0.0) + (Pricing(prices).horizon(used) or 0.0)

    def _measure(self, examples: "list[Example] | tuple[Example, ...]") -> Measure:
        task = self.bench.prepared.task
        return task.kind.measure(
            task.metric,
            references(examples),
            alternatives=[example.alternatives for example in examples],
            labels=task.labels,
        )


def _dropped(ended: Race, n: int) -> list[dict[str, Any]]:
    """Return the strategies that left the race, as JSON values."""
    return [
        asdict(Dropped(name, drop.n_seen, n, drop.against, drop.score, drop.against_score, ended.expected[name]))
        for name, drop in ended.dropped.items()
    ]


def _told(ended: Race, fixed: int, n: int, metric: str, *, before: int) -> str:
    """Say what the race saved of its own predictions; `before` were made on dev in searches for prompts."""
    saved = ended.evaluations_planned - ended.evaluations_used
    asked = ended.evaluations_planned - fixed * n
    dropped = ", ".join(f"{name} after {drop.n_seen}" for name, drop in ended.dropped.items()) or "nobody"
    searches = f", after {before:,} in searches for prompts" if before else ""
    return f"Race on dev by {metric}: dropped {dropped}; {saved:,} of {asked:,} predictions saved{searches}"
