"""From a recipe to checked, split data and a model known to load: everything that can go wrong before compute is spent.

Writes nothing. Not covered: measuring (`llmtl.pipeline.measure`).
"""

from dataclasses import dataclass, replace
from typing import Any

from llmtl.checks import run_checks
from llmtl.checks.finding import Finding, Level
from llmtl.data import Cleaning, fingerprint, load_examples, split_examples
from llmtl.engines import ModelSource
from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.errors import DataError
from llmtl.pipeline.models import EngineCache, source_of
from llmtl.predictor import Role, Strategy
from llmtl.progress import Progress
from llmtl.settings import Recipe
from llmtl.strategies import build
from llmtl.task import Split, Task
from llmtl.templates import Template


@dataclass(frozen=True)
class Prepared:
    """What a run starts from."""

    recipe: Recipe
    task: Task
    split: Split
    strategies: tuple[Strategy, ...]
    findings: tuple[Finding, ...]
    source: ModelSource
    engines: EngineCache
    fingerprint: str

    @property
    def needs_model(self) -> bool:
        """Return whether any strategy uses the language model."""
        return any(strategy.role is not Role.BASELINE for strategy in self.strategies)


def prepare(recipe: Recipe, progress: Progress) -> Prepared:
    """Return the checked start of a run; raises `InputError` kin for anything the user has to mend first."""
    progress.say(f"Reading {recipe.data.path}")
    loaded = load_examples(recipe.data, recipe.task.labels)
    task = task_of(recipe, loaded.labels)
    split = split_examples(loaded, recipe.data, seed=recipe.seed)
    strategies = build(recipe.strategies)
    source = source_of(recipe.model)
    engines = EngineCache(source)
    prepared = Prepared(
        recipe=recipe,
        task=task,
        split=split,
        strategies=strategies,
        findings=(),
        source=source,
        engines=engines,
        fingerprint=fingerprint((*split.train, *split.dev, *split.test)),
    )
    if prepared.needs_model:
        inspect_checkpoint(source.name, source.revision)
    return replace(prepared, findings=_check(prepared, loaded.cleaning, progress))


def task_of(recipe: Recipe, labels: tuple[str, ...]) -> Task:
    """Return the task of a recipe for the labels that it, or else the data, gives."""
    return Task(
        name=recipe.task.name or recipe.name,
        labels=labels,
        instruction=recipe.task.instruction,
        metric=recipe.task.metric,
        target=recipe.task.target,
    )


def _check(prepared: Prepared, cleaning: Cleaning, progress: Progress) -> tuple[Finding, ...]:
    """Return the findings of all checks; raises `DataError` with the first that says stop."""
    progress.say("Checking the data")
    findings = run_checks(
        prepared.split,
        prepared.task,
        cleaning=cleaning,
        near_duplicate_threshold=prepared.recipe.data.near_duplicate_threshold,
        seed=prepared.recipe.seed,
        **_context_check(prepared),
    )
    for finding in findings:
        if finding.level is Level.STOP:
            raise DataError(finding.message)
        if finding.level is Level.WARNING:
            progress.say(f"Warning: {finding.message}")
    return tuple(findings)


def _context_check(prepared: Prepared) -> dict[str, Any]:
    """Return what checking the model's context takes; nothing when no strategy uses the model."""
    if not prepared.needs_model:
        return {}
    engine = prepared.engines.load()
    template = Template(prepared.task, engine)
    return {
        "count_prompt_tokens": lambda text: engine.count_tokens(template.prompt(text)),
        "answer_tokens": max(engine.count_tokens(answer) for answer in template.answers()) + 1,
        "context_length": engine.context_length,
    }
