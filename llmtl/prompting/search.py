"""Which candidate prompt is best on dev, found within a time box. Not covered: making the candidates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from llmtl.findings import LeftOutPrompt, SearchTrace, TriedPrompt
from llmtl.metrics.hierarchical import cluster_codes
from llmtl.metrics.optimism import of_search
from llmtl.progress import Advance
from llmtl.prompting.predictors import Asker
from llmtl.strategy import FitContext, Prediction, Retrieval
from llmtl.task import Example, Task, references


@dataclass(frozen=True)
class Candidate:
    """A number of demonstrations, a seed and a wording of the instruction, with the predictor that uses them.

    `rotations` is in how many orders of the labels the predictor asks. `retrieval` is how it finds demonstrations,
    where there is more than one way.
    """

    shots: int
    seed: int
    predictor: Asker
    instruction: int = 0
    rotations: int = 1
    retrieval: Retrieval | None = None


@dataclass(frozen=True)
class Found:
    """What a search found: the best candidate with its predictions, every score, what was left out, on which examples.

    `instructions` are the wordings that the candidates' `instruction` counts. `optimism` is by how much being the best
    flatters the best score.
    """

    best: Candidate
    predictions: tuple[Prediction, ...]
    tried: tuple[TriedPrompt, ...]
    left_out: tuple[LeftOutPrompt, ...]
    dev: tuple[Example, ...]
    instructions: tuple[str, ...]
    optimism: float | None = None

    @property
    def instruction(self) -> str:
        """Give the wording of the best candidate."""
        return self.instructions[self.best.instruction]

    def trace(self, metric: str, *, too_long: Sequence[LeftOutPrompt] = ()) -> SearchTrace:
        """Say what was chosen, tried and left out; `too_long` was left out before the search."""
        return SearchTrace(
            shots=self.best.shots,
            seed=self.best.seed,
            instruction=self.best.instruction,
            instructions=self.instructions,
            metric=metric,
            dev_examples=len(self.dev),
            tried=self.tried,
            left_out=(*too_long, *self.left_out),
            rotations=self.best.rotations,
            retrieval=self.best.retrieval,
            optimism=self.optimism,
            late=len(self.left_out),
        )


Further = Callable[[Candidate], Sequence[Candidate]]
"""From the best of the first candidates to those to try after it."""


def search(
    candidates: Sequence[Candidate],
    dev: Sequence[Example],
    context: FitContext,
    *,
    name: str,
    instructions: Sequence[str],
    further: Sequence[Further] = (),
) -> Found:
    """Find the candidate with the best decision metric on `dev`.

    Equal scores go to fewer prompts per input, then to TF-IDF, then to fewer shots, then to the earlier wording, then
    to the lower seed. Candidates are scored in the order given, then those that each of `further` makes of the best so
    far, until another one as slow as the slowest so far would exceed the budget's seconds; the first is always scored.
    """
    race = _Race(context, tuple(dev))
    first = "demonstrations" if any(each.shots for each in candidates) else "the wording"
    race.run(candidates, f"{name}: choosing {first}")
    for each in further:
        if more := each(race.best()[0]):
            what = "the wording" if each is further[-1] else "demonstrations"
            race.run(more, f"{name}: choosing {what}")
    if race.late:
        total = len(race.late) + len(race.tried)
        context.progress.say(f"{name}: {len(race.late)} of {total} candidates left out to keep the time limit")
    best, _, predictions = race.best()
    tried = tuple(tried for _, tried, _ in race.tried)
    return Found(best, predictions, tried, tuple(race.late), race.dev, tuple(instructions), race.optimism())


class _Race:
    """The candidates of one search as they are scored."""

    def __init__(self, context: FitContext, dev: tuple[Example, ...]) -> None:
        self.dev = dev
        self.tried: list[tuple[Candidate, TriedPrompt, tuple[Prediction, ...]]] = []
        self.late: list[LeftOutPrompt] = []
        self._context = context
        self._start = perf_counter()

    def run(self, candidates: Sequence[Candidate], stage: str) -> None:
        """Score candidates while there is time."""
        limit = self._context.budget.train_seconds
        with self._context.progress.stage(stage, len(candidates) * len(self.dev)) as advance:
            for candidate in candidates:
                needed = self._forecast(candidate)
                if self.tried and limit is not None and perf_counter() - self._start + needed > limit:
                    self.late.append(
                        LeftOutPrompt(
                            candidate.shots,
                            candidate.seed,
                            f"the time limit of {limit:.0f} s was near",
                            candidate.instruction,
                            candidate.rotations,
                        )
                    )
                    advance(len(self.dev))
                else:
                    self.tried.append(self._score(candidate, advance))

    def best(self) -> tuple[Candidate, TriedPrompt, tuple[Prediction, ...]]:
        """Return the best candidate so far."""
        metric = self._context.task.metric.value
        return min(self.tried, key=lambda one: (-one[1].scores[metric], *_rank(one)))

    def optimism(self) -> float | None:
        """Estimate by how much being the best of all that were tried flatters the best score."""
        task = self._context.task
        alternatives = [example.alternatives for example in self.dev]
        measure = task.kind.measure(task.metric, references(self.dev), alternatives=alternatives, labels=task.labels)
        made = [
            [prediction.answer for prediction in predictions] for _, _, predictions in sorted(self.tried, key=_rank)
        ]
        codes = cluster_codes([example.group for example in self.dev], len(self.dev))
        return of_search(measure.value, [measure.counts(answers) for answers in made], codes)

    def _forecast(self, candidate: Candidate) -> float:
        """Return the seconds that a candidate will take, as long per prompt as the slowest so far.

        A run plans one prompt per input for scoring dev and test. What several take beyond that is counted here, with
        as much test as dev, so that the run keeps to its time if the candidate wins.
        """
        slowest = max((scored.seconds / scored.rotations for _, scored, _ in self.tried), default=0.0)
        later = 2 * len(self._context.dev) / len(self.dev)
        return slowest * (candidate.rotations + (candidate.rotations - 1) * later)

    def _score(self, candidate: Candidate, advance: Advance) -> tuple[Candidate, TriedPrompt, tuple[Prediction, ...]]:
        """Return a candidate with its scores and predictions; failed predictions count as errors."""
        start = perf_counter()
        predicted = candidate.predictor.predict([example.input for example in self.dev], advance=advance)
        guesses = [prediction.answer for prediction in predicted]
        seconds = perf_counter() - start
        scores = _scores(self._context.task, self.dev, guesses)
        scored = TriedPrompt(
            candidate.shots,
            candidate.seed,
            scores,
            guesses.count(None),
            seconds,
            candidate.instruction,
            candidate.rotations,
            candidate.retrieval,
        )
        return candidate, scored, tuple(predicted)


def _rank(one: tuple[Candidate, TriedPrompt, tuple[Prediction, ...]]) -> tuple[int, bool, int, int, int]:
    """Say what decides between equal scores."""
    embeds = one[0].retrieval not in (None, Retrieval.TFIDF)
    return one[1].rotations, embeds, one[1].shots, one[1].instruction, one[1].seed


def _scores(task: Task, dev: Sequence[Example], guesses: Sequence[str | None]) -> dict[str, float]:
    """Return the decision metric; where an answer is one label, all metrics."""
    metrics = task.kind.metrics if task.kind.one_label else (task.metric,)
    found = {}
    for metric in metrics:
        alternatives = [example.alternatives for example in dev]
        measure = task.kind.measure(metric, references(dev), alternatives=alternatives, labels=task.labels)
        found[metric.value] = measure.score(guesses)
    return found
