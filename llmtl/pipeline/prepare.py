"""From a recipe to checked, split data and a model known to load: everything that can go wrong before compute is spent.

Writes nothing. Not covered: measuring (`llmtl.pipeline.measure`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llmtl.checks import run_checks
from llmtl.checks.finding import Finding, Level
from llmtl.data import Cleaning
from llmtl.data.table import Table
from llmtl.data.unknown import load_unknown
from llmtl.encoders.checkpoint import inspect_encoder
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.engines import ModelSource
from llmtl.engines.checkpoint import CheckpointInfo, inspect_checkpoint
from llmtl.engines.engine_cache import EngineCache
from llmtl.errors import DataError, MissingPackageError, ModelError
from llmtl.hardware import Hardware, inspect
from llmtl.packages import LOCAL, require
from llmtl.pipeline.models import encoder_source_of, located, source_of
from llmtl.pipeline.run_data import Repeated, read_data
from llmtl.pocket import ANSWERS as TAUGHT
from llmtl.pocket import NAMES as EMBEDDED
from llmtl.progress import Progress
from llmtl.prompting.predictors import answer_tokens
from llmtl.prompting.template import Template
from llmtl.settings import Recipe
from llmtl.strategies.table import build, make
from llmtl.strategy import AnyStrategy, Role, Runs
from llmtl.task import Example, Split, Task


@dataclass(frozen=True)
class Prepared:
    """What a run starts from."""

    recipe: Recipe
    task: Task
    split: Split
    strategies: tuple[AnyStrategy, ...]
    findings: tuple[Finding, ...]
    source: ModelSource
    engines: EngineCache
    fingerprint: str
    unknown: tuple[Example, ...] = ()
    encoder: EncoderSource | None = None

    @property
    def needs_model(self) -> bool:
        """Say whether any strategy uses the language model."""
        return _need_model(self.strategies)


def prepare(
    recipe: Recipe, progress: Progress, *, given: Mapping[str, Table] | None = None, of: Repeated | None = None
) -> Prepared:
    """Return the checked start of a run; raises `InputError` kin for anything the user has to fix first.

    `given` are tables in memory by the path that stands for them in the recipe; `of` is the run that is repeated.
    """
    encoder = _encoder(recipe, progress)
    strategies = build(recipe.strategies, recipe.task.kind, has_encoder=encoder is not None)
    _require_packages(recipe, strategies)
    if not given:
        progress.say(f"Reading {recipe.data.path}")
    read = read_data(recipe, progress, given=given, of=of)
    source = source_of(recipe.model)
    if _need_model(strategies):
        source = located(source, progress)
    engines = EngineCache(source, recipe.model.engine, say=progress.say)
    prepared = Prepared(
        recipe=recipe,
        task=read.task,
        split=read.split,
        strategies=strategies,
        findings=(),
        source=source,
        engines=engines,
        fingerprint=read.fingerprint,
        unknown=load_unknown(recipe.data),
        encoder=encoder,
    )
    model = inspect_checkpoint(source.name, source.revision) if prepared.needs_model else None
    if model is not None:
        hardware = inspect()
        strategies = tuple(_for_machine(strategy, recipe, model, hardware, progress) for strategy in strategies)
        prepared = replace(prepared, strategies=strategies)
        if slow := emulation(source, hardware):
            progress.say(f"Warning: {slow}")
    for doubt in (doubt for strategy in strategies for doubt in strategy.doubts(model)):
        progress.say(f"Warning: {doubt}")
    return replace(prepared, findings=_check(prepared, read.cleaning, progress))


def _for_machine(
    strategy: AnyStrategy, recipe: Recipe, model: CheckpointInfo, hardware: Hardware, progress: Progress
) -> AnyStrategy:
    """Return what is measured of a strategy here; raises `ModelError` where the memory does not do.

    On a CPU it is the one that takes its place there, if nobody listed or configured the strategy, and the machine's
    memory, free or not, does for it: what is measured does not hang on what else runs.
    """
    name, sections = strategy.facts.on_cpu, recipe.strategies
    unasked = sections.run is None and sections.of(strategy.name) == strategy.section()
    if name and unasked and not hardware.gpus:
        other = make(name, sections)
        try:
            other.require_memory(model, replace(hardware, ram_free_gib=hardware.ram_total_gib))
        except ModelError:
            pass
        else:
            progress.say(f"Measuring {name} in place of {strategy.name}, which takes longer on a CPU")
            strategy = other
    strategy.require_memory(model, hardware)
    return strategy


def _encoder(recipe: Recipe, progress: Progress) -> EncoderSource | None:
    """Find the recipe's encoder; None, said in a line, where nobody asked for one and the default is not to be had."""
    source = encoder_source_of(recipe.encoder)
    known = [each.facts for each in build(recipe.strategies, recipe.task.kind, has_encoder=source is not None)]
    if source is None or not any(facts.looks_at_encoder for facts in known):
        return source
    try:
        inspect_encoder(source)
        _load(source)
    except (ModelError, MissingPackageError) as error:
        named = recipe.strategies.run is not None and any(facts.runs is Runs.ENCODER for facts in known)
        if named or "encoder" in recipe.model_fields_set:
            raise
        left = ", ".join(facts.name for facts in known if facts.runs is Runs.ENCODER)
        told = f"Left out for want of an encoder: {left}" if left else "Going on without an encoder"
        progress.say(f"{told}. {error}")
        return None
    return source


