"""Corrections: kept line by line whoever writes at the same time, and taken into train while dev and test stay."""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from llmtl.checks import check_cleaning
from llmtl.data import corrections as corrections_module
from llmtl.data import with_corrections
from llmtl.data.cleaning import Cleaning, RareLabels
from llmtl.data.config import DataConfig
from llmtl.data.corrections import Correction, append_correction
from llmtl.errors import DataError, InputError, MissingFileError
from llmtl.kinds.table import kind_named
from llmtl.pipeline.prepare import prepare
from llmtl.progress import Silent
from llmtl.settings import load_recipe
from llmtl.values import Example, Split
from tests.support.pages import write_desk

LABELS = ("billing", "delivery")
SPLIT = Split(
    train=(Example("1", "the first invoice of March", "billing"), Example("2", "my parcel is lost again", "billing")),
    dev=(Example("3", "where is the blue courier van", "delivery"),),
    test=(Example("4", "refund of the whole amount please", "billing"),),
)


def correction(text, right, wrong="billing"):
    return Correction(text, wrong, right, "tfidf", "desk", "2026-11-27T10:00:00+00:00")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "corrections.jsonl"


@pytest.fixture
def taken(file):
    """Return a function that writes corrections and gives train by text, and what became of them."""

    def take(*made, labels=LABELS, kind="classification", split=SPLIT, cleaning=None, **settings):
        for text, right in made:
            append_correction(file, correction(text, right))
        config = DataConfig(path="x.csv", corrections=str(file), **settings)
        cleaning = cleaning or Cleaning(rows=4)
        left, record = with_corrections(split, config, cleaning, labels=labels, kind=kind_named(kind))
        assert (left.dev, left.test) == (split.dev, split.test)
        return {example.text: example.reference for example in left.train}, record.corrected

    return take


def test_a_line_holds_what_was_asked_answered_and_right(file):
    append_correction(file, correction('say "é"\nplease', "delivery"))
    [line] = file.read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "input": 'say "é"\nplease',
        "answer": "billing",
        "correct": "delivery",
        "strategy": "tfidf",
        "variant": "desk",
        "at": "2026-11-27T10:00:00+00:00",
    }
    assert oct(file.stat().st_mode & 0o777) == "0o600"


def _write_many(path, name):
    for n in range(40):
        append_correction(Path(path), correction(f"{name} {n} " + "x" * 20_000, "delivery"))


@pytest.mark.slow
def test_programs_that_write_at_the_same_time_lose_and_mix_nothing(file):
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        list(pool.map(_write_many, [str(file)] * 3, "abc"))
    rows = [json.loads(line)["input"][:4].split() for line in file.read_text(encoding="utf-8").splitlines()]
    assert sorted(map(tuple, rows)) == sorted((name, str(n)) for name in "abc" for n in range(40))


def test_what_somebody_left_unfinished_does_not_spoil_the_next_line(file):
    file.write_text('{"input": "cut o', encoding="utf-8")
    append_correction(file, correction("whole", "delivery"))
    assert json.loads(file.read_text(encoding="utf-8").splitlines()[1])["input"] == "whole"


