"""`llmtl schema`: the JSON Schema of a recipe or of decision.json."""

import argparse
import json

from llmtl.cli.command import Command


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("of", choices=["decision", "recipe"])


def _schema(options: argparse.Namespace) -> int:
    if options.of == "decision":
        from llmtl.report.decision_file import schema

        document = schema()
    else:
        from llmtl.recipe import json_schema
        from llmtl.settings import Recipe

        document = json_schema(Recipe)
    print(json.dumps(document, indent=2))
    return 0


SCHEMA = Command(
    "schema", "print a JSON Schema", _schema, _add_options, examples=("llmtl schema recipe > recipe.schema.json",)
)
