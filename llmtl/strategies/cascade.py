"""Cascades: a strategy that costs little answers what it is sure of, and a better one the rest.

A cascade is composed of two strategies that were measured; no model runs for it. On an example it answers what `first`
answers where that gives its answer a probability of at least the threshold, and what `then` answers otherwise (Viola &
Jones 2001, "Rapid Object Detection using a Boosted Cascade of Simple Features"; of language models Chen, Zaharia & Zou
2023, "FrugalGPT"). It is not in the table of strategies, for nothing is fitted; it is tested like any of them.

Which pairs are tried: each of the `MOST` best strategies on dev that are no baselines, after the best on dev of those
that say how sure they are and cost at most half as much per request. So at most `MOST` strategies are added.

The threshold: nine are tried, which pass on a tenth to nine tenths of dev. Taken is the one that passes on least among
those whose dev score is at most half a margin below the best of all, both members alone included: the other half of the
margin is left for chance. Where that is a member alone, there is no cascade. So that the search does not flatter the
dev score, each fifth of dev is answered with the threshold that the other fifths would choose (Stone 1974,
"Cross-Validatory Choice and Assessment of Statistical Predictions"); test, and every request, has the one threshold
that all of dev chose.

Not covered: three members, members whose probabilities are recalibrated for this, kinds of task without probabilities.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmtl.costs import MemberUse, PriceConfig, Pricing, StatedCost, cost_of_load
from llmtl.findings import CascadeTrace, TriedThreshold, cascade_name
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.hierarchical import cluster_codes
from llmtl.progress import Advance, unwatched
from llmtl.strategy import CascadeServed, Facts, LocalServed, Prediction, Predictor, Role
from llmtl.task import Draw, Input, Metric

MOST = 3
CHEAPER = 2.0
"""How many times as much the second must cost per request; less is within reach of the noise of timing."""
SHARES = tuple(tenth / 10 for tenth in range(1, 10))
"""The shares of dev that the thresholds which are tried pass on."""
FOLDS = 5
FEWEST = 20
"""With fewer independent dev examples no threshold is chosen."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Cascade:
    """`first` answers what it gives a probability of at least `threshold`, `then` the rest."""

    first: str
    then: str
    threshold: float

    @property
    def name(self) -> str:
        """Name it after its members."""
        return cascade_name(self.first, self.then)

    def of(self, first: Evaluation, then: Evaluation) -> Evaluation:
        """Compose the evaluations of the members on the same examples."""
        return joined(self, first, then)


@dataclass(frozen=True)
class Composed:
    """A cascade with how its threshold was chosen; `on_dev` is the threshold of each dev example, from the others."""

    cascade: Cascade
    trace: CascadeTrace
    on_dev: tuple[float, ...]

    def dev(self, first: Evaluation, then: Evaluation) -> Evaluation:
        """Compose the dev evaluations of the members."""
        return joined(self.cascade, first, then, self.on_dev)


@dataclass(frozen=True)
class Composing:
    """What thresholds are chosen by; `may_be_first` says whether a strategy can be served in front of another."""

    metric: Metric
    margin: float
    prices: PriceConfig
    may_be_first: Callable[[str], bool]
    seed: int = 0


def compose(dev: Sequence[Evaluation], rules: Composing) -> tuple[Composed, ...]:
    """Compose the cascades that promise something on dev, at most `MOST`."""
    found = (_composed(first, then, rules) for first, then in pairs(dev, rules))
    return tuple(each for each in found if each is not None)


def pairs(dev: Sequence[Evaluation], rules: Composing) -> list[tuple[Evaluation, Evaluation]]:
    """Say whose cascades are tried, the best second member first."""
    pricing = Pricing(rules.prices)

    def score(item: Evaluation) -> float:
        return item.scores[rules.metric.value].value

    def much_cheaper(item: Evaluation, than: Evaluation) -> bool:
        low, high = pricing.per_1k_at_full_use(item), pricing.per_1k_at_full_use(than)
        return low is not None and high is not None and CHEAPER * low <= high

    seconds = sorted((item for item in dev if item.role is not Role.BASELINE), key=score, reverse=True)[:MOST]
    sure = [item for item in dev if rules.may_be_first(item.strategy) and _knows_how_sure(item)]
    found = []
    for then in seconds:
        firsts = [item for item in sure if item.strategy != then.strategy and much_cheaper(item, then)]
        if firsts:
            found.append((max(firsts, key=score), then))
    return found


def _knows_how_sure(evaluation: Evaluation) -> bool:
    answered = [item for item in evaluation.predictions if item.answer is not None]
    return bool(answered) and all(item.certainty is not None for item in answered)


