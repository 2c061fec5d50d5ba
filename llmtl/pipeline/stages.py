"""The stages of a run, in order.

1. prepare: load, split, check; nothing is written before this has passed
2. plan: what numbers the model is run in, what the time budget allows
3. fit every strategy on train, evaluate it on dev; compose cascades of them
4. choose on dev; `choice.json` is written
5. open test once: evaluate every strategy on it
6. decide, ask the judge if the recipe has one, report

Not covered: which recipe is carried out (`llmtl.pipeline.start`).
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from llmtl.checkpoints.conversion import origin
from llmtl.data import subsample
from llmtl.data.table import Table
from llmtl.decision.automation import with_automation, with_ladders
from llmtl.decision.care import with_care
from llmtl.decision.choice import choose
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Choice
from llmtl.decision.share_choice import by_goal
from llmtl.errors import RecipeError
from llmtl.hardware import inspect
from llmtl.pipeline.budget import DEFAULT_CPU_MINUTES, Plan, plan
from llmtl.pipeline.cascading import Cascades, compose_on_dev, compose_on_test
from llmtl.pipeline.curve import write_curves
from llmtl.pipeline.dev_race import Measured, Raced, measure_dev
from llmtl.pipeline.draws import draws_in_time, evaluate_on_test
from llmtl.pipeline.forecasts import with_fit_times
from llmtl.pipeline.measure import Bench
from llmtl.pipeline.models import identity
from llmtl.pipeline.more_time import with_more_time
from llmtl.pipeline.noise_refits import write_noise
from llmtl.pipeline.precision import with_precision
from llmtl.pipeline.prepare import Prepared, prepare, untaught
from llmtl.pipeline.quarter_of_train import with_transfer
from llmtl.pipeline.report import refresh_report
from llmtl.pipeline.run_damage import damage_told
from llmtl.pipeline.run_data import Repeated
from llmtl.pipeline.run_folder import Run, load_run
from llmtl.pipeline.run_format import (
    FINGERPRINT,
    PROVENANCE,
    TASK,
    RunIndex,
    check_given,
    require_own,
    seal_data,
    write_decision,
    write_index,
    write_inputs,
    write_predictions,
)
from llmtl.pipeline.run_result import RunResult
from llmtl.pipeline.searched import with_search_optimism
from llmtl.pipeline.second_opinion import check_judge, write_judging
from llmtl.pipeline.unknown_inputs import score_unknown
from llmtl.progress import Progress
from llmtl.quiet import quiet_logs
from llmtl.report.content import Skipped, SkipReason
from llmtl.report.decision_file import SCHEMA_VERSION, choice_from_json, choice_to_json
from llmtl.report.sentences import Summary, summarize, told_before
from llmtl.settings import Recipe
from llmtl.store import Store, digest, now, versions, write_json, write_json_lines
from llmtl.strategies.table import sending_away
from llmtl.task import Split


@quiet_logs()
def execute(
    recipe: Recipe,
    *,
    folder: Path,
    progress: Progress,
    given: Mapping[str, Table] | None = None,
    of: Repeated | None = None,
) -> Run:
    """Return the finished run of `recipe` in `folder`.

    `given` are tables in memory by the path in the recipe that stands for them; they are written there. `of` is the run
    that is repeated, whose examples are taken where the data is not there any more.
    """
    started = now()
    require_own(folder, recipe)
    if not given:
        check_given(folder, recipe.data)
    prepared, barred = _without_barred(prepare(recipe, progress, given=given, of=of))
    for name, skipped in barred.items():
        progress.say(f"Skipped {name}: {skipped.message}")
    check_judge(recipe.judge, folder)
    store = Store(folder, progress.say)
    with store.claimed():
        for told in damage_told(folder):
            progress.say(told)
        for path, table in (given or {}).items():
            write_json_lines(Path(path), [dict(row.values) for row in table.rows])
            seal_data(folder)
        return _carry_out(prepared, barred, store, progress, started=started)


def _carry_out(
    prepared: Prepared, barred: dict[str, Skipped], store: Store, progress: Progress, *, started: str
) -> Run:
    """Return the finished run of what was prepared, in the store's folder."""
    prepared = with_precision(prepared, store, progress)
    recipe, folder = prepared.recipe, store.folder
    allowed = _plan(prepared, store, progress)
    split = _cut(prepared, allowed, progress)
    write_inputs(folder, recipe, split)
    progress.say(told_before(len(split.test), metric=prepared.task.metric, alpha=recipe.decision.alpha))
    bench = with_fit_times(Bench(prepared, split, allowed, store, progress))
    bench, skipped, raced = _measure_dev(bench)
    cascades, composed = compose_on_dev(bench, raced.finished)
    dev = [*raced.finished, *composed]
    choice = _choose(bench, replace(raced, finished=dev), cascades)
    names = _tested(choice, raced)
    tested = [strategy for strategy in prepared.strategies if strategy.name in names]
    on_dev = {evaluation.strategy: evaluation for evaluation, _ in (*dev, *raced.left)}
    test = [evaluate_on_test(bench, strategy, _finalists(choice, cascades), on_dev) for strategy in tested]
    test += compose_on_test(bench, cascades, test)
    decision = decide(
        prepared.task,
        choice,
        dev=[evaluation for evaluation, _ in dev],
        test=[evaluation for evaluation, _ in test],
        config=recipe.decision,
        prices=recipe.prices,
        dropped=[evaluation for evaluation, _ in raced.left],
    )
    test_scored = [item for item, _ in test]
    decision = with_care(decision, test_scored, prepared.findings)
    unknown = score_unknown(bench, tested, choice)
    decision = with_automation(decision, test_scored, config=recipe.decision, unknown=unknown)
    curves = write_curves(bench, [item for item, _ in raced.finished], decision)
    decision = with_transfer(bench, decision, curves, test_scored)
    noise = write_noise(bench, decision, dev=list(on_dev.values()), test=test_scored, cascades=cascades)
    judging = write_judging(bench, decision, test_scored)
    result = RunResult(decision, noise, judging, curves, bench.ledger.spending(recipe.prices))
    summary = summarize(decision, noise=noise, judging=judging)
    _write_results(
        bench,
        result,
        summary=summary,
        measured=[*dev, *test],
        fits={strategy.name: bench.fit_folder(strategy) for strategy in tested} | dict(cascades.steps),
        skipped=barred | skipped,
        left=raced.left,
        started=started,
    )
    return load_run(folder)


