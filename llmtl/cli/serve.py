"""`llmtl serve`: the winner behind an endpoint, with a playground, until Ctrl-C."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmtl.cli.command import Command
from llmtl.cli.exporting import add_export_choices
from llmtl.cli.mirrored import add_mirrored, read_mirrored
from llmtl.packages import require
from llmtl.redaction import keep_secret

if TYPE_CHECKING:
    from llmtl.pipeline.serve import Target
    from llmtl.progress import Progress
    from llmtl.serving.server.options import ServeOptions

KEY_VARIABLES = ("LLMTL_API_KEY", "VLLM_API_KEY")
"""The environment variables that give the API key, in this order."""
_ADDRESS = ("host", "port")
_CHECKS = ("gate", "accept_drift")
_RESTARTS = ("max_restarts", "no_spare")
_ACCESS = ("allowed_hosts", "allowed_origins")
_CONNECTIONS = (
    "max_connections",
    "max_connections_per_address",
    "max_header_seconds",
    "max_body_seconds",
    "drain_seconds",
)
_LIMITS = ("max_body_bytes", "max_inputs", "max_characters", "max_waiting", "max_wait_seconds")


def _add_options(parser: argparse.ArgumentParser) -> None:
    from llmtl.serving.front.plan import ConnectionLimits
    from llmtl.serving.server.options import RestartPolicy, ServeOptions
    from llmtl.serving.task_api.access import Access
    from llmtl.serving.task_api.interface import RequestLimits

    parser.add_argument("run", metavar="RUN", help="a run folder, or a bundle that `llmtl export` wrote")
    for name in _ADDRESS:
        add_mirrored(parser, ServeOptions, name)
    playground = parser.add_mutually_exclusive_group()
    add_mirrored(playground, ServeOptions, "playground_port")
    playground.add_argument("--no-playground", action="store_true", help="serve the endpoint alone")
    add_mirrored(parser, ServeOptions, "playground_host")
    add_mirrored(parser, ServeOptions, "share")
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help="what clients must send, and visitors of the playground must know (default: from "
        f"{' or '.join(KEY_VARIABLES)}, or none)",
    )
    for name in _ACCESS:
        add_mirrored(parser, Access, name)
    add_export_choices(parser)
    parser.add_argument(
        "--verify", metavar="PUBLIC_KEY", help="serve a bundle only if this Ed25519 key, a PEM file, signed it"
    )
    add_mirrored(parser, ServeOptions, "gate", metavar="N|all")
    add_mirrored(parser, ServeOptions, "accept_drift")
    parser.add_argument(
        "--no-measure", action="store_true", help="leave out the load measurement and keep the last one"
    )
    for name in _RESTARTS:
        add_mirrored(parser, RestartPolicy, name)
    parser.add_argument("--dry-run", action="store_true", help="print the server's command and do not start it")
    limits = parser.add_argument_group("limits of one request")
    for name in _LIMITS:
        add_mirrored(limits, RequestLimits, name)
    connections = parser.add_argument_group("limits of connections")
    for name in _CONNECTIONS:
        add_mirrored(connections, ConnectionLimits, name)


def _serve(options: argparse.Namespace) -> int:
    from rich.console import Console

    from llmtl.serving.server.notice import NoticeProgress, TerminalNotice

    chosen = _serve_options(options)
    keep_secret(chosen.api_key)
    if options.dry_run:
        return _show_command(options, chosen)
    if chosen.playground_port is not None:
        require("The playground", "gradio")  # it starts last, when export and server have taken their minutes
    notice = TerminalNotice(Console())
    notice.status("Getting ready")
    try:
        from llmtl.pipeline.serve import open_warnings, serve  # takes seconds

        target = _target(options, NoticeProgress(notice))
        for warning in open_warnings(chosen):
            print(f"llmtl: {warning}", file=sys.stderr)
        serve(target, chosen, notice=notice)
    finally:
        notice.clear()
    return 0


def _show_command(options: argparse.Namespace, chosen: "ServeOptions") -> int:
    """Print the server's command, which is the whole output: everything else goes to stderr."""
    from rich.console import Console

    from llmtl.pipeline.serve import command_for
    from llmtl.report.terminal import TerminalProgress

    with TerminalProgress(Console(stderr=True)) as progress:
        target = _target(options, progress)
    print(command_for(target, chosen).line())
    return 0


def _target(options: argparse.Namespace, progress: "Progress") -> "Target":
    from llmtl.pipeline.serve import find_target

    return find_target(
        Path(options.run),
        strategy=options.strategy,
        merge=options.merge,
        int8=options.int8,
        signed_by=Path(options.verify) if options.verify else None,
        progress=progress,
    )


def _serve_options(options: argparse.Namespace) -> "ServeOptions":
    from llmtl.serving.front.plan import ConnectionLimits
    from llmtl.serving.server.options import RestartPolicy, ServeOptions
    from llmtl.serving.task_api.access import Access
    from llmtl.serving.task_api.interface import RequestLimits

    chosen = read_mirrored(options, ServeOptions, (*_ADDRESS, "playground_port", "playground_host", "share", *_CHECKS))
    return replace(
        chosen,
        playground_port=None if options.no_playground else chosen.playground_port,
        api_key=_api_key(options.api_key),
        measure=not options.no_measure,
        limits=read_mirrored(options, RequestLimits, _LIMITS),
        access=read_mirrored(options, Access, _ACCESS),
        connections=read_mirrored(options, ConnectionLimits, _CONNECTIONS),
        restarts=read_mirrored(options, RestartPolicy, _RESTARTS),
        extra=options.passed_on,
    )


def _api_key(given: str | None) -> str | None:
    """Choose the key: the given one, though it be empty, or the first that the environment holds."""
    return given if given is not None else next(filter(None, map(os.environ.get, KEY_VARIABLES)), None)


SERVE = Command(
    "serve",
    "serve a run's winner behind an OpenAI-compatible endpoint, with a playground",
    _serve,
    _add_options,
    examples=("llmtl serve runs/tickets", "llmtl serve runs/tickets --port 9000 --no-playground --api-key secret"),
    usage="llmtl serve RUN [options] [-- VLLM_ARGUMENT ...]",
    description="Serve a run's winner, or a bundle, through vLLM: checked against what was measured before it is "
    "announced, restarted after a crash, until Ctrl-C. What follows `--` goes to vLLM as it is.",
    epilog="A winner at a provider (hosted) needs its API key in the environment variable that its recipe names. "
    "One start of the server spends at most $LLMTL_HOSTED_MAX_USD there, by default strategies.hosted.max_usd, and "
    "checks at most 50 recorded inputs.",
    passes_on=True,
)
