"""Summarise the judged worlds: rates with intervals, regret and bars, as JSON values and as text."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rules import Evaluations
from truth import ABSTAINS, ANSWERS, Judged
from worlds import KINDS

from llmtl.metrics.intervals import wilson
from llmtl.task import Metric

LLMTL = "llmtl"
RACED = "llmtl with racing"
FALSE_ADOPT_BAR = 0.01
KEPT_BAR = 0.05
"""A naive rule with more false adopts than this is not one to compare regret with."""
RAW_REGRET_BAR_POINTS = 1.0
SAVED_BAR = 2.0
Json = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """One world with every rule judged in it.

    `power` is that of the hardest question the right verdict hangs on; `evaluations` are those planned and used on dev.
    """

    number: int
    kind: str
    metric: Metric
    strategies: int
    n_dev: int
    n_test: int
    llm_is_better: bool
    spread_out: bool
    power: float | None
    evaluations: Evaluations | None
    rising: bool
    drawn: bool
    judged: Mapping[str, Judged]


def summarise(found: Sequence[Outcome]) -> Json:
    """Compute everything that is reported."""
    figures = rule_figures(found)
    racing = _racing(found)
    return {
        "worlds": len(found),
        "bars": _bars(figures, racing),
        "rules": figures,
        "false_adopt_strict_numbers": _numbers(found, [item.judged[LLMTL].strict for item in found]),
        "abstaining": _abstaining(found),
        "racing": racing,
        "llmtl_by": {
            "kind": {kind: _brief([item for item in found if item.kind == kind]) for kind in KINDS},
            "metric": {str(each): _brief([item for item in found if item.metric is each]) for each in _metrics(found)},
            "costs_rise_with_score": {str(way): _brief([i for i in found if i.rising is way]) for way in (True, False)},
            "training_draws_differ": {str(way): _brief([i for i in found if i.drawn is way]) for way in (True, False)},
            "n_test": _by_size(found, lambda item: item.n_test),
            "n_dev": _by_size(found, lambda item: item.n_dev),
            "strategies": {
                f"{low}-{high}": _brief([item for item in found if low <= item.strategies <= high])
                for low, high in ((2, 3), (4, 6), (7, 10))
            },
        },
    }


def rule_figures(found: Sequence[Outcome]) -> dict[str, Json]:
    """Compute the figures of each rule."""
    return {name: _rule(found, name) for name in found[0].judged if name != RACED}


def text(result: Json) -> str:
    """Write the result as a few lines to read."""
    racing = result["racing"]
    return "\n".join(
        [
            f"{result['worlds']} worlds, {result['seconds']} s",
            *rule_lines(result["rules"]),
            f"racing saves {racing['saved_spread_out']}x when spread out ({racing['saved_spread_out_llm']}x of "
            f"language models' predictions); worse {racing['worse']['count']}, better {racing['better']['count']} "
            f"of {racing['worlds']}",
            *(f"{'met ' if met else 'MISSED'} {bar}" for bar, met in result["bars"].items()),
        ]
    )


def rule_lines(rules: Mapping[str, Json]) -> list[str]:
    """Write one line for each rule."""
    lines = [f"{'':27}{'false adopt':>12}{'regret':>8}{'raw':>8}{'charged':>9}{'dearer':>8}"]
    for name, row in rules.items():
        share = row["false_adopt"]["strict"]["rate"]
        lines.append(
            f"{name:27}{100 * share:11.2f}%{row['regret_points']['mean']:8.2f}{row['raw_regret_points']['mean']:8.2f}"
            f"{row['regret_with_the_margin_charged_points']['mean']:9.2f}"
            f"{100 * row['dearer_than_needed']['rate']:7.1f}%"
        )
    return lines


def rate(hits: Iterable[bool]) -> Json:
    """Compute a share with its Wilson interval and the numbers behind it."""
    values = [bool(hit) for hit in hits]
    if not values:
        return {"rate": None, "ci95": None, "of": 0}
    found = wilson(sum(values), len(values))
    return {
        "rate": round(found.value, 4),
        "ci95": [round(found.low, 4), round(found.high, 4)],
        "count": sum(values),
        "of": len(values),
    }


def mean(values: Iterable[float]) -> Json:
    """Compute a mean with its normal 95% interval."""
    array = np.array(list(values), dtype=float)
    if array.size == 0:
        return {"mean": None, "ci95": None}
    half = 1.96 * array.std() / np.sqrt(array.size)
    return {
        "mean": round(float(array.mean()), 4),
        "ci95": [round(float(array.mean() - half), 4), round(float(array.mean() + half), 4)],
    }


def rule_bars(figures: Mapping[str, Json]) -> dict[str, bool]:
    """Tell which bars llmtl meets: false adopts, raw regret, and both regrets against the naive rules."""
    ours, others = figures[LLMTL], {name: row for name, row in figures.items() if name != LLMTL}
    charged, raw = "regret_with_the_margin_charged_points", "raw_regret_points"
    kept = {name: row for name, row in others.items() if row["false_adopt"]["strict"]["rate"] <= KEPT_BAR}
    return {
        "false adopt at most 1%": ours["false_adopt"]["strict"]["rate"] <= FALSE_ADOPT_BAR,
        "mean raw regret at most 1.0 point": ours[raw]["mean"] <= RAW_REGRET_BAR_POINTS,
        **{f"less raw regret than {name}": ours[raw]["mean"] < row[raw]["mean"] for name, row in kept.items()},
        **{
            f"less charged regret than {name}": ours[charged]["mean"] < row[charged]["mean"]
            for name, row in others.items()
        },
    }


def _bars(figures: Mapping[str, Json], racing: Json) -> dict[str, bool]:
    return {
        **rule_bars(figures),
        "racing saves at least 2x when spread out": racing["saved_spread_out"] >= SAVED_BAR,
        "racing never gives a worse verdict": racing["worse"]["count"] == 0,
    }


def _rule(found: Sequence[Outcome], name: str) -> Json:
    """Compute one rule's figures over all worlds."""
    judged = [item.judged[name] for item in found]
    ours = [item.judged[LLMTL] for item in found]
    without = [item.judged[name] for item in found if not item.llm_is_better]
    adopted = [each for each in judged if each.verdict == "adopt"]
    readings: dict[str, Callable[[Judged], bool]] = {
        "claimed": lambda each: each.claimed,
        "strict": lambda each: each.strict,
        "baseline_only": lambda each: each.baseline_only,
    }
    if name != LLMTL:
        del readings["claimed"]  # naive rules do not claim that the winner is better than others
    return {
        "verdicts": {
            verdict: rate(each.verdict == verdict for each in judged)["rate"]
            for verdict in ("adopt", "tie", "baseline", "inconclusive")
        },
        "false_adopt": {reading: rate(map(is_false, judged)) for reading, is_false in readings.items()},
        "false_adopt_where_no_llm_is_better": {
            reading: rate(map(is_false, without)) for reading, is_false in readings.items()
        },
        "false_share_of_adopts": {reading: rate(map(is_false, adopted)) for reading, is_false in readings.items()},
        "false_baseline": rate(each.false_baseline for each in judged),
        "regret_points": mean(each.regret for each in judged),
        "raw_regret_points": mean(each.raw_regret for each in judged),
        "more_regret_than_llmtl_points": mean(a.regret - b.regret for a, b in zip(judged, ours, strict=True)),
        "regret_with_the_margin_charged_points": mean(each.charged for each in judged),
        "dearer_than_needed": rate(each.dearer for each in judged),
    }


