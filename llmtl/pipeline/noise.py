"""The verdict of a run without the labels that look wrong.

Only after test was opened: suspects are found in test, dev and train together, each example judged by a classifier that
was fitted without it. Not covered: the same for tasks that are no classification; fitting again (`refit`).
"""

from collections.abc import Sequence

from llmtl.checks.label_noise import check_label_noise
from llmtl.decision import Decision
from llmtl.decision.sensitivity import NOISE, NOISE_FILE, NoiseSensitivity, Suspects, too_few_left, without_suspects
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.measure import Bench
from llmtl.pipeline.refit import refitted
from llmtl.store import write_json

HOW = (
    "Suspects were found by confident learning over test, dev and train, each example judged by a bag-of-words "
    "classifier fitted without it. Such a classifier doubts what it would itself get wrong, so leaving its suspects "
    "out flatters tfidf."
)


def write_noise(
    bench: Bench, decision: Decision, *, dev: Sequence[Evaluation], test: Sequence[Evaluation]
) -> NoiseSensitivity:
    """Return what becomes of the verdict without the suspects; write `noise.json`."""
    found = noise_sensitivity(bench, decision, dev=dev, test=test)
    write_json(bench.store.folder / NOISE_FILE, NOISE.dump_python(found, mode="json"))
    return found


def noise_sensitivity(
    bench: Bench, decision: Decision, *, dev: Sequence[Evaluation], test: Sequence[Evaluation]
) -> NoiseSensitivity:
    """Return what becomes of the verdict without the suspects, those of train included where a refit is affordable."""
    task, recipe = bench.prepared.task, bench.prepared.recipe
    if not task.kind.one_label:
        return NoiseSensitivity(HOW, f"only labels of classification tasks are checked, and this is {task.kind}")
    split = bench.split
    # of very many examples only the first are checked, and test decides
    findings = check_label_noise((*split.test, *split.dev, *split.train), seed=recipe.seed)
    suspects = Suspects(frozenset(id_ for finding in findings for id_ in finding.ids), HOW)
    if findings and not suspects.ids:
        why = findings[0].message.partition(": ")[2].rstrip(".")
        return NoiseSensitivity(HOW, f"over train, dev and test together, {why}: too little to doubt a label by")
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
