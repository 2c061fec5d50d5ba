"""Fit strategies again without labels that look wrong.

The labels are looked for only after test was opened: suspects are found in test, dev and train together, each example
judged by a classifier that was fitted without it. Without those of train, strategies that are quick to fit are fitted
again always; of the others those that used a suspect, cheapest first, as long as the time lasts, since such a fit can
take as long as the run did. Every fit and evaluation is a step of the store. Not covered: further draws of finalists
(`llmtl.pipeline.draws`), finding suspects (`llmtl.checks.label_noise`), the verdict without them
(`llmtl.decision.sensitivity`).
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from llmtl.checks.label_noise import check_label_noise
from llmtl.costs import WorkKind
from llmtl.decision.outcome import Decision
from llmtl.decision.sensitivity import (
    NOISE_FILE,
    NoAnswer,
    NoiseSensitivity,
    NotRefitted,
    Suspects,
    Unchecked,
    Unfitted,
    too_few_left,
    without_suspects,
)
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.cascading import Cascades, composed_again
from llmtl.pipeline.measure import Bench
from llmtl.progress import Silent
from llmtl.report.noise import noise_to_json, why_unfitted
from llmtl.store import write_json
from llmtl.strategy import AnyStrategy, PromptServed, ProviderServed, Runs, Served
from llmtl.task import Example, Split

BUDGET_SHARE = 0.05
"""The part of the run's time budget that refits of language models may take by default, if so much is left."""
UNLIMITED_MINUTES = 30.0


def write_noise(
    bench: Bench,
    decision: Decision,
    *,
    dev: Sequence[Evaluation],
    test: Sequence[Evaluation],
    cascades: Cascades | None = None,
) -> NoiseSensitivity:
    """Work out what becomes of the verdict without the suspects; write `noise.json`."""
    found = noise_sensitivity(bench, decision, dev=dev, test=test, cascades=cascades)
    write_json(bench.store.folder / NOISE_FILE, noise_to_json(found, decision))
    return found


def noise_sensitivity(
    bench: Bench,
    decision: Decision,
    *,
    dev: Sequence[Evaluation],
    test: Sequence[Evaluation],
    cascades: Cascades | None = None,
) -> NoiseSensitivity:
    """Find what becomes of the verdict without the suspects, those of train included where a refit is affordable."""
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
        composed = composed_again(cascades or Cascades(), suspects.refitted, [*whole, *test])
        suspects = replace(suspects, refitted=(*suspects.refitted, *composed))
    return without_suspects(
        task,
        decision,
        dev=dev,
        test=test,
        suspects=suspects,
        config=recipe.decision,
        prices=recipe.prices,
    )


def refitted(bench: Bench, suspects: Suspects, *, dev: Sequence[Evaluation], test: Sequence[Evaluation]) -> Suspects:
    """Fit strategies again without the suspects, and evaluate them; say why others were not.

    `dev` are the evaluations on all of dev; a strategy without one, or without one on `test`, is left alone.
    """
    in_train = sum(example.id in suspects.ids for example in bench.split.train)
    if not in_train:
        return suspects
    split = _without(bench.split, suspects.ids)
    clean = replace(bench, split=split, progress=Silent(), work=WorkKind.REFITS)
    scored = {item.strategy: item for item in dev}, {item.strategy: item for item in test}
    affected = [
        strategy
        for strategy in bench.prepared.strategies
        if all(strategy.name in names for names in scored)
        and uses(strategy, bench.predictor(strategy).served(), suspects.ids)
    ]
    made: list[Evaluation] = []
    kept: dict[str, NotRefitted] = {}
    left = _seconds(bench)
    with bench.progress.stage("without labels that look wrong: fitting again", len(affected)) as advance:
        for strategy in affected:
            takes = _forecast_seconds(bench, strategy, [names[strategy.name] for names in scored])
            why = _kept(strategy, takes, left)
            if why is None:
                left -= takes
                fitted = clean.fit(strategy)
                why = None if fitted.skipped is None else NotRefitted(Unfitted.SKIPPED, told=fitted.skipped)
                made += [] if why else [clean.evaluate(strategy, part)[0] for part in ("dev", "test")]
            if why is not None:
                kept[strategy.name] = why
            advance(1)
    for name, why in kept.items():
        bench.progress.say(
            f"Not fitted again without the {in_train:,} train labels that look wrong: {name} ({why_unfitted(why)})"
        )
    spent = bench.ledger.spent(WorkKind.REFITS, bench.prepared.recipe.prices)
    return replace(suspects, in_train=in_train, refitted=tuple(made), not_refitted=kept, spent=spent)


def uses(strategy: AnyStrategy, served: Served, ids: Collection[str]) -> bool:
    """Say whether a fitted strategy learned from, shows or may retrieve one of the training examples `ids`."""
    if not strategy.facts.learns_from_train:
        return False
    prompt = served.prompt if isinstance(served, ProviderServed) else served
    if not isinstance(prompt, PromptServed) or prompt.tuned is not None:
        return True
    # a strategy that retrieves may show any training example
    return prompt.retrieved is not None or any(example.id in ids for example in prompt.demonstrations)


def _kept(strategy: AnyStrategy, takes: float, left: float) -> NotRefitted | None:
    """Return why a strategy is not fitted again, or None."""
    if strategy.facts.quick_to_fit:
        return None
    if strategy.facts.runs is Runs.PROVIDER:
        return NotRefitted(Unfitted.PAID)
    return NotRefitted(Unfitted.NO_TIME, takes, left) if takes > left else None


def _seconds(bench: Bench) -> float:
    minutes = bench.prepared.recipe.label_noise.refit_minutes
    if minutes is not None:
        return 60 * minutes
    seconds = bench.seconds_for("refits", BUDGET_SHARE)
    return 60 * UNLIMITED_MINUTES if seconds is None else seconds


def _forecast_seconds(bench: Bench, strategy: AnyStrategy, scored: Sequence[Evaluation]) -> float:
    """Return the seconds that the same took with all labels; 0 where a refit is always affordable."""
    if strategy.facts.quick_to_fit:
        return 0.0
    scoring = sum(prediction.seconds for item in scored for prediction in item.predictions)
    return (bench.fit(strategy).train_seconds or 0.0) + scoring


def _without(split: Split, ids: Collection[str]) -> Split:
    def left(examples: tuple[Example, ...]) -> tuple[Example, ...]:
        return tuple(example for example in examples if example.id not in ids)

    return replace(split, train=left(split.train), dev=left(split.dev), test=left(split.test))
