"""The instructions for a new strategy are true: followed word for word on a copy of the library, they work."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "how-to" / "add-a-strategy.md"
pytestmark = pytest.mark.skipif(not GUIDE.is_file(), reason="the documents are not there")
WORDS = {"refund": "return", "parcel": "delivery", "login": "access"}
PLACES = ("from Rome", "of last week", "again", "at home", "please", "for my mother", "since Monday", "by post")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Return the folder of a copy of the library with the guide's strategy: one new file and one row."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "llmtl", folder / "llmtl", ignore=shutil.ignore_patterns("__pycache__"))
    [code] = re.findall(r"```python\n(\"\"\".*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (folder / "llmtl" / "strategies" / "first_word.py").write_text(code, encoding="utf-8")
    table = folder / "llmtl" / "strategies" / "table.py"
    text = table.read_text(encoding="utf-8")
    imported = "from llmtl.strategies.majority import Majority\n"
    row = "    Majority,\n"
    assert text.count(imported) == text.count(row) == 1
    text = text.replace(imported, f"from llmtl.strategies.first_word import FirstWord\n{imported}")
    table.write_text(text.replace(row, f"{row}    FirstWord,\n"), encoding="utf-8")
    return folder


def llmtl(copy, *arguments):
    """Return what `llmtl` of the copy prints."""
    environment = os.environ | {"PYTHONPATH": str(copy)}
    command = [sys.executable, "-m", "llmtl", *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_strategy_is_measured_reported_exported_and_served(copy):
    rows = [f"{word} {place} number {n},{label}" for word, label in WORDS.items() for place in PLACES for n in "1234"]
    (copy / "mail.csv").write_text("\n".join(["text,label", *rows]))
    given = ("mail.csv", "--text", "text", "--label", "label", "--model", "pocket-llama", "--out", "run")
    llmtl(copy, "run", *given, "strategies.run=[majority,first-word]", "strategies.first_word.fewest=2")
    decision = json.loads((copy / "run" / "decision.json").read_text())
    scores = {each["name"]: each["test"]["value"] for each in decision["strategies"]}
    assert scores["first-word"] == 1.0 > scores["majority"]
    assert "first-word" in (copy / "run" / "report.html").read_text()
    [said] = llmtl(copy, "predict", "run", "--strategy", "first-word", "--text", "Parcel lost").splitlines()
    assert json.loads(said)["label"] == "delivery"
    llmtl(copy, "export", "run", "bundle", "--strategy", "first-word")
    assert "first-word" in (copy / "bundle" / "README.md").read_text()
    served = (
        "import asyncio, httpx\n"
        "from llmtl.serving.task_api.classifier_app import create_app\n"
        "from pathlib import Path\n"
        "async def ask():\n"
        "    transport = httpx.ASGITransport(create_app(Path('bundle'), environment={}))\n"
        "    async with httpx.AsyncClient(transport=transport, base_url='http://x') as client:\n"
        "        print((await client.post('/v1/predict', json={'inputs': ['login fails']})).text)\n"
        "asyncio.run(ask())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", served],
        env=os.environ | {"PYTHONPATH": str(copy)},
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "access" in done.stdout, done.stderr


def test_the_schema_of_recipes_has_its_section(copy):
    schema = json.loads(llmtl(copy, "schema", "recipe"))
    [section] = [each for each in schema["$defs"]["StrategiesConfig"]["anyOf"] if each.get("type") == "object"]
    assert "first_word" in section["properties"]
