"""`llmtl decide`: a verdict on prediction files made elsewhere."""

import argparse
import json
from pathlib import Path

from llmtl.cli.command import Command
from llmtl.cli.mirrored import add_mirrored, read_mirrored
from llmtl.cli.volume import add_json

_TASK = ("kind", "metric", "target")
_DECISION = (
    "margin",
    "alpha",
    "resamples",
    "goal",
    "usd_per_error",
    "max_error_automated",
    "max_usd_per_1k",
    "max_p95_ms",
)


def _add_options(parser: argparse.ArgumentParser) -> None:
    from llmtl.costs import PriceConfig
    from llmtl.decision.config import DecisionConfig
    from llmtl.task_section import TaskConfig

    parser.add_argument("--predictions", nargs="+", required=True, metavar="FILE", help="two strategies or more")
    parser.add_argument("--dev", nargs="+", default=[], metavar="FILE", help="files of the same names with dev rows")
    parser.add_argument(
        "--baseline",
        action="append",
        default=[],
        metavar="NAME",
        help="a strategy without a pre-trained model; repeat for more",
    )
    parser.add_argument(
        "--no-cascades",
        action="store_true",
        help="compose no strategies of two, of which the cheap one answers where it is sure (its rows have confidence)",
    )
    parser.add_argument("--name", default="predictions", help="the task's name")
    parser.add_argument("--out", metavar="DIR", help="write decision.json, report.html and report.md there")
    add_json(parser, "the decision")
    for name in _TASK:
        add_mirrored(parser, TaskConfig, name)
    for name in _DECISION:
        add_mirrored(parser, DecisionConfig, name)
    add_mirrored(parser, PriceConfig, "requests_per_month")


def _decide(options: argparse.Namespace) -> int:
    from rich.console import Console

    from llmtl.costs import PriceConfig
    from llmtl.decision.config import DecisionConfig
    from llmtl.pipeline.decide_files import PredictionTask, decide_predictions
    from llmtl.report import cascades, print_verdict, summarize
    from llmtl.report.decision_file import to_json
    from llmtl.report.sentences import told_before
    from llmtl.report.wrong_answers import advice
    from llmtl.task import Metric
    from llmtl.task_section import TaskConfig

    task = read_mirrored(options, TaskConfig, _TASK)
    decision = decide_predictions(
        options.predictions,
        task=PredictionTask(task.kind, task.metric, task.target, options.name, cascades=not options.no_cascades),
        dev=options.dev,
        baselines=options.baseline,
        config=read_mirrored(options, DecisionConfig, _DECISION),
        prices=read_mirrored(options, PriceConfig, ("requests_per_month",)),
        out=options.out,
    )
    if options.json:
        print(json.dumps(to_json(decision, summarize(decision)), indent=2, ensure_ascii=False, allow_nan=False))
        return 0
    value = decision.value_of_accuracy
    console = Console()
    told = told_before(decision.n_test, metric=Metric(decision.metric), alpha=decision.alpha)
    console.print(told, markup=False, highlight=False, soft_wrap=True)
    notes = [cascades.of_winner(decision), advice(value) if value else ""]
    print_verdict(
        decision, summarize(decision), console=console, notes=[note for note in notes if note], kind=task.kind
    )
    if options.out:
        console.print(f"Report: {Path(options.out) / 'report.html'}", soft_wrap=True, markup=False, highlight=False)
    return 0


DECIDE = Command(
    "decide",
    "decide on prediction files made elsewhere",
    _decide,
    _add_options,
    examples=("llmtl decide --predictions prompt.jsonl tuned.jsonl rules.jsonl --baseline rules --out verdict",),
    description="Decide on JSON Lines files of predictions, one file per strategy, named after it. A row has id, "
    "reference and prediction, and may have cost (USD per request), latency_ms, seed, draw (what another "
    "seed is: training, demonstrations, replies, or none), split (dev or test), group and confidence "
    "(0 to 1: how sure the strategy is, from which follows how much can be left to it; or logprob, the sum of the "
    "log-probabilities of a written answer's tokens), and text (the input, for the report). "
    "Without dev rows the choice is made on a random half of the examples and tested on the other half.",
)
