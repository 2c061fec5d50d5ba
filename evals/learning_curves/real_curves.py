"""Judge forecasts on real curves of tuning and prompting: `python evals/learning_curves/real_curves.py [--data DATA]`.

Curves of fine-tuning and of SetFit (published, `curves/published.json`), of learners without a language model (measured
here, `curves/classical.json`, by `classical`) and of prompts with 1-200 demonstrations (the logs in DATA/icl_logs, left
out where they are not there). The README beside this file explains the design. Not covered: simulated curves
(`simulate`), and `tfidf` on its own (there, too).
"""

import argparse
import gzip
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from summary import rate, reason
from worlds import of_wrong

from llmtl.learning_curve import CurvePoint, MeasuredCurve, forecast
from llmtl.learning_curve.forecast import BAND
from llmtl.learning_curve.measuring import DEPARTURE_SD, score_quantiles
from llmtl.learning_curve.power_law import fit, weighted_quantiles

sys.path.append(str(Path(__file__).parents[1]))
written_results = import_module("written_results")

NAME = "real_curves"
CURVES = Path(__file__).parent / "curves"
SHOWN, FACTORS = 4, (2, 4)
ALIKE = 0.5
"""Correlation of the errors of two sizes on one test set, where only scores were published; between the curves measured
here it is 0.1-0.7."""
CANDIDATES = tuple(round(0.05 * step, 2) for step in range(13))
"""The departures to choose from, 0 to 0.6."""
SETTING = ("fine-tuning", "SetFit", "no language model")
"""The sources that set the departure; the others are only judged."""
HELD = 0.8
BEFORE = -1.0
"""Stands for the bands of before: of the laws alone, with the power laws' median as the point."""
Ends = tuple[float, float, float]
Json = dict[str, Any]


@dataclass(frozen=True)
class Real:
    """A measured curve, and the scores that were measured later at multiples of its largest size."""

    source: str
    data: str
    measured: MeasuredCurve
    later: dict[int, float]


@dataclass(frozen=True)
class Judged:
    """A curve with its band at each multiple by departure, and why there is no forecast, if there is none."""

    real: Real
    refusal: str | None
    bands: dict[float, dict[int, Ends]]

    def held(self, departure: float, factor: int) -> bool:
        """Say whether the band holds what was measured."""
        low, _, high = self.bands[departure][factor]
        return low <= self.real.later[factor] <= high


def published() -> Iterator[Real]:
    """Yield the published curves: of each draw of train, and of the mean over the draws."""
    for row in json.loads((CURVES / "published.json").read_text())["curves"]:
        scores = np.array(row["accuracy"])
        sizes = [row["labels"] * each for each in row["per_label"]]
        source = "fine-tuning" if row["model"] in ("roberta-large", "distilbert-base-uncased") else "SetFit"
        for name, curves in ((source, scores), (f"{source}, mean of 10", scores.mean(axis=0)[None])):
            for curve in curves:
                later = {factor: float(curve[sizes.index(factor * sizes[SHOWN - 1])]) for factor in FACTORS}
                measured = _of_scores(row["model"], sizes[:SHOWN], curve[:SHOWN], row["test"])
                yield Real(name, row["data"], measured, later)


def classical() -> Iterator[Real]:
    """Yield the curves that `classical` measured; later scores are of as many fresh examples as dev has."""
    for row in json.loads((CURVES / "classical.json").read_text()):
        n = row["examples"]
        scores = [1 - wrong / n for wrong in row["wrong"]]
        measured = MeasuredCurve(row["learner"], _points(row["sizes"], scores), np.array(row["covariance"]), n)
        later = {int(factor): score for factor, score in row["again"].items()}
        yield Real("no language model", row["data"].split(",")[0], measured, later)


