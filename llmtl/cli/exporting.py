"""The options that `serve` and `export` share. Not covered: exporting (`llmtl.pipeline.export`)."""

import argparse


def add_export_choices(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose which strategy is exported, and in which form."""
    parser.add_argument("--strategy", metavar="NAME", help="a measured strategy other than the winner")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--merge", action="store_true", help="merge the adapter into the weights")
    form.add_argument(
        "--int8",
        action="store_true",
        help="run the encoder in int8 on the CPU, where at least 99.5%% of the answers on dev, test and train stay",
    )