def _load(source: EncoderSource) -> None:
    """Load the encoder for whoever reads with it; raise `ModelError` now where its parts do not fit each other."""
    from llmtl.encoders.sentence import SentenceEncoder

    SentenceEncoder.shared(source, inspect().device)


def _need_model(strategies: Sequence[AnyStrategy]) -> bool:
    return any(each.facts.runs is Runs.BASE_MODEL for each in strategies)


def _require_packages(recipe: Recipe, strategies: Sequence[AnyStrategy]) -> None:
    """Raise `MissingPackageError` for what a strategy of the run will need later, when time and money are spent."""
    for strategy in strategies:  # first: the extra of training brings what running a model takes, too
        strategy.require_packages()
    if _need_model(strategies):
        if recipe.model.engine == "vllm":
            require("The engine 'vllm'", "vllm")
        require("A language model", *LOCAL)


def untaught(recipe: Recipe, strategies: Sequence[AnyStrategy]) -> dict[str, str]:
    """List the strategies that would prompt an embedded model for what it was never taught, with why they are left out.

    None where the recipe names its strategies: whoever does so may try.
    """
    known = recipe.model.name not in EMBEDDED or recipe.task.kind.shape in TAUGHT
    if known or recipe.strategies.run is not None:
        return {}
    why = (
        f"{recipe.model.name}, which comes with llmtl to try it with, was never taught {recipe.task.kind} tasks; "
        "name a real model, such as --model smollm2"
    )
    prompted = (each for each in strategies if each.facts.role is Role.PROMPTING)
    return {each.name: why for each in prompted if each.facts.runs is Runs.BASE_MODEL}


def emulation(source: ModelSource, hardware: Hardware) -> str | None:
    """Say in one line, with the cure, where the model would be run in numbers without instructions; None otherwise."""
    has = all(gpu.bf16 for gpu in hardware.gpus) if hardware.gpus else hardware.cpu_bf16
    if has or source.precision(hardware.device) == "float32":
        return None
    device = "GPU" if hardware.gpus else "CPU"
    return f"This {device} has no bfloat16 instructions and emulates them slowly; set model.dtype=float32."


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
    labels = prepared.task.kind.one_label
    return {
        "count_prompt_tokens": lambda text: engine.count_tokens(template.prompt(text)),
        "answer_tokens": max(map(engine.count_tokens, template.answers())) + 1
        if labels
        else answer_tokens(engine, template, prepared.split.train),
        "context_length": engine.context_length,
    }
