"""Summarise judged forecasts: coverage, width, errors and bars, as JSON values and as text."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rules import FACTORS, LAST_SCORE, LLMTL, LOG_LINEAR, NEVER, Foretold

from llmtl.learning_curve.power_law import FURTHEST
from llmtl.metrics.intervals import wilson

HOLD_BAR = 0.75
LEVEL_BAR = 0.10
JUDGED_KINDS = ("power", "floor", "saturation")
"""The kinds that the bars are about."""
POINT_KINDS = ("power", "floor")
REAL = "real"
_ONE_SIDED_90 = 1.282
Json = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """One curve with every rule's forecast, or why llmtl refused.

    `truth` is the score at multiples of the data, `noise` its standard error where it was measured; `needs` the labels
    that the target needs, None if unknown.
    """

    kind: str
    data: str
    refusal: str | None
    truth: Mapping[int, float]
    noise: Mapping[int, float]
    available: int
    needs: float | None
    said: Mapping[str, Foretold]


def summarise(found: Sequence[Outcome]) -> Json:
    """Compute everything that is reported."""
    kinds = list(dict.fromkeys(item.kind for item in found))
    groups = {kind: [item for item in found if item.kind == kind] for kind in kinds}
    result: Json = {
        "curves": len(found),
        "kinds": {kind: group(items) for kind, items in groups.items()},
        "pooled": group([item for item in found if item.kind in JUDGED_KINDS]),
    }
    if REAL in groups:
        names = list(dict.fromkeys(item.data for item in groups[REAL]))
        result["real_by_data"] = {name: group([i for i in groups[REAL] if i.data == name]) for name in names}
    return result | {"bars": _bars(result), "point": _point(found)}


def reason(refusal: str) -> str:
    """Name the kind of a refusal, without its figures."""
    for word in ("flat", "back-test", "power law", "falls", "no error"):
        if word in refusal:
            return word
    return "too few sizes"


def group(items: Sequence[Outcome]) -> Json:
    """Count how often these were refused and why, and judge every rule on the others."""
    made = [item for item in items if item.said]
    return {
        "curves": len(items),
        "refused": rate(item.refusal is not None for item in items),
        "reasons": dict(Counter(reason(item.refusal) for item in items if item.refusal)),
        "rules": {name: _rule(made, name) for name in (made[0].said if made else ())},
    }


def _rule(made: Sequence[Outcome], name: str) -> Json:
    rows: Json = {}
    for factor in FACTORS:
        misses = [item.said[name].at[factor][1] - item.truth[factor] for item in made]
        rows[f"{factor}x"] = {
            "held": rate(_held(item, name, factor) for item in made) if name != LAST_SCORE else None,
            "width_points": _mean(_width(item, name, factor) for item in made) if name != LAST_SCORE else None,
            "absolute_error_points": _mean(100 * abs(miss) for miss in misses),
            "bias_points": _mean(100 * miss for miss in misses),
        }
    asked = [item for item in made if item.needs is not None and item.said[name].needed is not None]
    within = [item for item in asked if item.needs is not None and item.needs <= FURTHEST * item.available]
    rows["labels_needed"] = {
        "held": rate(_holds_needs(item, name) for item in asked),
        "called_out_of_reach_although_within": rate(
            _ends(item, name)[0] >= FURTHEST * item.available for item in within
        ),
        "open_end": rate(_ends(item, name)[1] == NEVER for item in asked),
    }
    return rows


def _held(item: Outcome, name: str, factor: int) -> bool:
    low, _, high = item.said[name].at[factor]
    assert low is not None
    assert high is not None
    middle = item.said[name].at[factor][1]
    more = _ONE_SIDED_90 * item.noise.get(factor, 0.0)
    truth = item.truth[factor]
    return bool(middle - np.hypot(middle - low, more) <= truth <= middle + np.hypot(high - middle, more))


def _width(item: Outcome, name: str, factor: int) -> float:
    low, _, high = item.said[name].at[factor]
    return 100 * ((high or 0.0) - (low or 0.0))


def _ends(item: Outcome, name: str) -> tuple[float, float]:
    needed = item.said[name].needed
    assert needed is not None
    return needed


def _holds_needs(item: Outcome, name: str) -> bool:
    low, high = _ends(item, name)
    # sizes beyond the furthest forecast count as one
    needs = NEVER if item.needs is None or item.needs > FURTHEST * item.available else item.needs
    return low <= needs <= high


def _bars(result: Json) -> dict[str, bool]:
    kinds = result["kinds"]
    bars = {}
    for kind in JUDGED_KINDS:
        bars |= holding_bars(kind, kinds[kind])
        held = _figure(kinds[kind], LLMTL, "labels_needed", "held", "rate")
        bars[f"{kind}: labels needed holds 75%"] = held is not None and held >= HOLD_BAR
    bars |= error_bars("simulated", result["pooled"])
    if REAL in kinds:
        bars |= holding_bars(REAL, kinds[REAL]) | error_bars(REAL, kinds[REAL])
    return bars | {"level: a forecast for at most 10%": 1 - kinds["level"]["refused"]["rate"] <= LEVEL_BAR}


def holding_bars(name: str, found: Json) -> dict[str, bool]:
    """Check that the band of a group holds as often as it must."""
    rates = {factor: _figure(found, LLMTL, f"{factor}x", "held", "rate") for factor in FACTORS}
    return {
        f"{name}: band at {factor}x holds 75%": held is not None and held >= HOLD_BAR for factor, held in rates.items()
    }


def error_bars(name: str, found: Json) -> dict[str, bool]:
    """Check that the forecasts of a group are nearer than both naive rules'."""
    far = f"{FURTHEST}x"
    ours = _figure(found, LLMTL, far, "absolute_error_points")
    return {
        f"{name}: smaller error at {far} than {rule}": ours is not None
        and ours < _figure(found, rule, far, "absolute_error_points")
        for rule in (LOG_LINEAR, LAST_SCORE)
    }


