"""The verdict of a run without the labels that look wrong.

Only after test was opened: suspects are found in test, dev and train together, each example judged by a classifier that
was fitted without it. Not covered: the same for tasks that are no classification; fitting again (`refit`).
"""

from collections.abc import Sequence

from llmtl.checks.label_noise import check_label_noise
from llmtl.decision import Decision
from llmtl.decision.sensitivity import (
    NOISE_FILE,
    NoAnswer,
    NoiseSensitivity,
    Suspects,
    Unchecked,
    too_few_left,
    without_suspects,
)
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.measure import Bench
from llmtl.pipeline.refit import refitted
from llmtl.report.noise import noise_to_json
from llmtl.store import write_json


def write_noise(
    bench: Bench, decision: Decision, *, dev: Sequence[Evaluation], test: Sequence[Evaluation]
) -> NoiseSensitivity:
    """Return what becomes of the verdict without the suspects; write `noise.json`."""
    found = noise_sensitivity(bench, decision, dev=dev, test=test)
    write_json(bench.store.folder / NOISE_FILE, noise_to_json(found, decision))
    return found


def noise_sensitivity(
    bench: Bench, decision: Decision, *, dev: Sequence[Evaluation], test: Sequence[Evaluation]
) -> NoiseSensitivity:
    """Return what becomes of the verdict without the suspects, those of train included where a refit is affordable."""
    task, recipe = bench.prepared.task, bench.prepared.recipe
    if not task.kind.one_label:
        return NoiseSensitivity(NoAnswer(Unchecked.OTHER_KIND, kind=str(task.kind)))
    split = bench.split
    # of very many examples only the first are checked, and test decides
    findings = check_label_noise((*split.test, *split.dev, *split.train), seed=recipe.seed)
    suspects = Suspects(frozenset(id_ for finding in findings for id_ in finding.ids))
    if findings and not suspects.ids:
        return NoiseSensitivity(NoAnswer(Unchecked(findings[0].code), skill=findings[0].value))
    whole = [item for item in dev if item.n == len(split.dev)]
    if not too_few_left(whole, test, suspects.ids):
        suspects = refitted(bench, suspects, dev=whole, test=test)
    return without_suspects(
        task,
        decision,
        dev=dev,
        test=test,
        suspects=suspects,
        config=recipe.decision,
        prices=recipe.prices,
    )