def prompts(path: Path) -> Iterator[Real]:
    """Yield curves over the number of demonstrations that end at 25 and at 50, where those up to 4 times are logged."""
    arms: dict[tuple[str, str, int], dict[int, dict[str, Any]]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            arms.setdefault((row["dataset"], row["arm"], row["seed"]), {})[row["shots"]] = row["items"]
    for (data, arm, _), by_shots in sorted(arms.items()):
        for last in (25, 50):
            sizes = [shots for shots in (1, 5, 10, 25, 50) if shots in by_shots and shots <= last]
            if len(sizes) < SHOWN or sizes[-1] != last or any(factor * last not in by_shots for factor in FACTORS):
                continue
            ids = sorted(set.intersection(*(set(by_shots[shots]) for shots in sizes)))
            wrong = np.array([[not by_shots[shots][each][2] for each in ids] for shots in sizes])
            later = {
                factor: float(np.mean([item[2] for item in by_shots[factor * last].values()])) for factor in FACTORS
            }
            yield Real("prompts", data, of_wrong(tuple(sizes), wrong, strategy=arm), later)


def _of_scores(name: str, sizes: Sequence[int], scores: Sequence[float], examples: int) -> MeasuredCurve:
    errors = 1 - np.asarray(scores)
    sds = np.sqrt(errors * (1 - errors) / examples)
    return MeasuredCurve(
        name, _points(sizes, scores), np.outer(sds, sds) * (ALIKE + (1 - ALIKE) * np.eye(len(sds))), examples
    )


def _points(sizes: Sequence[int], scores: Sequence[float]) -> tuple[CurvePoint, ...]:
    return tuple(CurvePoint(size, float(score), (0.0, 1.0)) for size, score in zip(sizes, scores, strict=True))


def judged(real: Real) -> Judged:
    """Forecast a curve, and work out its bands at every departure."""
    found = forecast(real.measured)
    if found.refusal is not None:
        return Judged(real, found.refusal, {})
    measured = real.measured
    posterior = fit(measured.sizes, measured.errors, measured.noise)
    laws = posterior.power_laws()
    bands: dict[float, dict[int, Ends]] = {each: {} for each in (BEFORE, *CANDIDATES)}
    for factor in FACTORS:
        size = factor * measured.sizes[-1]
        middle = 1 - float(laws.quantiles(size, BAND[1:2])[0])
        high, _, low = (1 - float(each) for each in weighted_quantiles(posterior.errors(size), posterior.weight, BAND))
        bands[BEFORE][factor] = (min(low, middle), middle, max(high, middle))
        for each in CANDIDATES:
            quantiles = score_quantiles(posterior, size, BAND, measured.sampling, departure_sd=each)
            bands[each][factor] = (float(quantiles[0]), float(quantiles[1]), float(quantiles[2]))
    return Judged(real, None, bands)


def chosen(found: Sequence[Judged], *, without: str | None = None) -> float:
    """Choose the smallest departure with which bands hold 80% of each source that sets it, at each multiple."""
    sets = [
        [each for each in found if each.real.source == source and each.real.data != without and each.refusal is None]
        for source in SETTING
    ]

    def enough(departure: float) -> bool:
        return all(
            np.mean([each.held(departure, factor) for each in items]) >= HELD
            for items in sets
            for factor in FACTORS
            if items
        )

    return next((each for each in CANDIDATES if enough(each)), CANDIDATES[-1])


def summarised(found: Sequence[tuple[Judged, float]]) -> Json:
    """Count forecasts and refusals, and judge the bands of one departure each at twice and four times the data."""
    made = [(each, departure) for each, departure in found if each.refusal is None]
    return {
        "curves": len(found),
        "refused": rate(each.refusal is not None for each, _ in found),
        "reasons": dict(Counter(reason(each.refusal) for each, _ in found if each.refusal)),
        **{f"{factor}x": _figures(made, factor) for factor in FACTORS},
    }


def _figures(made: Sequence[tuple[Judged, float]], factor: int) -> Json:
    ends = [(each.bands[departure][factor], each.real.later[factor]) for each, departure in made]
    # the interval score of Gneiting & Raftery (2007) for 80%: width, and ten times what it misses by
    scores = [high - low + 10 * (max(0, low - later) + max(0, later - high)) for (low, _, high), later in ends]
    return {
        "held": rate(each.held(departure, factor) for each, departure in made),
        "bias_points": _mean(middle - later for (_, middle, _), later in ends),
        "absolute_error_points": _mean(abs(middle - later) for (_, middle, _), later in ends),
        "width_points": _mean(high - low for (low, _, high), _ in ends),
        "interval_score_points": _mean(scores),
    }


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return round(100 * float(np.mean(listed)), 2) if listed else None


def results(found: Sequence[Judged]) -> Json:
    """Judge the bands of before, and those of a departure that was set without the curve's own data set."""
    data = sorted({each.real.data for each in found})
    left_out = {name: chosen(found, without=name) for name in data}
    sources = dict.fromkeys(each.real.source for each in found)
    groups = {source: [each for each in found if each.real.source == source] for source in sources}
    groups |= {
        f"{source}, {name}": items
        for source in sources
        for name in data
        if (items := [each for each in groups[source] if each.real.data == name])
    }
    return {
        "departure": {"chosen": chosen(found), "shipped": DEPARTURE_SD, "without": left_out},
        "left_out": {
            name: summarised([(each, left_out[each.real.data]) for each in items]) for name, items in groups.items()
        },
        "before": {name: summarised([(each, BEFORE) for each in items]) for name, items in groups.items()},
    }


def main() -> int:
    """Judge and write the result; exit code 0 if the departure that is shipped is the one that the curves choose."""
    parser = argparse.ArgumentParser(description="Judge forecasts on real curves.")
    parser.add_argument("--data", type=Path, help="the folder that holds icl_logs")
    parser.add_argument("--name", default=NAME, help="the name of the result")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    options = parser.parse_args()
    start = time.perf_counter()
    curves = [*published(), *classical()]
    logs = options.data and options.data / "icl_logs" / "llama-2-7b.jsonl.gz"
    if logs and logs.is_file():
        curves += prompts(logs)
    found = written_results.in_processes(judged, curves, workers=options.workers)
    result = {
        "what": "forecasts of real learning curves, against the scores that were measured later",
        **written_results.circumstances(["evals/learning_curves/real_curves.py", *_arguments()]),
        "seconds": round(time.perf_counter() - start, 1),
        **results(found),
    }
    print(text(result))
    print(written_results.write_result(options.name, result).name)
    return 0 if result["departure"]["chosen"] == DEPARTURE_SD else 1


def _arguments() -> list[str]:
    return ["DATA" if before == "--data" else given for before, given in zip(sys.argv, sys.argv[1:], strict=False)]


def text(result: Json) -> str:
    """Write the result as a few lines to read."""
    lines = [str(result["departure"])]
    for rule in ("before", "left_out"):
        lines.append(f"{rule:44}{'curves':>7}{'refused':>9}")
        lines[-1] += "".join(f"{f'held {f}x':>9}{'bias':>7}{'error':>7}{'width':>7}" for f in FACTORS)
        for name, group in result[rule].items():
            row = f"{name[:43]:44}{group['curves']:7}{100 * group['refused']['rate']:8.0f}%"
            for factor in FACTORS:
                at = group[f"{factor}x"]
                if at["held"]["rate"] is not None:
                    row += f"{100 * at['held']['rate']:8.0f}%{at['bias_points']:7.1f}"
                    row += f"{at['absolute_error_points']:7.1f}{at['width_points']:7.1f}"
            lines.append(row)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
