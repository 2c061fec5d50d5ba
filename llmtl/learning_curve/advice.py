"""Put the next step in words: how many more examples to label before asking again.

One step at a time: after Mahmood et al. 2022 (https://arxiv.org/abs/2207.01725), who label, measure and forecast again
rather than trust one long forecast. Not covered: labels for dev and test, which are needed besides.
"""

from dataclasses import dataclass

from llmtl.learning_curve.forecast import Band, Forecast, Needed
from llmtl.numerals import with_minus

LARGEST_STEP = 1.0
SMALLEST_STEP = 0.25
"""The next step adds at least a quarter of today's training examples, and at most as many again."""
NOT_EXCLUDED = 0.025
"""From this probability on, the advice says that the target may lie beyond the furthest forecast."""
PROBABLE = 0.5


@dataclass(frozen=True)
class Advice:
    """What to do next; `label_more` is how many training examples to label, None if more labels are not advised."""

    text: str
    label_more: int | None


def advise(found: Forecast, *, target: float | None, margin: float, usd_per_label: float | None = None) -> Advice:
    """Advise on one strategy's curve; a gain below `margin` is not worth labelling for."""
    if target is not None and found.points[-1].score >= target:
        return Advice(_reached(found, target), None)
    if found.refusal is not None:
        return Advice(f"No forecast for {found.strategy}: {found.refusal}.", None)
    if found.needed is not None:
        return _towards(found, found.needed, usd_per_label)
    return Advice("", None) if found.doubling is None else _gained(found, found.doubling, margin, usd_per_label)


def _gained(found: Forecast, gain: Band, margin: float, usd_per_label: float | None) -> Advice:
    """Advise without a target: what twice the labels are forecast to bring."""
    gained = f"{_gain(gain.median)} (80%: {_gain(gain.low)} to {_gain(gain.high)})"
    name, available = found.strategy, found.points[-1].size
    if gain.median < margin:
        return Advice(
            f"More labels would hardly pay for {name}: twice the {available:,} training examples are forecast to bring "
            f"{gained}, and the margin is {margin:.3f}.",
            None,
        )
    more = _round(available)
    return Advice(
        f"Label about {more:,} more{_cost(more, usd_per_label)}, then forecast again: that is forecast to bring {name} "
        f"{gained}.",
        more,
    )


def _reached(found: Forecast, target: float) -> str:
    first = next(point for point in found.points if point.score >= target)
    return f"{found.strategy} reaches {_score(target)} on dev, first with {first.size:,} training examples."


def _towards(found: Forecast, needed: Needed, usd_per_label: float | None) -> Advice:
    available = found.points[-1].size
    last = found.band[-1]
    if needed.low is None:
        return Advice(
            f"{_score(needed.target)} is out of reach for {found.strategy} with up to {found.furthest:,} training "
            f"examples (90%): it is forecast at {last.median:.2f} there (80%: {last.low:.2f} to "
            f"{last.high:.2f}). Another strategy or model is the better next step.",
            None,
        )
    step = min(max(needed.low - available, SMALLEST_STEP * available), LARGEST_STEP * available)
    more = _round(step)
    if needed.low <= available:
        # today's data may be enough, even if dev scored below the target
        most = None if needed.high is None else f"needs at most {_round(needed.high):,} training examples"
        need = "may already be in reach" if most is None else f"{most} with 90% confidence"
    elif needed.high is None:
        need = f"needs at least {_round(needed.low):,} training examples with 90% confidence"
    else:
        need = f"needs {_round(needed.low):,} to {_round(needed.high):,} training examples with 80% confidence"
    return Advice(
        f"Label about {more:,} more{_cost(more, usd_per_label)}, then forecast again: with {found.strategy}, "
        f"{_score(needed.target)} {need}{_open_end(needed, found.furthest)}.",
        more,
    )


def _open_end(needed: Needed, furthest: int) -> str:
    """Say how likely even the furthest forecast misses the target; empty if that is negligible."""
    if needed.beyond < NOT_EXCLUDED:
        return ""
    how = "is probably out of reach" if needed.beyond > PROBABLE else "may be out of reach"
    return f", and {how}: with probability {needed.beyond:.0%}, even {furthest:,} are not enough"


def _round(value: float) -> int:
    """Round a count to two significant digits, at least 1: more would be false precision."""
    return max(1, round(float(f"{value:.2g}")))


def _cost(labels: int, usd_per_label: float | None) -> str:
    return "" if usd_per_label is None else f" (about {labels * usd_per_label:,.0f} USD)"


def _score(value: float) -> str:
    digits = f"{value:.3f}"
    return digits[:-1] if digits.endswith("0") else digits


def _gain(value: float) -> str:
    return with_minus(f"{value:+.3f}")
