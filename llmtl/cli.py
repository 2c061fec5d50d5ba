"""The command line: parse, call, print, exit code.

Exit codes: 0 done, 1 a foreseen failure while running, 2 input that the user has to mend, 130 interrupted. Foreseen
failures print one line; unexpected ones keep their traceback.
"""

import argparse
import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmtl import __version__
from llmtl.errors import InputError, LlmtlError

if TYPE_CHECKING:
    from llmtl.predictor import Prediction
    from llmtl.serving.server.options import ServeOptions

INTERRUPTED = 130
KEY_VARIABLES = ("LLMTL_API_KEY", "VLLM_API_KEY")
"""The environment variables from which `llmtl serve` takes the API key, in this order."""
LAST_PORT = 65535
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
"""A full disk, and places that may not be written."""
_DECISION_NUMBERS = {"margin": float, "alpha": float, "resamples": int, "max_usd_per_1k": float, "max_p95_ms": float}
"""The numbers of a recipe's `decision` section that `llmtl decide` takes as options."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code of one command."""
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # before torch is loaded: its C++ warns of what vLLM does
    try:
        return int(options.command(options))
    except LlmtlError as error:
        print(f"llmtl: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        goes_on = "; the same command goes on from here" if options.command is _run else ""
        print(f"llmtl: interrupted{goes_on}.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # https://docs.python.org/3/library/signal.html#note-on-sigpipe: whoever read the output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        where = f" ('{error.filename}')" if error.filename else ""
        print(f"llmtl: {error.strerror}{where}; mend that, or name another folder.", file=sys.stderr)
        return 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of one command.

    argparse takes a repeated positional only where the first positional stands (https://bugs.python.org/issue14191), so
    that overrides after `--text` and its like come back as unknown: here they join the others.
    """
    ours, passed_on = _split(arguments)
    parser = _parser()
    options, unknown = parser.parse_known_args(ours, argparse.Namespace(passed_on=passed_on))
    if unknown and (options.command is not _run or any(word.startswith("-") for word in unknown)):
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if unknown:
        options.overrides += unknown
    return options


def _split(arguments: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the arguments for llmtl and those after `--` that `llmtl serve` passes on."""
    given = list(arguments)
    if given[:1] != ["serve"] or "--" not in given:
        return given, ()
    at = given.index("--")
    return given[:at], tuple(given[at + 1 :])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llmtl", description="Prompt it or fine-tune it? Decided with evidence.")
    parser.add_argument("--version", action="version", version=f"llmtl {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    _add_predict(commands)
    _add_serve(commands)
    _add_export(commands)
    _add_decide(commands)
    doctor = commands.add_parser("doctor", help="what this machine can run, and what mends each gap")
    doctor.set_defaults(command=_doctor)
    schema = commands.add_parser("schema", help="print a JSON Schema")
    schema.add_argument("of", choices=["decision", "recipe"])
    schema.set_defaults(command=_schema)
    return parser


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser(
        "run",
        help="measure every strategy and decide",
        description="Measure every strategy on labelled data and decide. SOURCE is a recipe (recipe.yaml or its "
        "folder) or, with --text, --label and --model, a CSV, JSON Lines or Parquet file or a Hub data set.",
    )
    run.add_argument("source", metavar="SOURCE")
    run.add_argument("overrides", nargs="*", metavar="KEY.SUB=VALUE", help="recipe values to replace")
    run.add_argument("--text", metavar="COLUMN", help="the column with the inputs")
    run.add_argument("--label", metavar="COLUMN", help="the column with the labels")
    run.add_argument("--model", metavar="M", help="a Hub name, a folder, pocket-llama or pocket-mistral")
    run.add_argument("--out", metavar="DIR", help="the run folder (default: runs/NAME)")
    run.add_argument("--budget-minutes", type=float, metavar="N", help="cap the time; sub-samples and says so")
    run.set_defaults(command=_run)


def _add_predict(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    predict = commands.add_parser("predict", help="label new inputs with a run's winner; prints JSON Lines")
    predict.add_argument("run", metavar="RUN", help="a run folder")
    source = predict.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", action="append", metavar="TEXT", help="an input; repeat for more")
    source.add_argument("--file", metavar="F", help="CSV, JSON Lines or Parquet, or .txt with one input a line")
    predict.add_argument("--column", metavar="COLUMN", help="the file's input column (default: the recipe's)")
    predict.add_argument("--strategy", metavar="NAME", help="a measured strategy (default: the winner)")
    predict.set_defaults(command=_predict)


def _add_serve(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser(
        "serve",
        help="serve a run's winner behind an OpenAI-compatible endpoint, with a playground",
        usage="llmtl serve RUN [options] [-- VLLM_ARGUMENT ...]",
        description="Serve a run's winner, or a bundle, through vLLM: checked against what was measured before it is "
        "announced, restarted after a crash, until Ctrl-C. What follows `--` goes to vLLM as it is.",
        epilog="A winner at a provider (hosted) needs its API key in the environment variable that its recipe names. "
        "One start of the server spends at most $LLMTL_HOSTED_MAX_USD there, by default strategies.hosted.max_usd, and "
        "checks at most 50 recorded inputs.",
    )
    serve.add_argument("run", metavar="RUN", help="a run folder, or a bundle that `llmtl export` wrote")
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine only)")
    serve.add_argument("--port", type=_port, default=8000, metavar="N", help="the endpoint's port (default: 8000)")
    playground = serve.add_mutually_exclusive_group()
    playground.add_argument(
        "--playground-port", type=_port, default=7860, metavar="N", help="the playground's port (default: 7860)"
    )
    playground.add_argument("--no-playground", action="store_true", help="serve the endpoint alone")
    serve.add_argument("--share", action="store_true", help="share the playground publicly, through Gradio")
    serve.add_argument(
        "--api-key", metavar="KEY", help=f"what clients must send (default: from {' or '.join(KEY_VARIABLES)}, or none)"
    )
    _add_export_choices(serve)
    serve.add_argument(
        "--gate", type=_gate, default=200, metavar="N|all", help="recorded test inputs to check (default: 200)"
    )
    serve.add_argument("--accept-drift", action="store_true", help="serve even if predictions differ from the recorded")
    serve.add_argument("--no-measure", action="store_true", help="leave out the load measurement and keep the last one")
    serve.add_argument("--max-restarts", type=int, default=5, metavar="N", help="after crashes in a row (default: 5)")
    serve.add_argument("--dry-run", action="store_true", help="print the server's command and do not start it")
    _add_limits(serve)
    serve.set_defaults(command=_serve)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """Add one option for each limit of a request."""
    limits = parser.add_argument_group("limits of one request")
    limits.add_argument("--max-body-bytes", type=int, metavar="N", help="bytes (default: 1 MiB)")
    limits.add_argument("--max-inputs", type=int, metavar="N", help="inputs of /v1/predict (default: 256)")
    limits.add_argument("--max-characters", type=int, metavar="N", help="characters of a message (default: 100,000)")


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    export = commands.add_parser(
        "export",
        help="write a run's winner as a bundle that stock vLLM serves",
        description="Write a self-contained folder with chat template, weights, tokenizer, model card and hashes.",
    )
    export.add_argument("run", metavar="RUN", help="a run folder")
    export.add_argument("out", metavar="OUT", help="the bundle's folder, which must not exist or be empty")
    _add_export_choices(export)
    export.set_defaults(command=_export)


def _add_decide(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from llmtl.task import Metric, TaskKind

    decide = commands.add_parser(
        "decide",
        help="decide on prediction files made elsewhere",
        description="Decide on JSON Lines files of predictions, one file a strategy, named after it. A row has id, "
        "reference and prediction, and may have cost (USD a request), latency_ms, seed, split (dev or test) and group. "
        "Without dev rows the choice is made on a random half of the examples and tested on the other half.",
    )
    decide.add_argument("--predictions", nargs="+", required=True, metavar="FILE", help="two strategies or more")
    decide.add_argument("--dev", nargs="+", default=[], metavar="FILE", help="files of the same names with dev rows")
    decide.add_argument("--kind", choices=[kind.value for kind in TaskKind], default=TaskKind.CLASSIFICATION.value)
    decide.add_argument("--metric", choices=[metric.value for metric in Metric], help="default: the kind's first")
    decide.add_argument("--baseline", action="append", default=[], metavar="NAME", help="a strategy that is none of "
                        "a language model; repeat for more")  # fmt: skip
    decide.add_argument("--target", type=float, metavar="SCORE", help="the score that the winner should reach, 0 to 1")
    decide.add_argument("--name", default="predictions", help="what the task is called")
    decide.add_argument("--out", metavar="DIR", help="write decision.json there")
    for name, kind in _DECISION_NUMBERS.items():
        decide.add_argument(
            f"--{name.replace('_', '-')}", type=kind, metavar="N", help=f"as decision.{name} of a recipe"
        )
    decide.set_defaults(command=_decide)


def _add_export_choices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strategy", metavar="NAME", help="another measured strategy than the winner")
    parser.add_argument("--merge", action="store_true", help="merge the adapter into the weights")


def _port(text: str) -> int:
    """Return a port; 0 stands for any free one."""
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"'{text}' is no port; give a number from 0 to {LAST_PORT}")
    return int(text)


def _gate(text: str) -> int | None:
    """Return how many recorded inputs to check; None stands for all."""
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of inputs; give 1 or more, or all")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console

    from llmtl.report.terminal import TerminalProgress, print_verdict

    overrides = list(options.overrides)
    if options.budget_minutes is not None:
        overrides.append(f"budget.minutes={options.budget_minutes}")
    console = Console()
    with TerminalProgress(console) as progress:
        from llmtl.pipeline import run
        from llmtl.pipeline.report import summary_notes

        finished = run(
            options.source,
            overrides=_with_model(options, overrides),
            text=options.text,
            label=options.label,
            model=options.model,
            out=options.out,
            progress=progress,
        )
    print_verdict(finished.decision, console, notes=summary_notes(finished))
    console.print(f"Report: {finished.report}", soft_wrap=True)
    return 0


def _with_model(options: argparse.Namespace, overrides: list[str]) -> list[str]:
    """Return the overrides, with `--model` as one when the source is a recipe.

    Raises `InputError` naming the options that a data file still needs.
    """
    given = {name: getattr(options, name) for name in ("text", "label", "model")}
    source = Path(options.source)
    if source.is_dir() or source.suffix in (".yaml", ".yml"):
        if options.text or options.label:
            raise InputError("A recipe names its own columns; leave out --text and --label, or set data.text=COLUMN.")
        return overrides + ([f"model.name={options.model}"] if options.model else [])
    missing = [f"--{name}" for name, value in given.items() if not value]
    if missing:
        raise InputError(f"A data file also needs {' and '.join(missing)}; a recipe is a folder or a .yaml file.")
    return overrides


def _predict(options: argparse.Namespace) -> int:
    from llmtl.data import read_inputs
    from llmtl.pipeline import load_run

    finished = load_run(options.run)
    texts = options.text or read_inputs(options.file, options.column or finished.recipe.data.text)
    for text, prediction in zip(texts, finished.predict(texts, strategy=options.strategy), strict=True):
        print(json.dumps(_row(text, prediction), ensure_ascii=False))
    return 0


def _serve(options: argparse.Namespace) -> int:
    from rich.console import Console

    from llmtl.pipeline.serve import command_for, find_target, open_warning, serve
    from llmtl.report.terminal import TerminalProgress
    from llmtl.serving.server.notice import TerminalNotice

    chosen = _serve_options(options)
    # A dry run's output is a command: everything else goes to stderr.
    console = Console(stderr=options.dry_run)
    with TerminalProgress(console) as progress:
        target = find_target(Path(options.run), strategy=options.strategy, merge=options.merge, progress=progress)
    if options.dry_run:
        print(command_for(target, chosen).line())
        return 0
    if warning := open_warning(chosen):
        print(f"llmtl: {warning}", file=sys.stderr)
    serve(target, chosen, notice=TerminalNotice(console))
    return 0


def _serve_options(options: argparse.Namespace) -> "ServeOptions":
    from llmtl.serving.server.options import RestartPolicy, ServeOptions
    from llmtl.serving.task_api.limits import Limits

    given = {name: getattr(options, name) for name in ("max_body_bytes", "max_inputs", "max_characters")}
    return ServeOptions(
        host=options.host,
        port=options.port,
        playground_port=None if options.no_playground else options.playground_port,
        api_key=options.api_key or next(filter(None, map(os.environ.get, KEY_VARIABLES)), None),
        gate=options.gate,
        accept_drift=options.accept_drift,
        measure=not options.no_measure,
        share=options.share,
        limits=Limits(**{name: value for name, value in given.items() if value is not None}),
        restarts=RestartPolicy(max_restarts=options.max_restarts),
        extra=options.passed_on,
    )


def _export(options: argparse.Namespace) -> int:
    from rich.console import Console

    from llmtl.pipeline.export import export
    from llmtl.report.terminal import TerminalProgress

    console = Console()
    with TerminalProgress(console) as progress:
        folder = export(options.run, options.out, strategy=options.strategy, merge=options.merge, progress=progress)
    console.print(f"Bundle: {folder}", soft_wrap=True, markup=False)
    return 0


def _decide(options: argparse.Namespace) -> int:
    from rich.console import Console

    from llmtl.decision import DecisionConfig
    from llmtl.pipeline.decide import PredictionTask, decide_predictions
    from llmtl.recipe import validate
    from llmtl.report.terminal import print_verdict
    from llmtl.task import Metric, TaskKind

    given = {name: getattr(options, name) for name in _DECISION_NUMBERS if getattr(options, name) is not None}
    if options.target is not None and not 0 <= options.target <= 1:
        raise InputError(f"The target must lie within 0 and 1, got {options.target:g}.")
    decision = decide_predictions(
        options.predictions,
        task=PredictionTask(
            kind=TaskKind(options.kind),
            metric=Metric(options.metric) if options.metric else None,
            target=options.target,
            name=options.name,
        ),
        dev=options.dev,
        baselines=options.baseline,
        config=validate(DecisionConfig, given, source="The command line"),
        out=options.out,
    )
    print_verdict(decision, Console())
    return 0


def _row(text: str, prediction: "Prediction") -> dict[str, object]:
    row: dict[str, object] = {"text": text, "label": prediction.answer, "probabilities": dict(prediction.probabilities)}
    return row | ({"failure": prediction.failure} if prediction.failure else {})


def _doctor(options: argparse.Namespace) -> int:
    del options
    from rich.console import Console

    from llmtl.hardware import gaps, inspect
    from llmtl.report.doctor import print_doctor

    hardware = inspect()
    print_doctor(hardware, gaps(hardware), Console())
    return 0


def _schema(options: argparse.Namespace) -> int:
    if options.of == "decision":
        from llmtl.decision import schema

        document = schema()
    else:
        from llmtl.recipe import json_schema
        from llmtl.settings import Recipe

        document = json_schema(Recipe)
    print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
