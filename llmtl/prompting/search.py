"""Which candidate prompt is best on dev, found within a time box. Not covered: making the candidates."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from llmtl.progress import Advance
from llmtl.strategy import FitContext, Prediction, Predictor
from llmtl.task import Example, Task, references


@dataclass(frozen=True)
class Candidate:
    """A number of demonstrations, a seed and a wording of the instruction, with the predictor that uses them."""

    shots: int
    seed: int
    predictor: Predictor
    instruction: int = 0


@dataclass(frozen=True)
class LeftOut:
    """A candidate that was not scored, and why."""

    shots: int
    seed: int
    reason: str
    instruction: int = 0


@dataclass(frozen=True)
class Scored:
    """A candidate's scores on the dev examples used for the search, by metric."""

    shots: int
    seed: int
    scores: dict[str, float]
    failed: int
    seconds: float
    instruction: int = 0

    def row(self) -> dict[str, Any]:
        """Return it ready for JSON, each score as `dev_` and the metric's name."""
        return {
            "shots": self.shots,
            "seed": self.seed,
            "instruction": self.instruction,
            **{f"dev_{metric}": score for metric, score in self.scores.items()},
            "failed": self.failed,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Found:
    """What a search found: the best candidate with its predictions, every score, what was left out, on which examples.

    `instructions` are the wordings that the candidates' `instruction` counts.
    """

    best: Candidate
    predictions: tuple[Prediction, ...]
    scored: tuple[Scored, ...]
    left_out: tuple[LeftOut, ...]
    dev: tuple[Example, ...]
    instructions: tuple[str, ...]

    @property
    def instruction(self) -> str:
        """Return the wording of the best candidate."""
        return self.instructions[self.best.instruction]

    def details(self, metric: str) -> dict[str, Any]:
        """Return the choice, the candidates, their spread and what was left out, ready for JSON.

        `spread` is over seeds and wordings by number of demonstrations, `spread_by_instruction` over seeds by wording
        with the chosen number.
        """
        same_shots = [each for each in self.scored if each.shots == self.best.shots]
        return {
            "shots": self.best.shots,
            "seed": self.best.seed,
            "instruction": self.best.instruction,
            "instructions": list(self.instructions),
            "metric": metric,
            "dev_examples": len(self.dev),
            "candidates": [each.row() for each in self.scored],
            "spread": spread(self.scored, metric),
            "spread_by_instruction": spread(same_shots, metric, by="instruction"),
            "left_out": [vars(each) for each in self.left_out],
        }


Further = Callable[[Candidate], Sequence[Candidate]]
"""From the best of the first candidates to those to try after it."""


def search(
    candidates: Sequence[Candidate],
    dev: Sequence[Example],
    context: FitContext,
    *,
    name: str,
    instructions: Sequence[str],
    further: Further | None = None,
) -> Found:
    """Return the candidate with the best decision metric on `dev`.

    Equal scores go to fewer shots, then to the earlier wording, then to the lower seed. Candidates are scored in the
    order given, those of `further` last, until another one as slow as the slowest so far would exceed the budget's
    seconds; the first is always scored.
    """
    race = _Race(context, tuple(dev))
    race.run(candidates, f"{name}: choosing demonstrations")
    if further is not None and (more := further(race.best()[0])):
        race.run(more, f"{name}: choosing the wording")
    if race.late:
        total = len(race.late) + len(race.tried)
        context.progress.say(f"{name}: {len(race.late)} of {total} candidates left out to keep the time limit")
    best, _, predictions = race.best()
    scored = tuple(scored for _, scored, _ in race.tried)
    return Found(best, predictions, scored, tuple(race.late), race.dev, tuple(instructions))


def spread(scored: Sequence[Scored], metric: str, *, by: str = "shots") -> list[dict[str, Any]]:
    """Return the scores by number of demonstrations or by wording: median, min, max, sample SD (None for one score)."""
    groups: defaultdict[int, list[Scored]] = defaultdict(list)
    for each in scored:
        groups[getattr(each, by)].append(each)
    return [{by: key, **_spread(group, metric, by)} for key, group in sorted(groups.items())]


def _spread(group: Sequence[Scored], metric: str, by: str) -> dict[str, Any]:
    """Return the spread of one group's scores, and over how many seeds and wordings it is."""
    values = [each.scores[metric] for each in group]
    counted = {"seeds": _distinct([each.seed for each in group])}
    if by == "shots":
        counted["instructions"] = _distinct([each.instruction for each in group])
    return {
        **counted,
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "sd": statistics.stdev(values) if len(values) > 1 else None,
    }


def _distinct(values: Sequence[Hashable]) -> int:
    return len(set(values))


class _Race:
    """The candidates of one search as they are scored."""

    def __init__(self, context: FitContext, dev: tuple[Example, ...]) -> None:
        self.dev = dev
        self.tried: list[tuple[Candidate, Scored, tuple[Prediction, ...]]] = []
        self.late: list[LeftOut] = []
        self._context = context
        self._start = perf_counter()

    def run(self, candidates: Sequence[Candidate], stage: str) -> None:
        """Score candidates while there is time."""
        limit = self._context.budget.train_seconds
        with self._context.progress.stage(stage, len(candidates) * len(self.dev)) as advance:
            for candidate in candidates:
                slowest = max((scored.seconds for _, scored, _ in self.tried), default=0.0)
                if self.tried and limit is not None and perf_counter() - self._start + slowest > limit:
                    reason = f"the time limit of {limit:.0f} s was near"
                    self.late.append(LeftOut(candidate.shots, candidate.seed, reason, candidate.instruction))
                    advance(len(self.dev))
                else:
                    self.tried.append(self._score(candidate, advance))

    def best(self) -> tuple[Candidate, Scored, tuple[Prediction, ...]]:
        """Return the best candidate so far."""
        metric = self._context.task.metric
        return min(
            self.tried,
            key=lambda one: (-one[1].scores[metric], one[1].shots, one[1].instruction, one[1].seed),
        )

    def _score(self, candidate: Candidate, advance: Advance) -> tuple[Candidate, Scored, tuple[Prediction, ...]]:
        """Return a candidate with its scores and predictions; failed predictions count as errors."""
        start = perf_counter()
        predicted = candidate.predictor.predict([example.input for example in self.dev], advance=advance)
        guesses = [prediction.answer for prediction in predicted]
        seconds = perf_counter() - start
        scores = _scores(self._context.task, self.dev, guesses)
        scored = Scored(candidate.shots, candidate.seed, scores, guesses.count(None), seconds, candidate.instruction)
        return candidate, scored, tuple(predicted)


def _scores(task: Task, dev: Sequence[Example], guesses: Sequence[str | None]) -> dict[str, float]:
    """Return the decision metric; where an answer is one label, all metrics."""
    metrics = task.kind.metrics if task.kind.one_label else (task.metric,)
    found = {}
    for metric in metrics:
        alternatives = [example.alternatives for example in dev]
        measure = task.kind.measure(metric, references(dev), alternatives=alternatives, labels=task.labels)
        found[metric.value] = measure.score(guesses)
    return found
