"""The `dpo` strategy: fine-tune an adapter on references, then on pairs of a better and a worse answer (generation).

Direct Preference Optimization (Rafailov et al. 2023, arXiv:2305.18290). Pairs are those of `data.preferences` or, where
there are none, made: the reference is better than what the model, tuned on references already, answers to an input of
train (Chen et al. 2024, self-play fine-tuning, arXiv:2401.01335, its first iteration). They are not taken from dev,
where that answer is known as well: dev chooses the weights, the strategy and the winner, and would flatter what had
learned from it.

A run that was killed goes on inside the training that it was in; of the answers all are asked for again. Not covered:
answers drawn at random, further iterations, four bits, rewards of a judge.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from llmtl.errors import RunError
from llmtl.findings import Cut, FitFinding, PreferenceStage, Unit, cut_short
from llmtl.kinds.kind import AnswerShape
from llmtl.progress import chunks
from llmtl.prompting.fitted import fixed_asker
from llmtl.prompting.template import Template
from llmtl.seals import UNFINISHED
from llmtl.store import digest, read_json, write_json
from llmtl.strategies.lora import AdapterTuning
from llmtl.strategies.model_tuning import (
    ADAPTER_FOLDER,
    TunedPredictor,
    served_from,
    tuning_facts,
    weights_sha256,
)
from llmtl.strategy import FitContext, PromptServed
from llmtl.task import Example, Preference, references
from llmtl.tuning.config import PreferenceTrainingConfig
from llmtl.tuning.learning_rate import odd_preferences, preference_rate

if TYPE_CHECKING:
    from llmtl.engines.checkpoint import CheckpointInfo
    from llmtl.tuning.pair_training import PreferenceJob
    from llmtl.tuning.training import TrainingJob, TrainingOutcome

SUPERVISED_SHARE, ASKED_SHARE = 0.5, 0.3
"""Parts of the time for the supervised training, and of what is left for asking; the rest is for training on pairs."""
ASKED_AT_ONCE = 16
"""Inputs between two looks at the clock."""
PAIR_COST = 8 / 3
"""What a pair costs by an example: two answers, each with a pass forward and back and one forward of the reference, at
a third each (Kaplan et al. 2020, arXiv:2001.08361, section 2.1)."""
_SUPERVISED, _OUTCOME, _PAIRS = "supervised", "outcome.json", "pairs.json"

Value = TypeVar("Value")


class DpoChoices(PreferenceTrainingConfig):
    """The choices of the `dpo` strategy."""


class Dpo(AdapterTuning[DpoChoices]):
    """The adapter lies in the context's folder; what it was before pairs, with what is unfinished."""

    section = DpoChoices
    instead = "take qlora, or a smaller model"
    facts = replace(
        tuning_facts(
            name="dpo",
            title="Fine-tuning on preferences (DPO)",
            advice="Fine-tune {model} on preferences (LoRA, DPO)",
            made_with="peft",
            is_made_by="a LoRA adapter on the base model, tuned on references and then on preferences",
            summary="Fine-tuning with adapters on references, then on pairs of a better and a worse answer "
            "(generation).",
        ),
        answers=frozenset({AnswerShape.TEXT}),
        fit_weight=60,
        prefers=True,
    )

    def doubts(self, model: "CheckpointInfo | None") -> tuple[str, ...]:
        """Say which choices of either training are far from those that work."""
        config = self.config
        own = preference_rate(model.hidden_size) if model else None
        odd = odd_preferences(
            f"strategies.{self.name}", config.preference_rate, config.preference_epochs, config.beta, own=own
        )
        return (*super().doubts(model), *odd)

    def forecast(self, context: FitContext) -> float:
        """Time the supervised training; the rest follows from it and from how fast prompts were measured to be."""
        from llmtl.tuning.first_steps import FORWARD

        config, supervised = self.config, super().forecast(context)
        epoch = len(context.train) + FORWARD * len(context.dev) * config.evaluations_per_epoch
        example = supervised / (config.max_epochs * max(1.0, epoch))
        asked = 0 if context.preferences else min(config.max_pairs, len(context.train))
        on_pairs = config.preference_epochs * (len(context.preferences) or asked) * PAIR_COST * example
        measured = min(config.scored_dev, len(context.dev)) * (
            1 + config.preference_epochs * config.evaluations_per_epoch
        )
        answers = 0.0 if context.speed is None else context.speed.prompt * (asked + measured)
        return supervised + answers + on_pairs

    def train(
        self, context: FitContext, job: "TrainingJob", max_tokens: int | None
    ) -> "tuple[TrainingOutcome, tuple[FitFinding, ...]]":
        """Train on references, gather pairs, and train on those."""
        from llmtl.tuning.training import train

        assert max_tokens is not None  # texts are written
        start = context.folder / UNFINISHED / _SUPERVISED / ADAPTER_FOLDER
        outcome, spent = _supervised(replace(job, folder=start, deadline=_part(job.deadline, SUPERVISED_SHARE)))
        job = _less(job, spent)
        gathered, asking = self._gathered(context, start, _part(job.deadline, ASKED_SHARE), max_tokens)
        on_pairs = self._on_pairs(context, _less(job, asking), start, gathered.pairs, max_tokens=max_tokens)
        stage = PreferenceStage(
            loss=self.config.loss,
            beta=self.config.beta,
            learning_rate=on_pairs.learning_rate,
            asked=gathered.asked,
            pairs=len(on_pairs.train),
            dropped=len(gathered.pairs) - len(on_pairs.train),
            metric=context.task.metric.value,
            dev_examples=len(_scored(context, self.config)),
        )
        if not on_pairs.train:
            context.progress.say("There are no pairs to learn preferences from: the supervised adapter is kept.")
            shutil.copytree(start, job.folder, dirs_exist_ok=True)
            return replace(outcome, earlier_seconds=spent + asking), (stage, *gathered.cut)
        of_all = f" of {gathered.asked} inputs" if gathered.asked else ""
        context.progress.say(f"Learning preferences from {len(on_pairs.train)} pairs{of_all}.")
        learned = train(on_pairs)
        stage = replace(
            stage,
            points=learned.curve,
            best_step=learned.best.step,
            stopped_by=learned.stopped_by,
            trained_tokens=learned.trained_tokens,
        )
        earlier = spent + asking + learned.earlier_seconds
        peak = max(outcome.peak_gib, learned.peak_gib)
        cuts = stage.cut(self.config.preference_epochs) or gathered.cut
        return replace(outcome, earlier_seconds=earlier, peak_gib=peak), (stage, *cuts)

    def _gathered(
        self, context: FitContext, adapter: Path, deadline: float | None, max_tokens: int
    ) -> "tuple[_Gathered, float]":
        """Take the pairs that were given, or make some; also say what making them took in a process that was killed."""
        if context.preferences:
            return _Gathered(context.preferences), 0.0
        file = context.folder / UNFINISHED / _PAIRS
        train = [(each.text, each.reference, each.alternatives) for each in context.train]
        mark = digest([weights_sha256(adapter), self.config.max_pairs, max_tokens, context.seed, train])
        kept = _kept(file, mark, _GATHERED)
        if kept is not None:
            return kept
        begun = monotonic()
        found = _asked(context, adapter, deadline, max_tokens, most=self.config.max_pairs)
        _keep(file, mark, _GATHERED.dump_python(found, mode="json"), seconds=monotonic() - begun)
        return found, 0.0

    def _on_pairs(
        self, context: FitContext, job: "TrainingJob", start: Path, pairs: Sequence[Preference], *, max_tokens: int
    ) -> "PreferenceJob":
        """Say what is to be trained on which pairs, from the adapter in `start`."""
        from llmtl.engines.checkpoint import inspect_checkpoint
        from llmtl.engines.tokenizer import TokenizerWording
        from llmtl.tuning.pair_training import GoneOnWith, PreferenceJob, tokenize_pairs

        info = inspect_checkpoint(context.model.name, context.model.revision)
        longest = min(self.config.max_length or info.context_length, info.context_length)
        wording = Template(context.task, TokenizerWording(job.tokenizer))
        found = tokenize_pairs(pairs, wording, job.tokenizer, max_length=longest)
        rate = self.config.preference_rate or preference_rate(info.hidden_size)
        return PreferenceJob(
            checkpoint=job.checkpoint,
            tokenizer=job.tokenizer,
            train=tuple(pair.chosen for pair in found),
            rejected=tuple(pair.rejected for pair in found),
            dev=job.dev,
            config=self.config.on_pairs(),
            weights=GoneOnWith.at(start),
            learning_rate=rate,
            usual_rate=rate,
            folder=job.folder,
            seed=job.seed,
            deadline=job.deadline,
            progress=job.progress,
            base_name=job.base_name,
            callbacks=job.callbacks,
            resumable=job.resumable,
            what="Learning preferences",
            score=_scorer(context, _scored(context, self.config), served_from(job.folder, max_tokens)),
        )


