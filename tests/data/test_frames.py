"""Rows held in memory: every form gives the rows that its file gives."""

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from llmtl.data.file_formats import read_file
from llmtl.data.frames import is_frame, splits_of, table_of
from llmtl.errors import DataError

ROWS = [{"text": "the card is lost", "label": "card"}, {"text": "where is it", "label": None}]
FORMS = {
    "pandas": pd.DataFrame(ROWS, index=[7, 3]),
    "polars": pl.DataFrame(ROWS),
    "lazy polars": pl.DataFrame(ROWS).lazy(),
    "Arrow": pa.Table.from_pylist(ROWS),
    "datasets": datasets.Dataset.from_list(ROWS),
    "dicts": ROWS,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(form: str):
    assert is_frame(FORMS[form])
    table = table_of([FORMS[form]], ["text", "label"])
    assert [dict(row.values) for row in table.rows] == ROWS
    assert [row.where for row in table.rows] == ["row 1", "row 2"]


def test_a_frame_and_its_csv_give_the_same_cells(tmp_path):
    frame = pd.DataFrame({"text": [" two\nlines ", "a, b", "x"], "label": [1, 2, 10], "group": ["a", None, "b"]})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    held = table_of([frame], ["text", "label", "group"]).rows
    read = read_file(str(tmp_path / "rows.csv")).rows
    assert [{name: str(value or "") for name, value in row.values.items()} for row in held] == [
        dict(row.values) for row in read
    ]


def test_missing_values_of_every_kind_are_missing():
    frame = pd.DataFrame({"text": [np.nan, pd.NA, None, pd.NaT, "x"]}, dtype=object)
    assert [row.values["text"] for row in table_of([frame], ["text"]).rows] == [None] * 4 + ["x"]


def test_numbers_and_arrays_of_numpy_become_plain_values():
    frame = pd.DataFrame({"label": [np.int64(3), np.array(["a", "b"]), {"z", "b"}]})
    assert [row.values["label"] for row in table_of([frame], ["label"]).rows] == [3, ["a", "b"], ["b", "z"]]


def test_numbers_of_classes_become_their_names():
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["card", "pin"])}
    )
    held = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, -1]}, features=features)
    assert [row.values["label"] for row in table_of([held], ["label"]).rows] == ["pin", None]


def test_a_dataset_dict_gives_its_test_and_joins_validation_to_train():
    parts = {
        name: datasets.Dataset.from_list([{"text": name, "label": "x"}]) for name in ("train", "test", "validation")
    }
    frames, test = splits_of(datasets.DatasetDict(parts))
    assert [row.values["text"] for row in table_of(frames, ["text"]).rows] == ["train", "validation"]
    assert test is parts["test"]
    with pytest.raises(DataError, match="none of them 'train'; give one of them"):
        splits_of(datasets.DatasetDict({name: parts[name] for name in ("test", "validation")}))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (pd.Series(["a"]), "A Series has no columns; give a DataFrame"),
        (pl.Series(["a"]), "A Series has no columns; give a DataFrame"),
        (pa.array(["a"]), "has no columns; give a Table"),
        (pd.DataFrame({"message": ["a"]}), r"'DataFrame' has no column 'text'; its columns are 'message'\."),
        (pd.DataFrame({"text": []}), "'DataFrame' has no rows"),
        ([{"text": "a"}, "b"], "Item 2 of the list is str, not a dict; give a dict per row"),
        ([{"text": pd.Timestamp("2026-01-01")}], "holds Timestamp.* in row 1; give texts, numbers or lists"),
        ([{"text": "half \ud83d"}], "Row 1 of 'list' holds half of a surrogate pair"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), "has column 'text' more than once; rename one"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(value, said):
    with pytest.raises(DataError, match=said):
        table_of([value], ["text"])


@pytest.mark.parametrize("value", [3, None, "rows.csv", ["a"], {"text": ["a"]}])
def test_other_values_hold_no_rows(value):
    assert not is_frame(value)


def test_a_column_that_nobody_asks_for_may_stand_twice():
    frame = pd.DataFrame([["a", 1, 2]], columns=["text", "note", "note"])
    assert table_of([frame], ["text"]).rows[0].values == {"text": "a"}
