import socket

import pyarrow as pa
import pytest
from pyarrow import parquet

from llmtl.data import DataConfig, load_examples
from llmtl.errors import DataError
from llmtl.task import Example

CSV = "text,label\nalpha one,a\nbeta two,b\ngamma three,a\n"


def error(config: DataConfig, labels=None) -> str:
    with pytest.raises(DataError) as caught:
        load_examples(config, labels)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_examples_carry_row_numbers_and_sorted_labels(write):
    loaded = load_examples(DataConfig(path=write("data.csv", CSV)))
    assert loaded.examples == (
        Example("1", "alpha one", "a"),
        Example("2", "beta two", "b"),
        Example("3", "gamma three", "a"),
    )
    assert loaded.labels == ("a", "b")
    assert loaded.test is None
    assert loaded.cleaning.rows == 3


def test_an_id_column_names_the_examples(write):
    path = write("data.csv", "text,label,key\nx one,a,k1\ny two,b,k2\n")
    assert [example.id for example in load_examples(DataConfig(path=path, id="key")).examples] == ["k1", "k2"]


def test_ids_must_be_unique_and_present(write):
    path = write("data.csv", "text,label,key\nx one,a,k1\ny two,b,k1\n")
    assert "'k1'" in error(DataConfig(path=path, id="key"))
    assert "line 2 and in line 3" in error(DataConfig(path=path, id="key"))
    path = write("data.csv", "text,label,key\nx one,a,\ny two,b,k1\n")
    assert "id in line 2" in error(DataConfig(path=path, id="key"))


def test_labels_of_any_type_become_strings(json_lines):
    values = [1, 2.0, True, False, " x ", 0.5]
    rows = [{"text": f"text {number}", "label": value} for number, value in enumerate(values)]
    loaded = load_examples(DataConfig(path=json_lines(rows)))
    assert [example.reference for example in loaded.examples] == ["1", "2", "true", "false", "x", "0.5"]


@pytest.mark.parametrize("written", [("True", "False"), ("TRUE", "FALSE"), ("true", "false")])
def test_truth_values_in_a_csv_are_called_as_those_of_json(write, written):
    yes, no = written
    path = write("data.csv", f"text,label\nx one,{yes}\ny two,{no}\nz three,{yes}\n")
    assert load_examples(DataConfig(path=path)).labels == ("false", "true")
    assert load_examples(DataConfig(path=path), [yes, no]).labels == ("true", "false")


def test_parquet_integers_with_gaps_become_whole_numbers(tmp_path):
    path = tmp_path / "data.parquet"
    labels = pa.array([float(number % 2) for number in range(30)] + [float("nan")])
    parquet.write_table(pa.table({"text": [f"number {n}" for n in range(31)], "label": labels}), path)
    loaded = load_examples(DataConfig(path=str(path)))
    assert loaded.labels == ("0", "1")
    assert loaded.cleaning.incomplete == ("row 31",)


def test_text_is_kept_as_it_stands(write):
    path = write("data.csv", 'text,label\n"  two\nlines ",a\nother,b\n')
    assert load_examples(DataConfig(path=path)).examples[0].text == "  two\nlines "


def test_a_missing_column_names_the_nearest_and_lists_all(write):
    path = write("data.csv", "Text,category\nx,a\ny,b\n")
    message = error(DataConfig(path=path, label="categry"))
    assert "no column 'text' (did you mean 'Text'?)" in message
    message = error(DataConfig(path=path, text="Text", label="categry"))
    assert "no column 'categry' (did you mean 'category'?)" in message
    assert "'Text', 'category'" in message


def test_no_rows_and_one_class(write):
    assert "has no rows" in error(DataConfig(path=write("data.csv", "text,label\n")))
    assert "only the label 'a'" in error(DataConfig(path=write("data.csv", "text,label\nx,a\ny,a\n")))
    assert "no usable example" in error(DataConfig(path=write("data.csv", "text,label\nx,a\nx,b\n")))


def rows_with_gaps(gaps: int, total: int) -> str:
    lines = [f"text number {n},{'a' if n % 2 else 'b'}" for n in range(total - gaps)]
    return "text,label\n" + "".join(line + "\n" for line in lines) + "  ,a\n" * gaps


def test_few_incomplete_rows_are_dropped_and_many_stop(write):
    loaded = load_examples(DataConfig(path=write("data.csv", rows_with_gaps(1, 20))))
    assert len(loaded.examples) == 19
    assert loaded.cleaning.incomplete == ("line 21",)
    message = error(DataConfig(path=write("data.csv", rows_with_gaps(2, 20))))
    assert "2 of 20 rows" in message
    assert "line 20, line 21" in message