@dataclass(frozen=True)
class _Gathered:
    """Pairs, and how many inputs of how many were asked for them; 0 where pairs were given."""

    pairs: tuple[Preference, ...]
    asked: int = 0
    planned: int = 0

    @property
    def cut(self) -> tuple[Cut, ...]:
        """Say how far asking came, where the time limit ended it."""
        return cut_short(self.asked, self.planned, Unit.EXAMPLES)


_GATHERED = TypeAdapter(_Gathered)


def _asked(context: FitContext, adapter: Path, deadline: float | None, max_tokens: int, *, most: int) -> _Gathered:
    """Let the tuned model answer inputs of train; where the answer is none of the references, it is the worse one."""
    inputs = Random(context.seed).sample(context.train, min(most, len(context.train)))
    predictor = TunedPredictor(context, served_from(adapter, max_tokens), sha256="")
    pairs: list[Preference] = []
    asked = 0
    with context.progress.stage("Asking for answers of its own", len(inputs)) as advance:
        for first, part in chunks(inputs, ASKED_AT_ONCE, advance=advance):
            if first and deadline is not None and monotonic() >= deadline:
                break
            asked += len(part)
            for example, said in zip(part, predictor.predict([each.input for each in part]), strict=True):
                right = {each.strip() for each in (example.reference, *example.alternatives)}
                if said.answer is not None and said.answer.strip() not in right:
                    ended = said.completion_tokens < max_tokens
                    pairs.append(Preference(example.text, example.reference, said.answer, ended=ended))
    context.release_engines()
    return _Gathered(tuple(pairs), asked, len(inputs))


