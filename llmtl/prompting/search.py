"""Which candidate prompt is best on dev, found within a time box. Not covered: making the candidates."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

from llmtl.metrics import accuracy, macro_f1
from llmtl.predictor import FitContext, Predictor
from llmtl.progress import Advance
from llmtl.task import Example, Metric, references


@dataclass(frozen=True)
class Candidate:
    """A number of demonstrations (and a seed), with the predictor that shows them."""

    shots: int
    seed: int
    predictor: Predictor


@dataclass(frozen=True)
class LeftOut:
    """A candidate that was not scored, and why."""

    shots: int
    seed: int
    reason: str


@dataclass(frozen=True)
class Scored:
    """A candidate's scores on the dev examples used for the search."""

    shots: int
    seed: int
    dev_accuracy: float
    dev_macro_f1: float
    failed: int
    seconds: float


@dataclass(frozen=True)
class Found:
    """What a search found: the best candidate, every score, what was left out, and on how many dev examples."""

    best: Candidate
    scored: tuple[Scored, ...]
    left_out: tuple[LeftOut, ...]
    dev_examples: int

    def details(self, metric: str) -> dict[str, Any]:
        """Return the choice, the candidates, their spread over seeds and what was left out, ready for JSON."""
        return {
            "shots": self.best.shots,
            "seed": self.best.seed,
            "metric": metric,
            "dev_examples": self.dev_examples,
            "candidates": [asdict(each) for each in self.scored],
            "spread": spread(self.scored, metric),
            "left_out": [asdict(each) for each in self.left_out],
        }


def search(candidates: Sequence[Candidate], dev: Sequence[Example], context: FitContext, *, name: str) -> Found:
    """Return the candidate with the best decision metric on `dev`; equal scores go to fewer shots, then the lower seed.

    Candidates are scored in the order given, until another one as slow as the slowest so far would exceed the budget's
    seconds; the first is always scored.
    """
    start = perf_counter()
    limit = context.budget.train_seconds
    tried: list[tuple[Candidate, Scored]] = []
    late: list[LeftOut] = []
    with context.progress.stage(f"{name}: choosing demonstrations", len(candidates) * len(dev)) as advance:
        for candidate in candidates:
            slowest = max((scored.seconds for _, scored in tried), default=0.0)
            if tried and limit is not None and perf_counter() - start + slowest > limit:
                late.append(LeftOut(candidate.shots, candidate.seed, f"the time limit of {limit:.0f} s was near"))
                advance(len(dev))
            else:
                tried.append((candidate, _score(candidate, dev, advance)))
    best, _ = min(tried, key=lambda pair: (-_metric(pair[1], context.task.metric), pair[1].shots, pair[1].seed))
    if late:
        context.progress.say(f"{name}: {len(late)} of {len(candidates)} candidates left out to keep the time limit")
    return Found(best, tuple(scored for _, scored in tried), tuple(late), len(dev))


def spread(scored: Sequence[Scored], metric: str) -> list[dict[str, Any]]:
    """Return the scores over seeds by number of demonstrations: median, min, max and sample SD (None for one seed)."""
    by_shots: defaultdict[int, list[float]] = defaultdict(list)
    for each in scored:
        by_shots[each.shots].append(_metric(each, metric))
    return [
        {
            "shots": shots,
            "seeds": len(values),
            "median": statistics.median(values),
            "min": min(values),
            "max": max(values),
            "sd": statistics.stdev(values) if len(values) > 1 else None,
        }
        for shots, values in sorted(by_shots.items())
    ]


def _score(candidate: Candidate, dev: Sequence[Example], advance: Advance) -> Scored:
    """Return the scores of one candidate; failed predictions count as errors."""
    start = perf_counter()
    predicted = candidate.predictor.predict([example.text for example in dev], advance=advance)
    guesses = [prediction.label for prediction in predicted]
    return Scored(
        shots=candidate.shots,
        seed=candidate.seed,
        dev_accuracy=accuracy(references(dev), guesses),
        dev_macro_f1=macro_f1(references(dev), guesses),
        failed=guesses.count(None),
        seconds=perf_counter() - start,
    )


def _metric(scored: Scored, metric: str) -> float:
    """Return the score that the decision is made on."""
    return scored.dev_macro_f1 if metric == Metric.MACRO_F1 else scored.dev_accuracy
