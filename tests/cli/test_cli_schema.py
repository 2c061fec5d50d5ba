"""`llmtl schema` prints valid JSON Schemas."""

import json

import jsonschema
import pytest

from llmtl.cli import main


@pytest.mark.parametrize("of", ["decision", "recipe"])
def test_the_schemas_are_valid(capsys: pytest.CaptureFixture[str], of: str):
    assert main(["schema", of]) == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))
