"""Pins, bill of materials and audit: written from what is installed, and honest about what was not checked."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement

SCRIPT = Path(__file__).parents[2] / ".ci" / "supply.py"


@pytest.fixture(scope="module")
def supply():
    spec = spec_from_file_location("supply", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_pins_are_one_version_each_of_what_llmtl_needs(supply):
    pins = [Requirement(line) for line in supply.CONSTRAINTS.read_text().splitlines() if not line.startswith("#")]
    assert all(str(pin.specifier).startswith("==") and "+" not in str(pin.specifier) for pin in pins)
    names = [pin.name for pin in pins]
    assert len(set(names)) == len(names)
    assert {"pydantic", "torch", "transformers", "pyyaml", "cryptography", "starlette"} <= set(names)
    assert not {"llmtl", "pip", "uv"} & set(names)
    assert f"pydantic=={version('pydantic')}\n" in supply.constraints()


def test_the_bill_of_materials_follows_the_schema_and_names_every_package(supply):
    written = supply.sbom()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None
    document = json.loads(written)
    assert document["metadata"]["component"]["name"] == "llmtl"
    parts = {each["name"]: each for each in document["components"]}
    assert parts["pydantic"]["purl"] == f"pkg:pypi/pydantic@{version('pydantic')}"
    assert parts["pydantic"]["licenses"]
    needs = {each["ref"]: each.get("dependsOn", []) for each in document["dependencies"]}
    ours = document["metadata"]["component"]["bom-ref"]
    assert f"pydantic=={version('pydantic')}" in needs[ours]


@pytest.mark.parametrize(
    ("rows", "code", "said"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "1 of 1 packages were checked: 0 known"),
        (
            [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}],
            1,
            "a 1: CVE-1 (fixed in 2)",
        ),
        (
            [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}],
            2,
            "1 of 2 packages were checked",
        ),
        ([{"name": "b", "skip_reason": "no route"}], 2, "audit: none of 1 packages could be checked (no route)"),
    ],
)
def test_what_was_not_checked_is_not_taken_for_sound(supply, capsys, rows, code, said):
    assert supply._report(rows) == code
    assert said in capsys.readouterr().out


def test_without_a_connection_the_audit_says_so_in_one_line():
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, SCRIPT, "audit"], env=os.environ | nowhere, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("audit: PyPI cannot be asked, nothing was checked (")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("connect, and run again.\n")
