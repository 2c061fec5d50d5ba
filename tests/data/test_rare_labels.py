"""Labels with a single example: dropped, merged or left for the split to stop at, for every kind with labels."""

import csv
import json
from pathlib import Path

import pytest

import llmtl
from llmtl.answers import write_labels, write_spans
from llmtl.checks import check_cleaning
from llmtl.data import Cleaning, DataConfig, LoadedData, split_examples, without_rare_labels
from llmtl.data.config import Rare
from llmtl.errors import DataError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.kind import Kind
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.store import read_json
from llmtl.task import Example


def config(rare: Rare = Rare.DROP) -> DataConfig:
    return DataConfig(path="any.csv", rare_labels=rare)


def loaded(references: list[str], labels: tuple[str, ...], kind: Kind) -> LoadedData:
    texts = (f"{chr(97 + number) * 9} {number}" for number in range(len(references)))
    examples = tuple(
        Example(str(n), text, reference) for n, (text, reference) in enumerate(zip(texts, references, strict=True))
    )
    return LoadedData(examples, None, labels, Cleaning(len(examples)), kind)


def told(found: LoadedData) -> str:
    [finding] = [each for each in check_cleaning(found.cleaning, found.kind) if each.check == "rare-labels"]
    return finding.message


ONE = loaded([*"aabbaabbaabb", "x", "y"], ("a", "b", "x", "y"), CLASSIFICATION)
ORDER = ("late", "rude", "x", "y")
SEVERAL = loaded(
    [write_labels(each, ORDER) for each in [{"late"}, {"rude"}, {"late", "rude"}] * 4 + [{"late", "x"}, {"y"}]],
    ORDER,
    MULTI_LABEL,
)


def test_rare_labels_are_dropped_with_their_rows_and_that_is_said():
    left = without_rare_labels(ONE, config())
    assert left.labels == ("a", "b")
    assert [example.id for example in left.examples] == [str(n) for n in range(12)]
    assert told(left) == (
        "2 labels have a single example each ('x', 'y') and were dropped, with 2 of 14 rows: no strategy can answer "
        "them; label more of them, or set data.rare_labels (drop, merge, stop)."
    )
    split = split_examples(left, config())
    assert {example.reference for example in split.train} == {"a", "b"}


def test_in_a_set_a_rare_label_goes_and_its_row_stays_unless_nothing_else_is_named():
    left = without_rare_labels(SEVERAL, config())
    assert left.labels == ("late", "rude")
    assert left.examples[-1].reference == '["late"]'
    assert len(left.examples) == 13
    assert "with 1 of 14 rows" in told(left)


def test_a_row_without_a_label_is_an_answer_where_others_have_none_either():
    empty = loaded([*(example.reference for example in SEVERAL.examples), "[]"], ORDER, MULTI_LABEL)
    left = without_rare_labels(empty, config())
    assert [example.reference for example in left.examples[-3:]] == ['["late"]', "[]", "[]"]
    assert "with no row" in told(left)


def test_rare_labels_are_merged_on_demand():
    assert without_rare_labels(ONE, config(Rare.MERGE)).labels == ("a", "b", "other")
    left = without_rare_labels(SEVERAL, config(Rare.MERGE))
    assert left.labels == ("late", "rude", "other")
    assert [example.reference for example in left.examples[-2:]] == ['["late", "other"]', '["other"]']
    assert told(left).startswith("2 labels have a single example each ('x', 'y') and became 'other';")


def test_merging_joins_a_label_that_is_called_other_already():
    data = loaded([*"aabb", "Other", "Other", "x"], ("Other", "a", "b", "x"), CLASSIFICATION)
    left = without_rare_labels(data, config(Rare.MERGE))
    assert left.labels == ("Other", "a", "b")
    assert left.examples[-1].reference == "Other"


def test_a_single_rare_example_cannot_be_merged_and_is_dropped():
    data = loaded([*"aabbaabb", "x"], ("a", "b", "x"), CLASSIFICATION)
    left = without_rare_labels(data, config(Rare.MERGE))
    assert left.labels == ("a", "b")
    assert told(left).startswith("1 label has a single example ('x') and was dropped, with 1 of 9 rows: ")


def test_spans_of_a_rare_type_go_and_the_others_stay():
    def spans(*types: str) -> str:
        return write_spans(EXTRACTION_SPANS[each] for each in types)

    data = loaded(
        [spans("time"), spans("people", "time"), spans("people"), spans("rare", "time")],
        ("people", "rare", "time"),
        EXTRACTION,
    )
    left = without_rare_labels(data, config())
    assert left.labels == ("people", "time")
    assert left.examples[-1].reference == spans("time")
    assert "1 type has a single example ('rare')" in told(left)


EXTRACTION_SPANS = {
    name: llmtl.answers.Span(start, start + 2, name, "aa") for start, name in enumerate(("people", "rare", "time"))
}


@pytest.mark.parametrize("data", [ONE, SEVERAL])
def test_a_recipe_may_stop_at_rare_labels(data: LoadedData):
    with pytest.raises(DataError, match=r"Too few examples to split for 'x', 'y': .*set data\.rare_labels to drop or"):
        split_examples(without_rare_labels(data, config(Rare.STOP)), config(Rare.STOP))


@pytest.mark.parametrize("rare", Rare)
def test_texts_taken_for_labels_are_not_dropped_one_by_one(rare: Rare):
    data = loaded([*"aabcdefgh"], tuple("abcdefgh"), CLASSIFICATION)
    assert without_rare_labels(data, config(rare)) is data
    with pytest.raises(DataError, match="Most in column 'label' have fewer: add examples, name the column") as stopped:
        split_examples(data, config(rare))
    assert "rare_labels" not in str(stopped.value)


def test_a_task_that_would_be_left_without_labels_to_tell_apart_stops():
    data = loaded([*"aaaaaa", "b"], ("a", "b"), CLASSIFICATION)
    assert without_rare_labels(data, config()) is data
    with pytest.raises(DataError, match=r"for 'b': at least 2 per label .* without such labels too few are left"):
        split_examples(data, config())


def test_a_label_of_a_given_test_set_needs_one_example_only():
    data = loaded([*"aabb", "x"], ("a", "b", "x"), CLASSIFICATION)
    with_test = LoadedData(data.examples, data.examples[:2], data.labels, data.cleaning)
    assert without_rare_labels(with_test, config()) is with_test


@pytest.mark.slow
def test_a_run_goes_on_without_a_one_row_label_and_its_report_says_so(tmp_path: Path):
    words = {"late": "waited hours delay", "rude": "unfriendly staff shouted"}
    rows = [(f"{words[each]} number{n} case{n * 7}", each) for n in range(40) for each in words]
    rows += [(f"{words['late']} {words['rude']} both{n} again{n}", "late|rude") for n in range(20)]
    rows += [("a spider sat in the soup", "late|spider")]
    with (tmp_path / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    (tmp_path / "recipe.yaml").write_text(
        "name: tiny\ndata: {path: data.csv}\ntask: {kind: multi-label}\nmodel: {name: pocket-llama}\n"
        "strategies: {run: [majority, tfidf]}\nlearning_curve: {enabled: false}\n"
    )
    run = llmtl.run(tmp_path / "recipe.yaml", out=tmp_path / "out")
    assert "spider" in run.report.read_text()
    assert read_json(run.folder / "index.json")["task"]["labels"] == ["late", "rude"]
    predicted = [
        json.loads(line) for file in (run.folder / "predictions").glob("*") for line in file.read_text().splitlines()
    ]
    assert not any("spider" in json.dumps(row) for row in predicted)