def test_a_line_that_finds_no_room_leaves_no_part_of_itself(file, monkeypatch):
    append_correction(file, correction("first", "delivery"))
    before = file.read_bytes()
    write = os.write

    def full(handle, data):
        if len(data) > 10:
            return write(handle, bytes(data[:10]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(corrections_module.os, "write", full)
    with pytest.raises(InputError, match="cannot be written \\(No space left on device\\)"):
        append_correction(file, correction("second", "delivery"))
    assert file.read_bytes() == before


def test_a_full_file_a_link_and_half_a_character_are_refused(file, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="half of a surrogate pair"):
        append_correction(file, correction("\ud800", "delivery"))
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="cannot be written"):
        append_correction(tmp_path / "link.jsonl", correction("x", "delivery"))
    monkeypatch.setattr(corrections_module, "MOST_BYTES", 10)
    with pytest.raises(InputError, match="is full"):
        append_correction(file, correction("x", "delivery"))


def test_new_inputs_are_added_and_wrong_references_of_train_replaced(taken):
    train, became = taken(("My PARCEL is lost  again", "delivery"), ("the wifi is gone", "billing"))
    assert train == {
        "the first invoice of March": "billing",
        "my parcel is lost again": "delivery",
        "the wifi is gone": "billing",
    }
    assert (became.rows, became.added, became.replaced) == (2, ("correction-2",), ("2",))


def test_the_latest_of_an_input_counts(taken):
    train, became = taken(("new", "billing"), ("other", "billing"), ("NEW", "delivery"))
    assert (train["NEW"], "new" in train, became.superseded) == ("delivery", False, 1)


def test_what_train_knows_is_counted_and_not_added(taken):
    _, became = taken(("my parcel is lost again", "billing"))
    assert (became.known, became.added) == (1, ())
    assert became.told == "1 correction: 1 known to train already."


def test_what_stands_in_test_or_dev_or_nearly_is_never_trained_on(taken):
    train, became = taken(
        ("refund of the whole amount please", "delivery"),
        ("Refund of the whole amount, please", "delivery"),
        ("where is the blue courier van?", "billing"),
        ("something else entirely", "billing"),
    )
    assert sorted(train) == sorted(["the first invoice of March", "my parcel is lost again", "something else entirely"])
    assert (became.in_test, became.in_dev) == (2, 1)
    assert became.told == (
        "4 corrections: 1 added to train, 2 left out because they stand in test, or nearly, "
        "1 left out because they stand in dev, or nearly."
    )
    [finding] = check_cleaning(Cleaning(rows=4, corrected=became))
    assert "2 left out because they stand in test" in finding.message


def test_the_order_of_corrections_changes_nothing_but_which_is_the_latest(taken, file):
    made = [(f"message number {n} about {n * n}", "billing") for n in range(8)]
    first, _ = taken(*made)
    file.unlink()
    second, _ = taken(*reversed(made))
    assert list(first) == list(second)


def test_a_label_that_is_too_rare_is_left_out_and_an_unknown_one_refused(taken):
    rare = Cleaning(rows=4, rare=RareLabels(("room",), 2, ("9",), ("9",)))
    train, became = taken(("the balcony", "room"), cleaning=rare)
    assert ("the balcony" in train, became.unlabelled) == (False, 1)
    with pytest.raises(DataError, match=r"The label 'room' in line 1 of .* is not one of the task's.*'billing'"):
        taken()


@pytest.mark.parametrize("line", ['{"input": " ", "correct": "billing"}', '{"input": "x", "correct": ""}'])
def test_a_line_without_input_or_answer_is_named(taken, file, line):
    file.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"There is no '(input|correct)' in line 1 of '.*corrections.jsonl'"):
        taken()


def test_a_file_that_is_not_there_or_holds_something_else_is_refused(taken, file):
    with pytest.raises(MissingFileError):
        taken()
    file.write_text('{"text": "x"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="has no column 'input'"):
        taken()


@pytest.mark.parametrize(
    ("kind", "labels", "right", "reference"),
    [
        ("multi-label", ("a", "b"), ["b", "a"], '["a", "b"]'),
        ("multi-label", ("a", "b"), [], "[]"),
        (
            "extraction",
            ("time",),
            [{"type": "time", "text": "6 pm", "start": 3, "end": 7}],
            '[{"type": "time", "text": "6 pm", "start": 3, "end": 7}]',
        ),
        ("generation", (), "At six.", "At six."),
        ("retrieval", (), ["12"], '["12"]'),
    ],
)
def test_every_kind_of_task_takes_corrections_as_it_writes_answers(taken, kind, labels, right, reference):
    empty = "[]" if kind != "generation" else "x"
    split = replace(
        SPLIT,
        **{part: tuple(replace(e, reference=empty) for e in getattr(SPLIT, part)) for part in ("train", "dev", "test")},
    )
    train, _ = taken(("at 6 pm", right), kind=kind, labels=labels, split=split)
    assert train["at 6 pm"] == reference


def test_a_run_prepares_with_its_corrections_and_says_what_became_of_them(tmp_path, file):
    write_desk(tmp_path / "desk.csv")
    append_correction(file, correction("an invoice that nobody has seen before", "billing", "room"))
    (tmp_path / "recipe.yaml").write_text(
        "name: desk\ndata: {path: desk.csv, corrections: corrections.jsonl}\n"
        "model: {name: pocket-llama}\nstrategies: {run: [majority]}\n"
    )
    said = []

    class Heard(Silent):
        def say(self, line):
            said.append(line)

    prepared = prepare(load_recipe(tmp_path / "recipe.yaml"), Heard())
    assert "Read 1 correction: 1 added to train." in said
    assert "correction-1" in {example.id for example in prepared.split.train}
    assert any(finding.check == "corrections" for finding in prepared.findings)
    before = prepare(load_recipe(tmp_path / "recipe.yaml", ["data.corrections=null"]), Silent())
    assert prepared.fingerprint != before.fingerprint
    assert (prepared.split.dev, prepared.split.test) == (before.split.dev, before.split.test)