def _point(found: Sequence[Outcome]) -> Json:
    """Compute the mean absolute error at the furthest forecast of both candidates for the point forecast."""
    groups: dict[str, Callable[[Outcome], bool]] = {
        "power and floor": lambda item: item.kind in POINT_KINDS,
        REAL: lambda item: item.kind == REAL,
    }
    return {
        group: {
            name: _mean(100 * abs(item.said[name].at[FURTHEST][1] - item.truth[FURTHEST]) for item in made)
            for name in (LLMTL, "power law alone")
        }
        for group, belongs in groups.items()
        if (made := [item for item in found if item.said and belongs(item)])
    }


def _figure(group: Json, *path: str) -> Any:
    value: Any = group["rules"]
    for name in path:
        value = value.get(name) if value else None
    return value


def rate(hits: Iterable[bool]) -> Json:
    """Compute a share with its Wilson interval and the numbers behind it."""
    values = [bool(hit) for hit in hits]
    if not values:
        return {"rate": None, "ci95": None, "of": 0}
    found = wilson(sum(values), len(values))
    ends = [round(found.low, 4), round(found.high, 4)]
    return {"rate": round(found.value, 4), "ci95": ends, "count": sum(values), "of": len(values)}


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return round(float(np.mean(listed)), 3) if listed else None


def text(result: Json) -> str:
    """Write the result as a few lines to read."""
    lines = [f"{result['curves']} curves, {result['seconds']} s"]
    lines.append(f"{'':12}{'':17}{'refused':>8}{'held 2x':>9}{'held 4x':>9}{'width 4x':>9}{'error 4x':>9}{'labels':>8}")
    for kind, group in result["kinds"].items():
        for name, row in group["rules"].items():
            far = row[f"{FURTHEST}x"]
            held = [row[f"{factor}x"]["held"] for factor in FACTORS]
            shown = [_percent(each and each["rate"]) for each in held]
            width = "" if far["width_points"] is None else f"{far['width_points']:.1f}"
            lines.append(
                f"{kind:12}{name:17}{_percent(group['refused']['rate']):>8}{shown[0]:>9}{shown[1]:>9}{width:>9}"
                f"{far['absolute_error_points']:9.2f}{_percent(row['labels_needed']['held']['rate']):>8}"
            )
    return "\n".join(lines + [f"{'met   ' if met else 'MISSED'} {bar}" for bar, met in result["bars"].items()])


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f}%"
