"""Fitting every strategy and evaluating it on a split, each as a step of the store, so that a run can be resumed.

Not covered: the order of the stages (`llmtl.pipeline.stages`).
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from llmtl.costs import Ledger, WorkKind
from llmtl.data import corpus_mark, fingerprint
from llmtl.decision.forgotten import WORTH_TELLING, tunes_language_model
from llmtl.encoders.sentence import let_go
from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.errors import CannotFitError, ContextLengthError
from llmtl.findings import FitFinding, FittedAgain
from llmtl.hardware import inspect
from llmtl.measured.evaluation import Evaluation
from llmtl.measured.fitting import FitRecord
from llmtl.pipeline.began_with import began_with
from llmtl.pipeline.budget import Plan
from llmtl.pipeline.evaluate import Pass, Subject, evaluate
from llmtl.pipeline.fits import fit_from_json, fit_to_json, load_fit
from llmtl.pipeline.forgetting_steps import General, level, seconds_allowed, seconds_per_passage
from llmtl.pipeline.ledger_entries import fitting_entry, scoring_entry
from llmtl.pipeline.models import encoder_identity, identity
from llmtl.pipeline.prepare import Prepared
from llmtl.pipeline.run_format import EVALUATION
from llmtl.pipeline.shares import FitTimes
from llmtl.progress import Progress
from llmtl.store import Store, digest
from llmtl.strategy import AnyStrategy, Budget, Facts, FitContext, Predictor, ProviderServed, Runs, Served
from llmtl.task import Draw, Example, Split, Task
from llmtl.version import __version__

LEAST_OF_SHARE = 0.2
"""What an optional stage may take of its share where nothing is left: what takes seconds is done all the same."""


@dataclass(frozen=True)
class RacedPass:
    """What was scored in the race, and on which examples of dev."""

    examples: tuple[Example, ...]
    made: Pass


@dataclass(frozen=True)
class MoreTime:
    """A second fit of a strategy: the seconds that it may take, and those that the first one took."""

    seconds: float
    first_seconds: float


@dataclass(frozen=True)
class Bench:
    """Measures strategies of one run: `split` is already cut to what the budget allows.

    What each step spent is noted in `ledger`, as `work` where that is given. `first` is the bench of the first draw
    where this one makes another (`llmtl.pipeline.draws`), which may cost `usd` at a provider. `times` divides the time
    for fitting by what fits were measured to take; without it, weights alone do. `extended` has the time of those
    that were given what the others left (`llmtl.pipeline.more_time`). `began` is when measuring began, by
    `time.monotonic()`.
    """

    prepared: Prepared
    split: Split
    plan: Plan | None
    store: Store
    progress: Progress
    ledger: Ledger = field(default_factory=Ledger)
    work: WorkKind | None = None
    first: "Bench | None" = None
    usd: float | None = None
    times: FitTimes | None = None
    extended: Mapping[str, MoreTime] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def seconds_for(self, stage: str, share: float) -> float | None:
        """Say how many seconds of the budget an optional stage may take; None without a budget.

        That is its share or what is really left, but a fifth of its share even where nothing is. Kept, so that the same
        command does the same; what earlier commands in the folder used counts as it was noted.
        """
        if self.plan is None:
            return None
        whole = self.plan.seconds

        def compute(_: Path) -> float:
            noted = sum(entry.machine_seconds or 0.0 for entry in self.ledger.entries.values())
            left = whole - max(noted, time.monotonic() - self.began)
            return min(share * whole, max(left, share * whole * LEAST_OF_SHARE))

        fits = [self.fit_folder(strategy).name for strategy in self.prepared.strategies]
        return float(self.store.step(f"seconds-for-{stage}", {"whole": whole, "share": share, "fits": fits}, compute))

    def fit(self, strategy: AnyStrategy) -> FitRecord:
        """Fit a strategy and keep its predictor; the record says what that took, or why it was skipped."""
        depends_on = self.fit_depends_on(strategy)
        if not self.was_fitted(strategy):
            self.progress.say(f"Fitting {strategy.name}")
        value = self.store.step(f"fit-{strategy.name}", depends_on, lambda folder: self._fit(strategy, folder))
        fitted = fit_from_json(value)
        if self.times is not None and self.work is None:
            self.times.fitted(strategy.name, used=fitted.train_seconds or 0.0, limit=fitted.limit_seconds)
        self.ledger.note(self.fit_folder(strategy).name, fitting_entry(self.work or WorkKind.FITTING, fitted))
        return fitted

    def _fit(self, strategy: AnyStrategy, folder: Path) -> Any:
        if self._measures_forgetting(strategy):
            self._general.measure_base()  # while the engine of the base model is at hand
        start, skipped, earlier = time.perf_counter(), None, 0.0
        findings: tuple[FitFinding, ...] = ()
        context = self.context(strategy, folder)
        try:
            fitted = strategy.fit(context)
        except (CannotFitError, ContextLengthError) as error:
            skipped = str(error)
        else:
            longer = self.extended.get(strategy.name)
            again = [FittedAgain(longer.first_seconds)] if longer else []
            findings = (*fitted.findings, *began_with(strategy.facts, self.prepared), *again)
            earlier = fitted.earlier_seconds
            fitted.predictor.save(folder)
        took, limit = earlier + time.perf_counter() - start, context.budget.train_seconds
        return fit_to_json(
            FitRecord(took, self._device(strategy), findings=findings, skipped=skipped, limit_seconds=limit)
        )

    def predictor(self, strategy: AnyStrategy) -> Predictor:
        """Load the fitted strategy."""
        self.fit(strategy)
        return self._predictor(strategy)

    def evaluate(
        self, strategy: AnyStrategy, split: str, *, scored: RacedPass | None = None
    ) -> tuple[Evaluation, Path]:
        """Evaluate on `dev` or `test`, or what was scored in the race; gives the step's folder too."""
        examples = scored.examples if scored else self._examples(split)
        name = f"{split}-{strategy.name}"
        depends_on = {
            "fit": self.fit_depends_on(strategy),
            "examples": fingerprint(examples),
        }
        fitted = self.fit(strategy)
        value = self.store.step(name, depends_on, lambda _: self._evaluate(strategy, fitted, split, scored))
        evaluation, folder = EVALUATION.validate_python(value), self.store.step_folder(name, depends_on)
        self.ledger.note(folder.name, scoring_entry(self.work or WorkKind(split), evaluation, fitted))
        return evaluation, folder

    def _evaluate(self, strategy: AnyStrategy, fitted: FitRecord, split: str, scored: RacedPass | None) -> Any:
        predictor = self._predictor(strategy)
        subject = Subject(
            strategy=strategy.name,
            role=strategy.role,
            predictor=predictor,
            device=fitted.device,
            train_seconds=fitted.train_seconds or 0.0,
            devices=fitted.devices,
            fitting_tokens=fitted.paid_tokens,
            stated=fitted.stated,
            model=self._model(strategy),
            draw=draw_of(strategy.facts, predictor.served()),
            remembers=self._remembers(strategy),
            cuts=fitted.cuts,
        )
        evaluation = evaluate(
            subject,
            self.prepared.task,
            scored.examples if scored else self._examples(split),
            split=split,
            progress=self.progress,
            scored=scored.made if scored else None,
            latency=self.first is None,  # of a further draw, answers alone count
        )
        if split == "dev" and self._measures_forgetting(strategy):
            fit = self.fit_folder(strategy)
            evaluation = replace(evaluation, forgetting=self._general.forgotten(strategy.name, fit, predictor.served()))
        return EVALUATION.dump_python(evaluation, mode="json")

    def _measures_forgetting(self, strategy: AnyStrategy) -> bool:
        """Say whether it is measured what a strategy's model forgets: of first fits, and not of draws and refits."""
        return self.work is None and tunes_language_model(strategy.facts)

    @property
    def _general(self) -> General:
        """Make what measures models on general English."""
        recipe, source = self.prepared.recipe, self.prepared.source
        each = seconds_per_passage(inspect_checkpoint(source.name, source.revision).parameters, _device())
        return General(
            self.store,
            self.ledger,
            self.progress,
            load=self.prepared.engines.load,
            identity=identity(recipe.model, source),
            sampled=level(each, seconds_allowed(self.plan.seconds if self.plan else None)),
        )

    def _predictor(self, strategy: AnyStrategy) -> Predictor:
        folder = self.fit_folder(strategy)
        return load_fit(strategy, self.context(strategy, folder), folder)

    def fit_folder(self, strategy: AnyStrategy) -> Path:
        """Name the folder that keeps what fitting wrote."""
        return self.store.step_folder(f"fit-{strategy.name}", self.fit_depends_on(strategy))

    def _examples(self, split: str) -> tuple[Example, ...]:
        return self.split.dev if split == "dev" else self.split.test

    def _remembers(self, strategy: AnyStrategy) -> bool:
        """Say whether an input that was predicted before takes less time than a new one."""
        match strategy.facts.runs:
            case Runs.PROVIDER:
                return True
            case Runs.NOTHING | Runs.ENCODER:
                return False
            case Runs.BASE_MODEL:
                return self.prepared.engines.load().remembers

    def _device(self, strategy: AnyStrategy) -> str:
        match strategy.facts.runs:
            case Runs.PROVIDER:
                return "hosted"
            case Runs.NOTHING:
                return "cpu"
            case Runs.ENCODER:
                return _device()
            case Runs.BASE_MODEL:
                return self.prepared.engines.load().device

    def _model(self, strategy: AnyStrategy) -> str:
        """Name the language model or the encoder that a strategy runs on; empty for none."""
        match strategy.facts.runs:
            case Runs.PROVIDER:
                return strategy.config.model or ""
            case Runs.NOTHING:
                return ""
            case Runs.ENCODER:
                return self.prepared.encoder.name if self.prepared.encoder else ""
            case Runs.BASE_MODEL:
                return self.prepared.recipe.model.name

    def context(self, strategy: AnyStrategy, folder: Path) -> FitContext:
        """Gather what fitting or loading a strategy may use, with `folder` as its own."""
        return FitContext(
            task=self.prepared.task,
            train=self.split.train,
            dev=self.split.dev,
            corpus=self.split.corpus,
            preferences=self.split.preferences if strategy.facts.prefers else (),
            model=self.prepared.source,
            load_engine=self.prepared.engines.load,
            release_engines=self._release,
            device=_device(),
            others=self.prepared.recipe.strategies.others(strategy.name),
            folder=folder,
            seed=self.prepared.recipe.seed,
            budget=Budget(train_seconds=self._limit(strategy), usd=self.usd),
            prices=self.prepared.recipe.prices,
            progress=self.progress,
            earlier=self.first.fit(strategy).findings if self.first else (),
            encoder=self.prepared.encoder,
            speed=self.plan.speed if self.plan else None,
            most_forgetting=self._most_forgetting,
        )

    @property
    def _most_forgetting(self) -> float:
        """Say by what share general English may become harder to predict: from where on it is told, without a limit."""
        limit = self.prepared.recipe.decision.max_forgetting
        return WORTH_TELLING if limit is None else limit

    def _release(self) -> None:
        """Give up the memory of models that are loaded."""
        self.prepared.engines.release()
        let_go()

    def _limit(self, strategy: AnyStrategy) -> float | None:
        """Say how many seconds fitting may take; None for no limit."""
        if self.plan is None or self.times is None:
            return self.plan.fit_seconds(strategy.name) if self.plan else None
        longer = self.extended.get(strategy.name)
        whole = longer.seconds if longer else self.times.limit(strategy.name)
        return None if whole is None else self.plan.scale * whole

    def was_fitted(self, strategy: AnyStrategy) -> bool:
        """Tell whether the strategy was fitted before and that was kept."""
        return self.store.has(f"fit-{strategy.name}", self.fit_depends_on(strategy))

    def fit_depends_on(self, strategy: AnyStrategy) -> dict[str, Any]:
        """List what a fit depends on: of the time, the share by weight, and not what probes measured."""
        recipe = self.prepared.recipe
        uses_model = strategy.facts.runs is Runs.BASE_MODEL
        others = {
            name: section.model_dump(mode="json") for name, section in recipe.strategies.others(strategy.name).items()
        }
        encoder = self.prepared.encoder if strategy.facts.looks_at_encoder else None
        pairs = self.split.preferences if strategy.facts.prefers else ()
        return {
            "llmtl": __version__,
            "strategy": strategy.name,
            "settings": strategy.config.model_dump(mode="json"),
            "others": others,
            "task": _mark_of(self.prepared.task),
            "train": fingerprint(self.split.train),
            "dev": fingerprint(self.split.dev),
            **({"corpus": corpus_mark(self.split.corpus)} if self.split.corpus else {}),
            **({"preferences": digest([asdict(pair) for pair in pairs])} if pairs else {}),
            "model": identity(recipe.model, self.prepared.source) if uses_model else None,
            "budget": self.plan.fit_seconds(strategy.name) if self.plan else None,
            "seed": recipe.seed,
            **({"extended": self.extended[strategy.name].seconds} if strategy.name in self.extended else {}),
            **({"most_forgetting": self._most_forgetting} if strategy.goes_by_limit else {}),
            **({"encoder": encoder_identity(encoder)} if encoder else {}),
            **({"earlier": self.first.fit_folder(strategy).name} if self.first else {}),
        }


def _mark_of(task: Task) -> dict[str, Any]:
    """Say what of a task a fit depends on; one without descriptions as before there were any."""
    said = asdict(replace(task, target=None))
    return said if task.descriptions else {name: value for name, value in said.items() if name != "descriptions"}


def _device() -> str:
    return "cuda" if inspect().gpus else "cpu"


def draw_of(facts: Facts, served: Served) -> Draw:
    """Say what another draw of a fitted strategy is: of a provider's model that is shown examples, other ones."""
    shown = isinstance(served, ProviderServed) and served.prompt.demonstrations
    return Draw.DEMONSTRATIONS if facts.draw is Draw.REPLIES and shown else facts.draw