def _without_barred(prepared: Prepared) -> tuple[Prepared, dict[str, Skipped]]:
    """Return the start of the run without the strategies that may get no input or cannot answer, and why not."""
    recipe = prepared.recipe
    away = sending_away(recipe.strategies) if recipe.decision.private else {}
    barred = {name: Skipped(SkipReason.PRIVATE, why) for name, why in away.items()}
    barred |= {name: Skipped(SkipReason.KIND, why) for name, why in untaught(recipe, prepared.strategies).items()}
    left = tuple(strategy for strategy in prepared.strategies if strategy.name not in barred)
    if not left:
        raise RecipeError(
            "Every strategy of the recipe sends inputs away, and decision.private is set; add one that runs here."
        )
    return replace(prepared, strategies=left), barred


def _plan(prepared: Prepared, store: Store, progress: Progress) -> Plan | None:
    """Return the budget's plan, made once for a run folder; None when nothing limits the run."""
    minutes, draws = prepared.recipe.budget.minutes, draws_in_time(prepared.recipe.decision)
    if minutes is None:
        minutes = None if inspect().gpus else DEFAULT_CPU_MINUTES
    if minutes is None:
        return None
    depends_on = {
        "minutes": minutes,
        "task": TASK.dump_python(prepared.task, mode="json"),
        "data": prepared.fingerprint,
        "seed": prepared.recipe.seed,
        "model": identity(prepared.recipe.model, prepared.source),
        "strategies": [strategy.name for strategy in prepared.strategies],
        "draws": draws,
    }

    def compute(_: Path) -> dict[str, Any]:
        progress.say("Timing the model")
        engine = prepared.engines.load() if prepared.needs_model else None
        facts = [strategy.facts for strategy in prepared.strategies]
        made = plan(60 * minutes, prepared.split, prepared.task, facts, engine, draws=draws)
        return asdict(made)

    return Plan(**store.step("plan", depends_on, compute))


