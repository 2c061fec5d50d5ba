"""The notebooks of `docs/examples` run from top to bottom, and are kept without outputs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "examples").glob("*.ipynb"))
EXECUTE = """
import sys, nbformat, nbclient
page = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(page, timeout=300, kernel_name="python3").execute()
nbformat.write(page, sys.argv[1])
"""


def test_there_is_one_for_each_way_in():
    assert [path.stem for path in NOTEBOOKS] == [
        "decide-on-predictions",
        "extraction",
        "quickstart",
        "your-own-data-frame",
    ]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_cards_and_folded_progress(notebook: Path, tmp_path: Path):
    folder = tmp_path / "docs" / "examples"
    folder.mkdir(parents=True)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    copy = folder / notebook.name
    copy.write_bytes(notebook.read_bytes())
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(tmp_path),
        "JUPYTER_CONFIG_DIR": str(tmp_path),
    }
    command = [sys.executable, "-c", EXECUTE, copy.name]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    outputs = [each for cell in json.loads(copy.read_text())["cells"] for each in cell.get("outputs", ())]
    shown = ["".join(each["data"].get("text/html", "")) for each in outputs if "data" in each]
    assert any("95% interval" in page for page in shown)  # the card of a run or a decision
    assert any("Done in" in page for page in shown) == ("llmtl.run(" in notebook.read_text())
    assert [each["text"] for each in outputs if each.get("name") == "stderr"] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(notebook: Path):
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all((cell["outputs"], cell["execution_count"]) == ([], None) for cell in cells)
