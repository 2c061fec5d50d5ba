"""The decision on predictions made elsewhere: `llmtl decide`.

The choice is made on rows whose split is dev and tested on the others. Without such rows it is made on a random half of
the examples (of their groups) and tested on the other half, and the decision says so: what was chosen on an example is
never tested on it. Not covered: reading the files (`llmtl.decision.predictions`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from llmtl.costs import PriceConfig
from llmtl.decision.automation import check_goal, with_automation, with_ladders
from llmtl.decision.care import with_care
from llmtl.decision.choice import choose
from llmtl.decision.comparing import over_seeds
from llmtl.decision.config import DecisionConfig
from llmtl.decision.decide import decide
from llmtl.decision.expected_cost import check_error_costs
from llmtl.decision.outcome import Caution, Decision, Halved, NoCost, NoLatency
from llmtl.decision.predictions import (
    FileAnswer,
    HeldRows,
    StrategyFile,
    evaluation_of,
    labels_of,
    lacking,
    read_files,
    strange_answers,
)
from llmtl.decision.share_choice import by_goal
from llmtl.errors import DataError, InputError
from llmtl.findings import CascadeTrace
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.kind import Kind
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.hierarchical import cluster_codes
from llmtl.pipeline.decide_report import decided_content, write_decided
from llmtl.store import as_path, now
from llmtl.strategies.cascade import Composing, compose
from llmtl.strategy import Role
from llmtl.task import Metric, Task

FEWEST = 2


@dataclass(frozen=True)
class PredictionTask:
    """What prediction files are about: the kind of task, the metric (by default the kind's first) and the target.

    `cascades` says whether strategies are composed of those in the files.
    """

    kind: Kind = CLASSIFICATION
    metric: Metric | None = None
    target: float | None = None
    name: str = "predictions"
    cascades: bool = True


def decide_predictions(
    paths: Sequence[Path | str | HeldRows],
    *,
    task: PredictionTask | None = None,
    dev: Sequence[Path | str | HeldRows] = (),
    baselines: Collection[str] = (),
    config: DecisionConfig | None = None,
    prices: PriceConfig | None = None,
    out: Path | str | None = None,
) -> Decision:
    """Return the decision on prediction files; `out` is a folder for `decision.json` and the report.

    Raises `InputError` kin for files that cannot be compared, in one line.
    """
    _require_folder(out)
    task, config, prices = task or PredictionTask(), config or DecisionConfig(), prices or PriceConfig()
    found = read_files(paths, task.kind, dev=dev)
    _require_known(baselines, [item.name for item in found])
    notes, on_dev, on_test = _parts(found, config.seed)
    known = _task(task, found)
    check_error_costs(config, known)
    check_goal(config, known.kind, known.metric)
    no_cost, no_latency = _lacking_cost(found), lacking(found, "latency_ms")
    _check_limits(config, priced=not no_cost, timed=len(no_latency) < len(found))
    measured = {
        split: [_evaluation(item, split, ids, known, baselines) for item in found]
        for split, ids in (("dev", on_dev), ("test", on_test))
    }
    measured["dev"] = [over_seeds(item, known.metric, config) for item in measured["dev"]]
    if no_cost:
        measured["dev"].sort(key=lambda item: -item.scores[known.metric.value].value)
    cascades = _composed(known, measured, config, prices) if task.cascades else ()
    choice = choose(known, measured["dev"], config=config, prices=prices, written_at=now())
    choice = by_goal(choice, known, measured["dev"], len(on_test), config=config, prices=prices)
    choice = replace(choice, cascades=cascades)
    choice = with_ladders(choice, measured["dev"], len(on_test), metric=known.metric, config=config)
    notes += strange_answers(found, known.kind, known.labels)
    notes += _unknown(priced=not no_cost, untimed=no_latency, timed=len(no_latency) < len(found))
    decision = decide(
        known, choice, dev=measured["dev"], test=measured["test"], config=config, prices=prices, notes=notes
    )
    decision = with_care(with_automation(decision, measured["test"], config=config), measured["test"])
    if out is not None:
        content = decided_content(
            known, decision, found=found, measured=measured, config=config, prices=prices, paths=(*paths, *dev)
        )
        write_decided(Path(out), content)
    return decision


def _require_folder(out: Path | str | None) -> None:
    if out is not None and as_path(out, "The folder for the decision").exists() and not Path(out).is_dir():
        raise InputError(f"'{out}' is a file, and decision.json needs a folder; give another --out.")


def _require_known(baselines: Collection[str], names: Sequence[str]) -> None:
    unknown = sorted(set(baselines) - set(names))
    if unknown:
        raise InputError(f"There is no prediction file of the baseline '{unknown[0]}'; given are {', '.join(names)}.")


def _composed(
    task: Task, measured: Mapping[str, list[Evaluation]], config: DecisionConfig, prices: PriceConfig
) -> tuple[CascadeTrace, ...]:
    """Add the cascades of strategies whose rows say how sure they are and what they cost to what was measured."""
    rules = Composing(task.metric, config.margin, prices, may_be_first=lambda name: True, seed=config.seed)
    composed = compose(measured["dev"], rules)
    by_name = {split: {item.strategy: item for item in items} for split, items in measured.items()}
    for each in composed:
        members = each.cascade.first, each.cascade.then
        on_dev = each.dev(*(by_name["dev"][name] for name in members))
        measured["dev"].append(over_seeds(on_dev, task.metric, config))
        measured["test"].append(each.cascade.of(*(by_name["test"][name] for name in members)))
    return tuple(each.trace for each in composed)


def _task(task: PredictionTask, found: Sequence[StrategyFile]) -> Task:
    return Task(
        name=task.name,
        labels=labels_of(found, task.kind),
        kind=task.kind,
        metric=task.metric or task.kind.metrics[0],
        target=task.target,
    )


def _evaluation(
    item: StrategyFile, split: str, ids: Sequence[str], task: Task, baselines: Collection[str]
) -> Evaluation:
    role = Role.BASELINE if item.name in baselines else Role.PROMPTING
    return evaluation_of(item, split=split, ids=ids, role=role, kind=task.kind, labels=task.labels)


def _parts(found: Sequence[StrategyFile], seed: int) -> tuple[list[Caution], list[str], list[str]]:
    """Return what to say about it, and the ids to choose on and to test on."""
    rows = sorted(found[0].first, key=lambda answer: answer.id)  # whatever the order of the files
    dev = [answer.id for answer in rows if answer.row.split == "dev"]
    test = [answer.id for answer in rows if answer.row.split != "dev"]
    notes: list[Caution] = []
    if not dev:
        dev, test = _halves(rows, seed)
        notes.append(Halved(len(dev), len(test)))
    if min(len(dev), len(test)) < FEWEST:
        raise DataError(
            f"Too few examples: {len(dev)} to choose on, {len(test)} to test on; give at least {FEWEST} of each "
            "(a group is never on both sides)."
        )
    return notes, dev, test


def _halves(rows: Sequence[FileAnswer], seed: int) -> tuple[list[str], list[str]]:
    """Return two random halves of the examples; a group stays on one side."""
    groups = [None if answer.row.group is None else str(answer.row.group) for answer in rows]
    codes = cluster_codes(groups, len(groups))
    order = np.random.default_rng(seed).permutation(int(codes.max()) + 1)
    sizes = np.bincount(codes)[order].cumsum()
    chosen = set(order[sizes <= max(sizes[0], len(groups) / 2)].tolist())
    first = [answer.id for answer, code in zip(rows, codes, strict=True) if code in chosen]
    second = [answer.id for answer, code in zip(rows, codes, strict=True) if code not in chosen]
    return first, second


def _lacking_cost(found: Sequence[StrategyFile]) -> list[str]:
    """Return the strategies without a cost: all or none, since strategies are compared by it.

    Raises `DataError` where only some strategies have one.
    """
    without = lacking(found, "cost")
    if without and len(without) < len(found):
        raise DataError(
            f"'{without[0]}' has no cost and others do, so which is cheaper is not known; add 'cost' (USD a request) "
            "to every row of all files, or to none."
        )
    return without


def _check_limits(config: DecisionConfig, *, priced: bool, timed: bool) -> None:
    """Raise `DataError` for a constraint on what no file says: it can keep nobody out, and must not seem to."""
    unheard = {
        "max_memory_gib": config.max_memory_gib is not None,
        "max_vram_gib": config.max_vram_gib is not None,
        "max_forgetting": config.max_forgetting is not None,
        "private": config.private,
    }
    for name in (name for name, wanted in unheard.items() if wanted):
        raise DataError(f"decision.{name} is set, and prediction files say nothing that it could be held to; unset it.")
    if config.max_usd_per_1k is not None and not priced:
        raise DataError("The cost is limited, and the files give none; add 'cost' (USD a request) to every row.")
    if config.usd_per_error is not None and not priced:
        raise DataError(
            "Errors have a cost, and the files give none of requests; add 'cost' (USD a request) to every row."
        )
    if config.max_p95_ms is not None and not timed:
        raise DataError("The latency is limited, and the files give none; add 'latency_ms' to every row.")


def _unknown(*, priced: bool, untimed: Sequence[str], timed: bool) -> list[Caution]:
    """Return what to say about cost and latency that the files do not give."""
    notes: list[Caution] = [] if priced else [NoCost()]
    if untimed:
        notes.append(NoLatency(tuple(untimed) if timed else ()))
    return notes