def _abstaining(found: Sequence[Outcome]) -> Json:
    """Count how often llmtl abstained by how well test could answer, and how often its answers there were wrong."""
    groups: dict[str, Callable[[float], bool]] = {
        "should_abstain": lambda power: power < ABSTAINS,
        "may_abstain": lambda power: ABSTAINS <= power < ANSWERS,
        "should_answer": lambda power: power >= ANSWERS,
    }
    rows: Json = {}
    for name, belongs in groups.items():
        judged = [item.judged[LLMTL] for item in found if item.power is not None and belongs(item.power)]
        answered = [each for each in judged if not each.abstained]
        rows[name] = {
            "abstained": rate(each.abstained for each in judged),
            "inconclusive": rate(each.verdict == "inconclusive" for each in judged)["rate"],
            "tie": rate(each.verdict == "tie" for each in judged)["rate"],
            "answers_that_are_wrong": rate(each.strict or each.false_baseline for each in answered),
        }
    return rows


def _racing(found: Sequence[Outcome]) -> Json:
    """Compute what racing saved, and whether it made a verdict worse."""
    raced = [item for item in found if item.evaluations is not None]
    spread = [item for item in raced if item.spread_out]
    pairs = [(item.judged[LLMTL], item.judged[RACED]) for item in raced]
    worse = [(b.strict and not a.strict) or b.regret > a.regret + 1e-9 for a, b in pairs]
    better = [(a.strict and not b.strict) or b.regret < a.regret - 1e-9 for a, b in pairs]
    return {
        "worlds": len(raced),
        "spread_out_worlds": len(spread),
        "saved_spread_out": saved(spread),
        "saved_spread_out_llm": saved(spread, llm=True),
        "saved_all": saved(raced),
        "saved_spread_out_by_n_dev": {
            f"{low}-{high}": saved([item for item in spread if low <= item.n_dev <= high]) for low, high in _SIZES
        },
        "same_choice_on_dev": rate(a.chosen == b.chosen for a, b in pairs),
        "same_verdict_and_winner": rate((a.verdict, a.winner) == (b.verdict, b.winner) for a, b in pairs),
        "worse": rate(worse) | {"numbers": _numbers(raced, worse)},
        "better": rate(better),
        "false_adopt_strict": rate(b.strict for _, b in pairs),
        "regret_points": mean(b.regret for _, b in pairs),
    }


_SIZES = ((100, 199), (200, 499), (500, 999), (1000, 2000))


def saved(found: Sequence[Outcome], *, llm: bool = False) -> float | None:
    """Divide predictions planned by predictions used, of all strategies or of language models alone."""
    counts = [item.evaluations for item in found if item.evaluations is not None]
    planned = sum(each.planned_llm if llm else each.planned for each in counts)
    used = sum(each.used_llm if llm else each.used for each in counts)
    return round(planned / used, 3) if counts else None


def _numbers(found: Sequence[Outcome], which: Sequence[bool]) -> list[int]:
    """List the numbers of some worlds, by which they can be made again."""
    return [item.number for item, wanted in zip(found, which, strict=True) if wanted]


def _by_size(found: Sequence[Outcome], size: Callable[[Outcome], int]) -> Json:
    return {f"{low}-{high}": _brief([item for item in found if low <= size(item) <= high]) for low, high in _SIZES}


def _brief(found: Sequence[Outcome]) -> Json:
    judged = [item.judged[LLMTL] for item in found]
    return {
        "worlds": len(found),
        "false_adopt_strict": rate(each.strict for each in judged),
        "false_adopt_claimed": rate(each.claimed for each in judged),
        "regret_points": mean(each.regret for each in judged),
        "raw_regret_points": mean(each.raw_regret for each in judged),
        "abstained": rate(each.abstained for each in judged)["rate"],
    }


def _metrics(found: Sequence[Outcome]) -> list[Metric]:
    return list(dict.fromkeys(item.metric for item in found))
