"""Cascades in a run: composed on dev before anything is chosen, and on test of what its two members answered there.

Nothing is fitted or scored for them. Only pairs that can be served are composed. Not covered: which pairs and which
threshold (`llmtl.strategies.cascade`), serving them (`llmtl.serving`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from llmtl.measured.evaluation import Evaluation
from llmtl.measured.fitting import FitRecord
from llmtl.pipeline.dev_race import Measured
from llmtl.pipeline.fits import fit_to_json
from llmtl.pipeline.measure import Bench
from llmtl.pipeline.run_format import EVALUATION
from llmtl.store import digest
from llmtl.strategies.cascade import Cascade, Composed, Composing, compose
from llmtl.strategies.table import facts_of
from llmtl.strategy import LocalServed, Runs


@dataclass(frozen=True)
class Cascades:
    """The cascades of a run: how each was composed, and by name the step that keeps that."""

    composed: tuple[Composed, ...] = ()
    steps: Mapping[str, Path] = field(default_factory=dict)

    @property
    def members(self) -> dict[str, tuple[str, str]]:
        """Map each cascade to its two members, by name."""
        return {each.cascade.name: (each.cascade.first, each.cascade.then) for each in self.composed}

    def with_members(self, names: Iterable[str]) -> set[str]:
        """Add to names those of the members of the cascades among them."""
        found = set(names)
        return found | {member for name in found for member in self.members.get(name, ())}


def may_be_first(name: str) -> bool:
    """Say whether a strategy can be served in front of another: in any server's process, without a language model."""
    facts = facts_of(name)
    return facts is not None and facts.served is LocalServed and facts.runs in (Runs.NOTHING, Runs.ENCODER)


def compose_on_dev(bench: Bench, finished: Measured) -> tuple[Cascades, Measured]:
    """Compose cascades of strategies that saw all of dev, with their dev evaluations; none where they are off."""
    recipe, task = bench.prepared.recipe, bench.prepared.task
    if not (recipe.strategies.cascade and task.kind.one_label):
        return Cascades(), []
    rules = Composing(task.metric, recipe.decision.margin, recipe.prices, may_be_first, seed=recipe.seed)
    composed = compose([item for item, _ in finished], rules)
    made, steps = [], {}
    for each in composed:
        first, then = (_of(finished, name) for name in (each.cascade.first, each.cascade.then))
        name, depends_on = each.cascade.name, _depends_on(each, first, then)
        record = FitRecord(
            (first[0].train_seconds or 0.0) + (then[0].train_seconds or 0.0),
            then[0].device,
            then[0].devices,
            findings=(each.trace,),
        )
        bench.store.step(f"fit-{name}", depends_on, partial(_described, record))
        steps[name] = bench.store.step_folder(f"fit-{name}", depends_on)
        made.append(_kept(bench, f"dev-{name}", depends_on, each.dev(first[0], then[0])))
        bench.progress.say(_told(each))
    return Cascades(composed, steps), made


def compose_on_test(bench: Bench, cascades: Cascades, test: Measured) -> Measured:
    """Compose the test evaluations of the cascades from those of their members, further training seeds included."""
    made = []
    for each in cascades.composed:
        first, then = (_of(test, name) for name in (each.cascade.first, each.cascade.then))
        depends_on = _depends_on(each, first, then)
        made.append(_kept(bench, f"test-{each.cascade.name}", depends_on, each.cascade.of(first[0], then[0])))
    return made


def composed_again(
    cascades: Cascades, refitted: Sequence[Evaluation], measured: Sequence[Evaluation]
) -> list[Evaluation]:
    """Compose the cascades of members that were fitted again, on the examples that those were scored on.

    `measured` are the evaluations of the run. The threshold stays. Costs and intervals are the run's, as those of
    everything that is fitted again.
    """
    anew = {(item.split, item.strategy): item for item in refitted}
    known = {(item.split, item.strategy): item for item in measured}
    made = []
    for each in cascades.composed:
        cascade = each.cascade
        for split in ("dev", "test"):
            pair = [(split, name) for name in (cascade.first, cascade.then)]
            changed = next((anew[key] for key in pair if key in anew), None)
            if changed is not None:
                first, then = (_at(anew.get(key, known[key]), changed) for key in pair)
                made.append(replace(cascade.of(first, then), split=split))
    return made


def _at(evaluation: Evaluation, like: Evaluation) -> Evaluation:
    """Return an evaluation of one seed on the examples of another one."""
    by_id = {item.id: item for item in evaluation.predictions}
    return replace(
        evaluation,
        predictions=tuple(by_id[item.id] for item in like.predictions),
        references=like.references,
        alternatives=like.alternatives,
        groups=like.groups,
        seed_predictions=(),
    )


def _of(measured: Measured, name: str) -> tuple[Evaluation, Path]:
    return next(item for item in measured if item[0].strategy == name)


def _depends_on(each: Composed, first: tuple[Evaluation, Path], then: tuple[Evaluation, Path]) -> dict[str, Any]:
    cascade: Cascade = each.cascade
    on_dev = digest([str(threshold) for threshold in each.on_dev])
    return {"members": [first[1].name, then[1].name], "threshold": cascade.threshold, "on dev": on_dev}


def _described(record: FitRecord, _: Path) -> Any:
    return fit_to_json(record)


def _kept(bench: Bench, name: str, depends_on: dict[str, Any], made: Evaluation) -> tuple[Evaluation, Path]:
    value = bench.store.step(name, depends_on, lambda _: EVALUATION.dump_python(made, mode="json"))
    return EVALUATION.validate_python(value), bench.store.step_folder(name, depends_on)


def _told(each: Composed) -> str:
    cascade, share = each.cascade, 1 - each.trace.passed_on
    return f"Composed {cascade.name}: {cascade.first} answers {share:.0%} of dev, {cascade.then} the rest"
