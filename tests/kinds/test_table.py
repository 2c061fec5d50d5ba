"""Kinds are found by name and kept as names; a switch over them stands nowhere else; a new one is a file and a row."""

import copy
import json
import pickle
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

import llmtl
from llmtl.errors import InputError
from llmtl.kinds import table
from llmtl.kinds.classification import CLASSIFICATION, ClassificationKind
from llmtl.kinds.table import KINDS, kind_named
from llmtl.store import digest, read_json
from llmtl.task import Task
from llmtl.task_section import TaskConfig
from tests.kinds.rating import RATING

LIBRARY = Path(llmtl.__file__).parent
_SWITCH = re.compile(
    r"TaskKind|\b(task|loaded|evaluation|self)\.kind (is|==|!=|in) |\bkind (is|==|!=) |match .*\bkind\b|"
    r"(==|!=|is|is not) (CLASSIFICATION|MULTI_LABEL|EXTRACTION|GENERATION|RETRIEVAL)\b|"
    r"""kind\b.{0,12}["'](classification|multi-label|extraction|generation|retrieval)["']"""
)


def test_nothing_outside_the_kinds_asks_which_kind_a_task_is_of():
    found = [
        f"{path.relative_to(LIBRARY)}:{number}: {line.strip()}"
        for path in sorted(LIBRARY.rglob("*"))
        if path.suffix == ".py" and path.parent.name not in ("kinds", "pocket")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if _SWITCH.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_task_keeps_its_kind_as_a_name_and_finds_it_again(kind):
    labels = ("a", "b")[: 2 if kind.has_labels else 0]
    task, kept = Task("t", labels, metric=kind.metrics[0], kind=kind), TypeAdapter(Task)
    written = kept.dump_python(task, mode="json")
    assert written["kind"] == kind.name
    assert kept.validate_python(json.loads(json.dumps(written))).kind is kind
    assert digest(asdict(task)) == digest(written)  # what steps are named after
    assert copy.deepcopy(kind) is kind
    assert pickle.loads(pickle.dumps(kind)) == kind
    assert list(kind.meanings) == list(kind.metrics)


def test_kinds_are_equal_by_name():
    assert ClassificationKind() == CLASSIFICATION
    assert len({ClassificationKind(), CLASSIFICATION}) == 1
    assert CLASSIFICATION != "classification"


def test_an_unknown_kind_is_refused_with_the_names_there_are():
    with pytest.raises(InputError, match="no kind of task 'x'; use one of classification, multi-label"):
        kind_named("x")
    with pytest.raises(ValidationError, match="no kind of task 'x'"):
        TaskConfig(kind="x")


def test_a_new_kind_is_one_file_and_one_row(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "KINDS", (*KINDS, RATING))
    words = ("awful", "poor", "fair", "good", "great")
    rows = [
        {"text": f"order {n}: it was {words[n % 5]} and {('slow', 'cold', 'late')[n % 3]}", "label": n % 5 + 1}
        for n in range(100)
    ]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    document = {
        "name": "stars",
        "data": {"path": "data.jsonl", "near_duplicate_threshold": 1.0},
        "task": {"kind": "rating"},
        "model": {"name": "none"},
        "strategies": {"run": ["majority", "tfidf"]},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(document))
    run = llmtl.run(tmp_path / "recipe.yaml", out=tmp_path / "run")
    assert run.decision.winner == "tfidf"
    assert run.task.kind is RATING
    assert run.task.labels == ("1", "2", "3", "4", "5")
    assert read_json(run.folder / "index.json")["task"]["kind"] == "rating"
    page = run.report.read_text(encoding="utf-8")
    assert "the share of texts given the right number of stars" in page
    assert "5 stars" in page
    again = llmtl.load_run(run.folder)
    assert again.predict(["it was poor", "it was great"]) == ["2", "5"]