def _composed(first: Evaluation, then: Evaluation, rules: Composing) -> Composed | None:
    """Return the cascade of two strategies; None where a member alone does as well, or dev is too small."""
    codes = cluster_codes(first.groups, first.n)
    if int(codes.max()) + 1 < FEWEST:
        return None
    search = _Search.of(first, then, rules)
    taken = search.take(np.ones(first.n, dtype=bool))
    if taken in search.ends:
        return None
    fold = np.random.default_rng(rules.seed).permutation(int(codes.max()) + 1)[codes] % FOLDS
    on_dev = np.empty(first.n)
    for number in range(FOLDS):
        on_dev[fold == number] = search.thresholds[search.take(fold != number)]
    cascade = Cascade(first.strategy, then.strategy, search.thresholds[taken])
    scores = search.scores(np.ones(first.n, dtype=bool))
    tried = zip(search.thresholds, search.passed_on, scores, strict=True)
    trace = CascadeTrace(
        first=first.strategy,
        then=then.strategy,
        threshold=cascade.threshold,
        passed_on=search.passed_on[taken],
        metric=rules.metric.value,
        dev_examples=first.n,
        first_score=scores[0],
        then_score=scores[-1],
        tried=tuple(TriedThreshold(*each) for each in list(tried)[1:-1]),
        folds=FOLDS,
    )
    return Composed(cascade, trace, tuple(on_dev.tolist()))


@dataclass(frozen=True)
class _Search:
    """Thresholds in rising order, the first passing on nothing and the last everything; `counts` is (K, N, S)."""

    thresholds: tuple[float, ...]
    passed_on: tuple[float, ...]
    counts: Floats
    value: Callable[[Floats], Floats]
    tolerance: float

    @classmethod
    def of(cls, first: Evaluation, then: Evaluation, rules: Composing) -> "_Search":
        """Answer dev with every threshold."""
        sure = np.array([confidence(item) for item in first.predictions])
        thresholds = (0.0, *_between(sure), np.inf)
        measure = then.measure(rules.metric)
        answers = [_answers(first, then, threshold) for threshold in thresholds]
        return cls(
            thresholds=thresholds,
            passed_on=tuple(float((sure < threshold).mean()) for threshold in thresholds),
            counts=np.stack([measure.counts(each) for each in answers]),
            value=measure.value,
            tolerance=rules.margin / 2,
        )

    @property
    def ends(self) -> tuple[int, int]:
        """Return the positions of the members alone."""
        return 0, len(self.thresholds) - 1

    def scores(self, among: NDArray[np.bool_]) -> list[float]:
        """Score every threshold on some of the examples."""
        return [float(score) for score in self.value(self.counts[:, among].sum(axis=1))]

    def take(self, among: NDArray[np.bool_]) -> int:
        """Return the position of the threshold that these examples choose."""
        scores = self.scores(among)
        least = max(scores) - self.tolerance - 1e-12
        return next(position for position, score in enumerate(scores) if score >= least)


def _between(sure: Floats) -> list[float]:
    """Return the thresholds that pass on about `SHARES`, each in the middle between two confidences.

    In the middle, since a served probability may differ from the measured one in its last digits.
    """
    ordered = np.unique(sure[sure >= 0])
    if len(ordered) < 2:
        return []
    middles = (ordered[1:] + ordered[:-1]) / 2
    shares = np.searchsorted(np.sort(sure), middles) / len(sure)
    nearest = {int(np.abs(shares - share).argmin()) for share in SHARES}
    return [float(middles[position]) for position in sorted(nearest)]


def confidence(prediction: Prediction) -> float:
    """Say how sure a prediction is of its answer, 0 to 1; -1 where that is not known."""
    return -1.0 if prediction.certainty is None else prediction.certainty


def _answers(first: Evaluation, then: Evaluation, threshold: float) -> list[str | None]:
    both = zip(first.predictions, then.predictions, strict=True)
    return [a.answer if confidence(a) >= threshold else b.answer for a, b in both]


def joined(cascade: Cascade, first: Evaluation, then: Evaluation, at: Sequence[float] | None = None) -> Evaluation:
    """Compose two evaluations of the same examples; `at` is each one's threshold where it is not the cascade's.

    Costs and latencies are always those of the cascade's threshold, with which it is served.
    """
    at = (cascade.threshold,) * first.n if at is None else at
    runs = [(first.predictions, then.predictions)]
    further = zip_longest(first.seed_predictions, then.seed_predictions)
    runs += [(a or first.predictions, b or then.predictions) for a, b in further]
    made = [tuple(map(_either, *run, at)) for run in runs]
    passed_on = np.array([confidence(item) < cascade.threshold for item in first.predictions])
    used = _use(first, np.ones(first.n, dtype=bool)), _use(then, passed_on)
    seconds = _sum(used[0].seconds, used[1].seconds)
    return replace(
        then,
        strategy=cascade.name,
        role=Role.CASCADE,
        predictions=made[0],
        seed_predictions=tuple(made[1:]),
        scores=then.kind.score(
            then.references,
            [item.answer for item in made[0]],
            labels=then.labels,
            alternatives=then.alternatives,
            groups=then.groups,
        ),
        seconds=seconds,
        waited_seconds=None if seconds is None else seconds * max(map(cost_of_load, (first, then))),
        train_seconds=_sum(first.train_seconds, then.train_seconds),
        p50_ms=_latency(first, then, passed_on, level=0.5),
        p95_ms=_latency(first, then, passed_on, level=0.95),
        prompt_tokens_per_request=sum(each.prompt_tokens_per_request for each in used),
        cached_tokens_per_request=sum(each.cached_tokens_per_request for each in used),
        completion_tokens_per_request=sum(each.completion_tokens_per_request for each in used),
        peak_memory_gib=_sum(first.peak_memory_gib, then.peak_memory_gib),
        stated=None,
        draw=first.draw if then.draw is Draw.NONE else then.draw,
        latencies_ms=(),
        members=used,
        cuts=(*first.cuts, *then.cuts),
    )