def test_a_number_as_text_and_a_list_as_label_stop(json_lines):
    path = json_lines([{"text": "a", "label": "x"}, {"text": 12, "label": "y"}])
    assert "holds 12 in line 2" in error(DataConfig(path=path))
    path = json_lines([{"text": "a", "label": "x"}, {"text": "b", "label": ["y"]}])
    assert "holds ['y'] in line 2" in error(DataConfig(path=path))


def test_half_a_surrogate_pair_stops(write):
    path = write("data.jsonl", '{"text": "a", "label": "x"}\n{"text": "\\ud83d", "label": "y"}\n')
    assert "Line 2" in error(DataConfig(path=path))


def test_a_label_outside_the_list_names_the_nearest(write):
    path = write("data.csv", "text,label\nx,refund\ny,card lots\nz,card lots\n")
    message = error(DataConfig(path=path), ["card lost", "refund"])
    assert "'card lots' in line 3" in message
    assert "did you mean 'card lost'?" in message
    assert "2 rows" in message


def test_given_labels_keep_their_order_even_without_examples(write):
    loaded = load_examples(DataConfig(path=write("data.csv", CSV)), ["z", "b", "a"])
    assert loaded.labels == ("z", "b", "a")


def test_a_separate_test_set_stays_whole_and_its_near_copies_leave_the_rest(write):
    long = "please tell me where the parcel is that i ordered on monday morning"
    train = f"text,label\n{long} please,a\nsomething else,b\nthird thing,a\nExact copy,b\n"
    test = f"text,label\n{long},a\nexact  COPY,b\nunseen words,b\nunseen words,b\n"
    config = DataConfig(path=write("train.csv", train), test_path=write("test.csv", test))
    loaded = load_examples(config)
    assert [example.id for example in loaded.examples] == ["2", "3"]
    assert loaded.test is not None
    assert [example.id for example in loaded.test] == ["test-1", "test-2", "test-3"]
    assert loaded.cleaning.leaked == ("1", "4")
    assert loaded.cleaning.duplicates == ("test-4",)
    assert loaded.cleaning.rows == 8


def test_a_label_only_in_the_test_set_stops(write):
    config = DataConfig(path=write("train.csv", CSV), test_path=write("test.csv", "text,label\nx,a\ny,c\n"))
    assert "'c' in line 3" in error(config)


def test_local_files_open_no_connection(write, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a local file needs no network")

    monkeypatch.setattr(socket, "socket", refuse)
    assert load_examples(DataConfig(path=write("data.csv", CSV))).examples


def test_why_no_example_is_left(write):
    message = error(DataConfig(path=write("data.csv", "text,label\nx,a\nx,b\n")))
    assert "2 of 2 rows give the same text different references" in message
    path = write("same.csv", "text,label\nx,a\ny,b\n")
    assert "2 of 4 rows are in test too" in error(DataConfig(path=path, test_path=path))


def test_another_separator_is_recognised_where_texts_hold_commas(write):
    data = load_examples(DataConfig(path=write("data.csv", "text;label\nsorry, no;a\ny;b\n")))
    assert [(each.text, each.reference) for each in data.examples] == [("sorry, no", "a"), ("y", "b")]
    assert data.told == ("Read data.csv: 2 rows, UTF-8, separated by ';'",)


def test_long_labels_are_cut_in_messages(write):
    path = write("data.csv", f"text,label\nx,{'long' * 30}\n")
    message = error(DataConfig(path=path), ["x" * 300, "b"])
    assert "x" * 60 + "...'" in message


@pytest.mark.parametrize(
    ("column", "values", "warned"),
    [
        ("split", ("train", "test", "Train"), True),
        ("part", ("validation", "training", "TEST"), True),
        ("split", ("train", "train", "validation"), False),
        ("split", ("test", "test", "test"), False),
        ("stage", ("train", "test", "airport"), False),
    ],
)
def test_a_column_that_marks_test_rows_is_not_passed_over_in_silence(write, column, values, warned):
    rows = [f"{line},{value}" for line, value in zip(CSV.splitlines(), (column, *values), strict=True)]
    path = write("data.csv", "\n".join(rows) + "\n")
    told = load_examples(DataConfig(path=path)).told
    assert any(f"column '{column}' marks rows of test and is not read" in line for line in told) == warned
    test = write("test.csv", "text,label\ndelta four,a\n")
    assert not any("is not read" in line for line in load_examples(DataConfig(path=path, test_path=test)).told)