def _cut(prepared: Prepared, allowed: Plan | None, progress: Progress) -> Split:
    """Return the split, sub-sampled to what the recipe and the plan allow; says so when it was the plan."""
    split, data, seed = prepared.split, prepared.recipe.data, prepared.recipe.seed
    kind = prepared.task.kind
    if allowed is not None and allowed.too_short:
        progress.say(f"Warning: {allowed.too_short}")
    if allowed is not None and allowed.draws == 1 and prepared.recipe.decision.draws is None:
        progress.say(
            "Warning: there is no time to fit and test finalists twice, so that chance in a single draw widens their "
            "intervals; raise --budget-minutes, or set decision.draws."
        )
    split = subsample(split, dev=data.max_dev, test=data.max_test, seed=seed, kind=kind)
    if allowed is None or (allowed.dev >= len(split.dev) and allowed.test >= len(split.test)):
        return split
    progress.say(_cut_note(split, allowed))
    return subsample(split, dev=allowed.dev, test=allowed.test, seed=seed, kind=kind)


def _cut_note(split: Split, allowed: Plan) -> str:
    dev, test = min(allowed.dev, len(split.dev)), min(allowed.test, len(split.test))
    return (
        f"To stay within {allowed.seconds / 60:.0f} minutes, {dev:,} of {len(split.dev):,} dev and "
        f"{test:,} of {len(split.test):,} test examples are scored; raise --budget-minutes to score more."
    )


def _measure_dev(bench: Bench) -> tuple[Bench, dict[str, Skipped], Raced]:
    """Return the strategies that could not run, with the reason, and the dev evaluations of the others.

    What is left of the time for fitting is given to those that were cut: the bench returned fits them so.
    """
    strategies = {strategy.name: strategy for strategy in bench.prepared.strategies}
    order = bench.times.order(strategies) if bench.times else list(strategies)
    fitted = {name: bench.fit(strategies[name]) for name in order}
    skipped: dict[str, Skipped] = {}
    for name in strategies:
        why = fitted[name].skipped
        if why is not None:
            skipped[name] = Skipped(SkipReason.CONTEXT, why)
            bench.progress.say(f"Skipped {name}: {why}")
    raced = measure_dev(bench, [each for name, each in strategies.items() if name not in skipped])
    longer, raced = with_more_time(bench, raced)
    return longer, skipped, raced


def _choose(bench: Bench, raced: Raced, cascades: Cascades) -> Choice:
    """Return the choice made on dev, written to `choice.json` before test is opened."""
    recipe = bench.prepared.recipe

    def compute(_: Path) -> dict[str, Any]:
        evaluations, left = ([evaluation for evaluation, _ in part] for part in (raced.finished, raced.left))
        choice = choose(
            bench.prepared.task,
            evaluations,
            config=recipe.decision,
            prices=recipe.prices,
            written_at=now(),
            dropped=raced.dropped,
            left=left,
            labels_used=_labels_used(bench, cascades),
        )
        choice = replace(choice, cascades=tuple(each.trace for each in cascades.composed))
        n_test, task, metric = len(bench.split.test), bench.prepared.task, bench.prepared.task.metric
        choice = by_goal(choice, task, evaluations, n_test, config=recipe.decision, prices=recipe.prices)
        choice = with_ladders(choice, [*evaluations, *left], n_test, metric=metric, config=recipe.decision)
        fits = {strategy.name: bench.fit(strategy) for strategy in bench.prepared.strategies}
        return choice_to_json(with_search_optimism(choice, fits))

    depends_on = {
        "format": SCHEMA_VERSION,
        "dev": [path.name for _, path in (*raced.finished, *raced.left)],
        "test": len(bench.split.test),
        "decision": recipe.decision.model_dump(mode="json"),
        "prices": recipe.prices.model_dump(mode="json"),
    }
    written = bench.store.step("choice", depends_on, compute)
    write_json(bench.store.folder / "choice.json", written)
    choice = choice_from_json(written)
    bench.progress.say(f"Chosen on dev, before test is opened: {choice.strategy}")
    return choice