def _scored(context: FitContext, config: DpoChoices) -> tuple[Example, ...]:
    """Draw the dev examples that are answered at each measurement."""
    drawn = Random(context.seed).sample(range(len(context.dev)), min(config.scored_dev, len(context.dev)))
    return tuple(context.dev[at] for at in sorted(drawn))


def _scorer(context: FitContext, dev: Sequence[Example], prompt: PromptServed) -> Callable[[Any], float]:
    """Score the answers of a model in training as the engine would write them."""
    from llmtl.engines.transformers.engine import TransformersEngine
    from llmtl.engines.transformers.loading import load_tokenizer

    tokenizer, task = load_tokenizer(context.model), context.task
    alternatives = [each.alternatives for each in dev]
    measure = task.kind.measure(task.metric, references(dev), alternatives=alternatives, labels=task.labels)

    def score(model: Any) -> float:
        asker = fixed_asker(context, prompt, TransformersEngine(model, tokenizer))
        return float(measure.score([each.answer for each in asker.predict([each.input for each in dev])]))

    return score


def _supervised(job: "TrainingJob") -> "tuple[TrainingOutcome, float]":
    """Train on references, or read what came of it in a process that was killed; also say what was spent in such."""
    from llmtl.tuning.strength_search import train_at_found_strength
    from llmtl.tuning.training import TrainingOutcome, save_points_of

    def mark() -> str:
        return digest([save_points_of(job).mark, weights_sha256(job.folder)])

    outcomes, file = TypeAdapter(TrainingOutcome), job.folder.parent / _OUTCOME
    kept = _kept(file, mark(), outcomes)
    if kept is not None:
        return kept
    begun = monotonic()
    outcome = train_at_found_strength(job)
    seconds = outcome.earlier_seconds + monotonic() - begun
    _keep(file, mark(), outcomes.dump_python(outcome, mode="json"), seconds=seconds)
    return outcome, outcome.earlier_seconds


def _keep(file: Path, mark: str, value: Any, *, seconds: float) -> None:
    """Keep what took so many seconds for an attempt that goes on; `mark` says what it depends on."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"mark": mark, "seconds": seconds, "value": value})


def _kept(file: Path, mark: str, reader: TypeAdapter[Value]) -> tuple[Value, float] | None:
    """Read what was kept, and what it took; None where that is missing, damaged or of something else."""
    if not file.is_file():
        return None
    try:
        kept = read_json(file)
        return (reader.validate_python(kept["value"]), float(kept["seconds"])) if kept["mark"] == mark else None
    except (RunError, ValidationError, KeyError, TypeError, ValueError):
        return None


def _less(job: "TrainingJob", seconds: float) -> "TrainingJob":
    """Take the seconds that processes spent that were killed from the time that the job has."""
    return job if job.deadline is None else replace(job, deadline=job.deadline - seconds)


def _part(deadline: float | None, share: float) -> float | None:
    """Say when that share of the time that is left will be over."""
    return None if deadline is None else monotonic() + share * max(0.0, deadline - monotonic())