def _either(first: Prediction, then: Prediction, threshold: float) -> Prediction:
    """Return the answer to one input; one that was passed on took what both members took."""
    if confidence(first) >= threshold:
        return first
    return replace(
        then,
        prompt_tokens=first.prompt_tokens + then.prompt_tokens,
        cached_tokens=first.cached_tokens + then.cached_tokens,
        completion_tokens=first.completion_tokens + then.completion_tokens,
        seconds=first.seconds + then.seconds,
    )


def _use(member: Evaluation, seen: NDArray[np.bool_]) -> MemberUse:
    """Say what a member uses for the requests that it sees, spread over all."""
    share = float(seen.mean())
    seconds = np.array([item.seconds for item in member.predictions])
    # of the seconds of all together, its share by the examples' own, since longer inputs take longer
    of_seconds = float(seconds[seen].sum() / seconds.sum()) if seconds.sum() > 0 else share
    stated = member.stated
    if stated is not None and stated.usd_per_request is not None:
        stated = StatedCost(share * stated.usd_per_request, stated.usd_fitting)

    def tokens(of: Callable[[Prediction], int]) -> float:
        return float(np.array([of(item) for item in member.predictions])[seen].sum() / member.n)

    return MemberUse(
        strategy=member.strategy,
        n=member.n,
        seconds=None if member.seconds is None else of_seconds * member.seconds,
        train_seconds=member.train_seconds,
        device=member.device,
        devices=member.devices,
        prompt_tokens_per_request=tokens(lambda item: item.prompt_tokens),
        cached_tokens_per_request=tokens(lambda item: item.cached_tokens),
        completion_tokens_per_request=tokens(lambda item: item.completion_tokens),
        fitting_tokens=member.fitting_tokens,
        stated=stated,
        peak_memory_gib=member.peak_memory_gib,
    )


def _latency(first: Evaluation, then: Evaluation, passed_on: NDArray[np.bool_], *, level: float) -> float | None:
    """Return a quantile of the latency of single requests: of each example where all were timed.

    Where some were timed, those of both members count by the share that is passed on. Where only quantiles were kept,
    the result is an upper bound: those of both members are added where what is passed on reaches so far.
    """
    share = float(passed_on.mean())
    if first.latencies_ms and then.latencies_ms:
        fast = np.array(first.latencies_ms)
        size = min(len(fast), len(then.latencies_ms))
        slow = fast[:size] + np.array(then.latencies_ms)[:size]
        if size == len(fast) == first.n:
            return float(np.percentile(np.where(passed_on, slow, fast), 100 * level))
        weights = np.concatenate([np.full(len(fast), (1 - share) / len(fast)), np.full(size, share / size)])
        both = np.concatenate([fast, slow])
        order = both.argsort()
        reached = int(np.searchsorted(weights[order].cumsum(), level - 1e-12))
        return float(both[order][min(reached, len(both) - 1)])
    quick, more = (first.p50_ms, then.p50_ms) if level == 0.5 else (first.p95_ms, then.p95_ms)
    return quick if 1 - share >= level else _sum(quick, more)


def _sum(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a + b


@dataclass(frozen=True)
class CascadePredictor:
    """Two fitted strategies, the second asked where the first is not sure."""

    first: Predictor
    then: Predictor
    threshold: float

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one prediction per text."""
        made = self.first.predict(inputs)
        left = [position for position, item in enumerate(made) if confidence(item) < self.threshold]
        advance(len(inputs) - len(left))
        rest = self.then.predict([inputs[position] for position in left], advance=advance) if left else []
        for position, item in zip(left, rest, strict=True):
            made[position] = replace(_either(made[position], item, self.threshold), id=made[position].id)
        return made

    def save(self, folder: Path) -> None:
        """Write nothing: the members keep their own files, and the threshold is what fitting found out."""

    def served(self) -> CascadeServed:
        """Say how both members are served."""
        first, then = self.first.served(), self.then.served()
        assert isinstance(first, LocalServed)
        assert not isinstance(then, CascadeServed)
        return CascadeServed(first, then, self.threshold)


def facts_of_cascade(cascade: Cascade, first: Facts, then: Facts) -> Facts:
    """Say what a cascade says about itself."""
    return Facts(
        name=cascade.name,
        role=Role.CASCADE,
        summary=f"{first.name} where it is sure, {then.name} otherwise.",
        served=CascadeServed,
        answers=then.answers,
        runs=then.runs,
        made_with=then.made_with,
        is_made_by=f"{first.is_made_by} where that is sure, otherwise {then.is_made_by}",
    )
