"""`llmtl export`: write the winner as a bundle."""

import argparse
import json

from llmtl.cli.command import Command
from llmtl.cli.exporting import add_export_choices
from llmtl.cli.volume import add_json, add_volume, console_of, progress_on


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("out", metavar="OUT", help="the bundle's folder, which must not exist or be empty")
    add_export_choices(parser)
    parser.add_argument("--sign", metavar="KEY", help="sign the bundle with a private Ed25519 key, a PEM file")
    add_json(parser, "where the bundle is")
    add_volume(parser)


def _export(options: argparse.Namespace) -> int:
    from llmtl.pipeline.export import export

    console = console_of(options)
    with progress_on(console, options) as progress:
        folder = export(
            options.run,
            options.out,
            strategy=options.strategy,
            merge=options.merge,
            int8=options.int8,
            sign_with=options.sign,
            progress=progress,
        )
    if options.json:
        print(json.dumps({"bundle": str(folder), "signed": bool(options.sign)}, ensure_ascii=False))
    else:
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
