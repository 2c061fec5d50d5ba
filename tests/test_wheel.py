"""The wheel, installed without extras beside nothing but what it asks for, answers and decides."""

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
BESIDE = ("pyproject.toml", "README.md", "LICENSE")
LEFT_OUT = re.compile(r"__pycache__|\.md$|^llmtl/pocket/logs/")
"""Explanations, and how the pocket models were trained: nothing reads them at run time."""
HEAVY = {"torch", "transformers", "vllm", "gradio", "peft"}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all((ROOT / name).is_file() for name in BESIDE), reason="there is nothing to build from"),
]


def run(*command):
    """Return what a command prints, without the sources in its way; its stderr is shown where it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [str(part) for part in command]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    copytree(ROOT / "llmtl", folder / "source" / "llmtl", ignore=ignore_patterns("__pycache__"))
    for name in BESIDE:
        copy(ROOT / name, folder / "source" / name)
    options = ("--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", *options, folder / "source")
    [built] = folder.glob("*.whl")
    return built


def needed(requirements):
    """Return the names of all packages that the requirements bring, directly or not."""
    found, left = {}, [Requirement(each) for each in requirements]
    while left:
        requirement = left.pop()
        if requirement.marker and not any(
            requirement.marker.evaluate({"extra": extra}) for extra in (requirement.extras or {""}) | {""}
        ):
            continue
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name not in found:
            try:
                found[name] = distribution(name)
            except PackageNotFoundError:
                continue
            left.extend(Requirement(each) for each in found[name].requires or ())
    return found


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory):
    """Make an environment of the wheel and the packages that it asks for without extras; return its `llmtl`."""
    folder = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    options = ("--no-deps", "--no-index", "--quiet", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel)
    [site] = (folder / "venv" / "lib").glob("python*/site-packages")
    packages = needed(distribution_requirements(site))
    assert not HEAVY & set(packages)
    for package in packages.values():
        for top in {Path(file).parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(package.locate_file(top))
    return folder / "venv" / "bin" / "llmtl"


def distribution_requirements(site):
    """Return what the installed wheel asks for."""
    [metadata] = site.glob("llmtl-*.dist-info/METADATA")
    return re.findall(r"^Requires-Dist: (.*)$", metadata.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_wheel_holds_the_library_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"llmtl"}
    kept = {path.relative_to(ROOT).as_posix() for path in (ROOT / "llmtl").rglob("*.*") if path.is_file()}
    left_out = {name for name in kept - set(names) if not LEFT_OUT.search(name)}
    assert not left_out


def test_it_answers_and_decides_without_extras(clean, tmp_path):
    assert "decide" in run(clean, "--help")
    for name, wrong in (("rules", 4), ("model", 40)):
        rows = [
            {
                "id": str(n),
                "reference": "a" if n % 2 else "b",
                "prediction": "a" if (n % 2) == (n % wrong != 0) else "b",
            }
            for n in range(200)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    files = (tmp_path / "rules.jsonl", tmp_path / "model.jsonl")
    run(clean, "decide", "--predictions", *files, "--baseline", "rules", "--out", tmp_path / "out")
    decision = json.loads((tmp_path / "out" / "decision.json").read_text(encoding="utf-8"))
    assert {each["name"] for each in decision["strategies"]} >= {"rules", "model"}
