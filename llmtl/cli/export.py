"""`llmtl export`: write the winner as a bundle."""

import argparse

from llmtl.cli.command import Command
from llmtl.cli.exporting import add_export_choices


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("out", metavar="OUT", help="the bundle's folder, which must not exist or be empty")
    add_export_choices(parser)
    parser.add_argument("--sign", metavar="KEY", help="sign the bundle with a private Ed25519 key, a PEM file")


def _export(options: argparse.Namespace) -> int:
    from rich.console import Console

    from llmtl.pipeline.export import export
    from llmtl.report.terminal import TerminalProgress

    console = Console()
    with TerminalProgress(console) as progress:
        folder = export(
            options.run,
            options.out,
            strategy=options.strategy,
            merge=options.merge,
            sign_with=options.sign,
            progress=progress,
        )
    signed = ", signed" if options.sign else ""
    console.print(f"Bundle: {folder}{signed}", soft_wrap=True, markup=False)
    return 0


EXPORT = Command(
    "export",
    "write a run's winner as a bundle that stock vLLM serves",
    _export,
    _add_options,
    examples=("llmtl export runs/tickets bundle", "llmtl export runs/tickets bundle --strategy qlora --merge"),
    description="Write a self-contained folder with chat template, weights, tokenizer, model card and hashes.",
    epilog="`openssl genpkey -algorithm ed25519 -out bundle.key` makes a key to sign with, and `openssl pkey -in "
    "bundle.key -pubout -out bundle.pub` what `llmtl serve --verify` takes.",
)
