"""The verdict of a run without the labels that look wrong.

Only after test was opened: suspects are found in train, dev and test together, each example judged by a classifier that
was fitted without it. Not covered: the same for tasks that are no classification.
"""

from collections.abc import Sequence
from dataclasses import replace

from llmtl.checks.label_noise import check_label_noise
from llmtl.decision import Decision
from llmtl.decision.sensitivity import NOISE, NOISE_FILE, NoiseSensitivity, Suspects, without_suspects
from llmtl.evaluation import Evaluation
from llmtl.pipeline.measure import Bench
from llmtl.store import write_json
from llmtl.strategies import HOSTED
from llmtl.task import TaskKind

HOW = (
    "Suspects were found by confident learning over train, dev and test, each example judged by a bag-of-words "
    "classifier fitted without it. Such a classifier doubts what it would itself get wrong, so leaving its suspects "
    "out flatters tfidf."
)


def write_noise(bench: Bench, decision: Decision, *, dev: Sequence[Evaluation], test: Sequence[Evaluation]) -> Decision:
    """Return the decision, with a warning where it would be another; write `noise.json`."""
    found = noise_sensitivity(bench, decision, dev=dev, test=test)
    write_json(bench.store.folder / NOISE_FILE, NOISE.dump_python(found, mode="json"))
    return replace(decision, warnings=(*decision.warnings, found.sentence)) if found.changed else decision


def noise_sensitivity(
    bench: Bench, decision: Decision, *, dev: Sequence[Evaluation], test: Sequence[Evaluation]
) -> NoiseSensitivity:
    """Return what becomes of the verdict without the suspects of dev and test."""
    task, recipe = bench.prepared.task, bench.prepared.recipe
    if task.kind is not TaskKind.CLASSIFICATION:
        return NoiseSensitivity(HOW, f"only labels of classification tasks are checked, and this is {task.kind.value}")
    split = bench.split
    findings = check_label_noise((*split.train, *split.dev, *split.test), seed=recipe.seed)
    suspects = frozenset(id_ for finding in findings for id_ in finding.ids)
    if findings and not suspects:
        return NoiseSensitivity(HOW, findings[0].message.partition(": ")[2].rstrip("."))
    return without_suspects(
        task,
        decision,
        dev=dev,
        test=test,
        suspects=Suspects(suspects, HOW),
        config=recipe.decision,
        prices=recipe.prices,
        hosted=HOSTED,
    )
