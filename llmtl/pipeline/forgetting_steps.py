"""What each fine-tuning made a language model forget: measured on general English before and after, as steps.

The base model is measured once, before it is tuned; its first passages say how many fit into the time. Every tuned
model is measured on the same ones. Further draws, refits and learning curves are not measured: what is served is the
first fit. Not covered: who may be chosen (`llmtl.decision.forgotten`).
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from llmtl.costs import Entry, Ledger, WorkKind
from llmtl.decision.forgotten import tunes_language_model
from llmtl.engines.protocol import Engine, LossReader
from llmtl.general.samples import measured_hash, passages, zero_shot_tasks
from llmtl.measured.forgetting import Forgetting, HarderText, TaskShift
from llmtl.metrics.intervals import Interval, wilson
from llmtl.metrics.paired import compare_counts
from llmtl.metrics.ratios import perplexity_ratio, share_of_rise
from llmtl.pipeline.general_scores import GeneralScores, Sampled, general_scores
from llmtl.progress import Progress
from llmtl.report.forgetting_words import in_short
from llmtl.store import Store
from llmtl.strategy import Facts, PromptServed, Served

MOST_SECONDS = 60.0
BUDGET_SHARE = 0.03
"""What measuring all models of a run may take: a minute, or less where that is more than this part of the budget."""
LEVELS = (Sampled(200, 60), Sampled(150, 60), Sampled(100, 60), Sampled(75, 30), Sampled(50, 0), Sampled(25, 0))
"""What is measured of each model: the most that fits into the time, and the last one whatever it takes."""
ITEM = 0.4
"""What an item of a task costs, in passages: about 20 tokens of its own behind a prompt that all share."""

_SCORES = TypeAdapter(GeneralScores)
_SAMPLED = TypeAdapter(Sampled)


def seconds_allowed(budget: float | None, strategies: Iterable[Facts]) -> float:
    """Say how long measuring the models may take in a budget of so many seconds; 0 where none is tuned."""
    if not any(map(tunes_language_model, strategies)):
        return 0.0
    return MOST_SECONDS if budget is None else min(MOST_SECONDS, BUDGET_SHARE * budget)


@dataclass(frozen=True)
class General:
    """Measures the models of one run: the base model, which `identity` names, and `tuned` others.

    `load` gives the engine of the base model, or of what was tuned and kept in a folder. `seconds` is what all of it
    may take.
    """

    store: Store
    ledger: Ledger
    progress: Progress
    load: Callable[[Path | None], Engine]
    identity: Any
    tuned: int
    seconds: float

    def measure_base(self) -> tuple[GeneralScores, Sampled] | None:
        """Measure the base model, once for the run; None where its engine reads no losses."""
        depends_on = {"model": self.identity, "sample": measured_hash()}
        value = self.store.step("general-base", depends_on, lambda _: self._base())
        if value is None:
            return None
        scores = _SCORES.validate_python(value["scores"])
        self._note(self.store.step_folder("general-base", depends_on).name, scores)
        return scores, _SAMPLED.validate_python(value["sampled"])

    def forgotten(self, strategy: str, fit: Path, served: Served) -> Forgetting | None:
        """Measure what a tuned model forgot, whose fit is the step `fit`; None where it is not a language model.

        The same where a loss is not a number, since training diverged.
        """
        tuned = served.tuned if isinstance(served, PromptServed) else None
        if tuned is None:
            return None
        base = self.measure_base()
        if base is None:
            return None
        before, sampled = base
        depends_on = {"fit": fit.name, "sample": measured_hash(), **_SAMPLED.dump_python(sampled)}
        name = f"general-{strategy}"
        value = self.store.step(name, depends_on, lambda _: self._scored(strategy, tuned, sampled))
        after = _SCORES.validate_python(value) if value is not None else None
        if after is None or not (before.finite and after.finite):
            return None
        self._note(self.store.step_folder(name, depends_on).name, after)
        found = compare(before, after)
        self.progress.say(f"{strategy}: {in_short(found.text)}")
        return found

    def _base(self) -> Any:
        engine = self.load(None)
        if not isinstance(engine, LossReader):
            return None
        sampled = level(_seconds_per_passage(engine), self.seconds, models=1 + self.tuned)
        made = general_scores(engine, sampled, progress=self.progress, told="base model")
        return None if made is None else {"scores": _kept(made), "sampled": _SAMPLED.dump_python(sampled)}

    def _scored(self, strategy: str, tuned: Path, sampled: Sampled) -> Any:
        made = general_scores(self.load(tuned), sampled, progress=self.progress, told=strategy)
        return _kept(made) if made is not None and made.finite else None

    def _note(self, step: str, scores: GeneralScores) -> None:
        self.ledger.note(step, Entry(WorkKind.DEV, scores.seconds, scores.seconds, device=scores.device))


def _kept(scores: GeneralScores) -> Any:
    return _SCORES.dump_python(scores, mode="json")


def level(seconds_per_passage: float, seconds: float, *, models: int) -> Sampled:
    """Choose how much of the sample is measured of each of so many models within so many seconds."""
    tasks = len(zero_shot_tasks())

    def takes(each: Sampled) -> float:
        return models * (each.passages + ITEM * tasks * each.items) * seconds_per_passage

    return next((each for each in LEVELS if takes(each) <= seconds), LEVELS[-1])


def _seconds_per_passage(engine: LossReader) -> float:
    """Time the fewest passages, the first of them to warm up."""
    texts = passages()[: LEVELS[-1].passages]
    engine.losses(texts[:1])
    start = time.perf_counter()
    engine.losses(texts)
    return (time.perf_counter() - start) / len(texts)


def compare(before: GeneralScores, after: GeneralScores) -> Forgetting:
    """Compare a tuned model with its base on the same texts."""
    pairs = [(b, a) for b, a in zip(before.losses, after.losses, strict=True) if b.tokens]
    ours, theirs = ([pair[side].nats for pair in pairs] for side in (0, 1))
    tokens = [pair[0].tokens for pair in pairs]
    total = sum(tokens)
    text = HarderText(
        passages=len(pairs),
        available=len(passages()),
        tokens=total,
        before=sum(ours) / total,
        after=sum(theirs) / total,
        rise=share_of_rise(ours, theirs),
        perplexity_ratio=perplexity_ratio(ours, theirs, tokens),
    )
    shifts = tuple(_shift(name, before.right[name], right) for name, right in after.right.items())
    return Forgetting(text, shifts, sample=measured_hash(), seconds=after.seconds)


def _shift(name: str, before: tuple[bool, ...], after: tuple[bool, ...]) -> TaskShift:
    n, labels = len(before), next(len(task.labels) for task in zero_shot_tasks() if task.name == name)
    gained, lost = (sum(x and not y for x, y in zip(*pair, strict=True)) for pair in ((after, before), (before, after)))
    found = compare_counts(gained, lost, n)
    return TaskShift(
        name=name,
        items=n,
        labels=labels,
        before=sum(before) / n,
        after=sum(after) / n,
        difference=Interval(found.difference, found.low, found.high),
        able=wilson(sum(before), n).low > 1 / labels,
    )