def _labels_used(bench: Bench, cascades: Cascades) -> dict[str, int]:
    """Count the labels of train and dev that each strategy takes."""
    train, dev = len(bench.split.train), len(bench.split.dev)
    used = {
        strategy.name: dev + (train if strategy.facts.learns_from_train else 0)
        for strategy in bench.prepared.strategies
    }
    return used | {name: max(used[member] for member in members) for name, members in cascades.members.items()}


def _tested(choice: Choice, raced: Raced) -> set[str]:
    """Return what is evaluated on test: strategies that saw all of dev, and others of planned comparisons."""
    planned = {name for comparison in choice.comparisons for name in (comparison.a, comparison.b)}
    return planned | {evaluation.strategy for evaluation, _ in raced.finished}


def _finalists(choice: Choice, cascades: Cascades) -> set[str]:
    """Return the choice and what it is compared with on test, the members of cascades included."""
    planned = (name for pair in choice.comparisons for name in (pair.a, pair.b))
    return cascades.with_members((choice.strategy, *planned))


def _write_results(
    bench: Bench,
    result: RunResult,
    *,
    summary: Summary,
    measured: Measured,
    fits: Mapping[str, Path],
    skipped: dict[str, Skipped],
    left: Measured,
    started: str,
) -> None:
    folder = bench.store.folder
    for evaluation, _ in (*measured, *left):
        write_predictions(folder, evaluation)
    write_json(folder / PROVENANCE, _provenance(bench, started))
    index = RunIndex(
        task=bench.prepared.task,
        fits={name: str(path.relative_to(folder)) for name, path in fits.items()},
        evaluations=_paths(bench, measured),
        findings=bench.prepared.findings,
        skipped=skipped,
        dropped=_paths(bench, left),
        sealed=True,
    )
    write_decision(folder, result, summary)
    write_index(folder, index)
    refresh_report(folder)


def _paths(bench: Bench, measured: Measured) -> tuple[str, ...]:
    return tuple(str(path.relative_to(bench.store.folder)) for _, path in measured)


def _provenance(bench: Bench, started: str) -> dict[str, str]:
    """Return name-value pairs from which someone else could repeat the run."""
    recipe, hardware = bench.prepared.recipe, inspect()
    devices = ", ".join(gpu.name for gpu in hardware.gpus) or f"CPU, {hardware.cpu_cores} cores"
    model = "none" if not bench.prepared.needs_model else recipe.model.name
    converted = origin(Path(bench.prepared.source.name)) if bench.prepared.needs_model else None
    return {
        "model": f"{model}@{recipe.model.revision}" if recipe.model.revision else model,
        **({"weights": converted} if converted else {}),
        **({"computed in": bench.prepared.source.precision(hardware.device)} if bench.prepared.needs_model else {}),
        **_encoder_provenance(bench),
        "device": devices,
        "data": recipe.data.path,
        FINGERPRINT: bench.prepared.fingerprint,
        "recipe fingerprint (SHA-256)": digest(recipe.model_dump(mode="json")),
        "seed": str(recipe.seed),
        "started": started,
        "finished": now(),
        **{f"version of {name}": version for name, version in versions().items()},
        **({"budget": f"{bench.plan.seconds / 60:.0f} minutes"} if bench.plan else {}),
        **_cut_provenance(bench),
    }


def _encoder_provenance(bench: Bench) -> dict[str, str]:
    encoder = bench.prepared.encoder
    if encoder is None or not any(each.facts.looks_at_encoder for each in bench.prepared.strategies):
        return {}
    return {"encoder": f"{encoder.name}@{encoder.revision}" if encoder.revision else encoder.name}


def _cut_provenance(bench: Bench) -> dict[str, str]:
    whole = bench.prepared.split
    scored = {"dev": (len(bench.split.dev), len(whole.dev)), "test": (len(bench.split.test), len(whole.test))}
    cut = [f"{some:,} of {every:,} {name} examples" for name, (some, every) in scored.items() if some < every]
    return {"sub-sampling": ", ".join(cut)} if cut else {}
