"""What each fine-tuning made a language model forget: measured on general English before and after, as steps.

The base model is measured once, before it is tuned. Every tuned model is measured on the same passages: as many as the
model's size and the budget say, and not as many as a clock does, so that identical runs decide identically. Further
draws, refits and learning curves are not measured: what is served is the first fit. Not covered: who may be chosen
(`llmtl.decision.forgotten`).
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from llmtl.costs import Entry, Ledger, WorkKind
from llmtl.decision.forgotten import tunes_language_model
from llmtl.engines.protocol import Engine
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

MOST_SECONDS = 30.0
BUDGET_SHARE = 0.015
"""What measuring one model may take: half a minute, or less where that is more than this part of the budget."""
LEVELS = (Sampled(200, 60), Sampled(150, 60), Sampled(100, 60), Sampled(75, 30), Sampled(50, 0), Sampled(25, 0))
"""What is measured of each model: the most that is foreseen to fit into the time, the last one whatever it takes."""
ITEM = 0.4
"""What an item of a task costs, in passages: about 20 tokens of its own behind a prompt that all share."""
PASSAGE_TOKENS = 60
"""Tokens of a passage, about: SmolLM2's tokenizer makes 47 of one on average, those of the pocket models 60."""
OPERATIONS = {"cpu": 1e11, "cuda": 2e13}
"""Floating-point operations per second that a forward pass is taken to reach, whatever the machine (our choice)."""

_SCORES = TypeAdapter(GeneralScores)


def seconds_allowed(budget: float | None) -> float:
    """Say how long measuring a model may take in a budget of so many seconds."""
    return MOST_SECONDS if budget is None else min(MOST_SECONDS, BUDGET_SHARE * budget)


def models_measured(strategies: Iterable[Facts]) -> int:
    """Count the models that are measured: those that are tuned, and the base model where any is."""
    tuned = sum(map(tunes_language_model, strategies))
    return tuned + 1 if tuned else 0


@dataclass(frozen=True)
class General:
    """Measures the models of one run: the base model, which `identity` names, and those that were tuned.

    `load` gives the engine of the base model, or of what was tuned and kept in a folder. `sampled` is how much of the
    general sample each of them is measured on.
    """

    store: Store
    ledger: Ledger
    progress: Progress
    load: Callable[[Path | None], Engine]
    identity: Any
    sampled: Sampled

    def measure_base(self) -> GeneralScores | None:
        """Measure the base model, once for the run; None where its engine reads no losses."""
        depends_on = {"model": self.identity, **self._sample()}
        value = self.store.step("general-base", depends_on, lambda _: self._scored("base model", None))
        if value is None:
            return None
        scores = _SCORES.validate_python(value)
        self._note(self.store.step_folder("general-base", depends_on).name, scores)
        return scores

    def forgotten(self, strategy: str, fit: Path, served: Served) -> Forgetting | None:
        """Measure what a tuned model forgot, whose fit is the step `fit`; None where it is not a language model.

        The same where a loss is not a number, since training diverged.
        """
        tuned = served.tuned if isinstance(served, PromptServed) else None
        if tuned is None:
            return None
        before = self.measure_base()
        if before is None:
            return None
        depends_on = {"fit": fit.name, **self._sample()}
        name = f"general-{strategy}"
        value = self.store.step(name, depends_on, lambda _: self._scored(strategy, tuned))
        after = _SCORES.validate_python(value) if value is not None else None
        if after is None or not (before.finite and after.finite):
            return None
        self._note(self.store.step_folder(name, depends_on).name, after)
        found = compare(before, after)
        self.progress.say(f"{strategy}: {in_short(found.text)}")
        return found

    def _sample(self) -> dict[str, Any]:
        return {"sample": measured_hash(), **asdict(self.sampled)}

    def _scored(self, told: str, tuned: Path | None) -> Any:
        """Score a model; nothing where a tuned one's losses are not numbers, or where the engine reads none."""
        made = general_scores(self.load(tuned), self.sampled, progress=self.progress, told=told)
        return _SCORES.dump_python(made, mode="json") if made is not None and made.finite else None

    def _note(self, step: str, scores: GeneralScores) -> None:
        self.ledger.note(step, Entry(WorkKind.DEV, scores.seconds, scores.seconds, device=scores.device))


def level(seconds_per_passage: float, seconds: float) -> Sampled:
    """Choose how much of the sample is measured of each model within so many seconds."""
    tasks = len(zero_shot_tasks())

    def takes(each: Sampled) -> float:
        return (each.passages + ITEM * tasks * each.items) * seconds_per_passage

    return next((each for each in LEVELS if takes(each) <= seconds), LEVELS[-1])


def seconds_per_passage(parameters: int, device: str) -> float:
    """Foresee how long a model of so many weights reads a passage: about two operations per weight and token.

    Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1.
    """
    return 2 * parameters * PASSAGE_TOKENS / OPERATIONS[device]


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
