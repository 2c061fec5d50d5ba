"""Loading and splitting of multi-label, extraction and generation data, real data included."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from llmtl.answers import read_spans
from llmtl.checks import run_checks
from llmtl.data import DataConfig, fingerprint, load_examples, split_examples, subsample
from llmtl.errors import DataError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.task import Example, Task

DATA = Path(__file__).parents[3] / "shared" / "data"
SPAN = {"type": "time", "text": "at 6", "start": 4, "end": 8}
CANONICAL = json.dumps([SPAN])


def loaded(path, kind, labels=None, **settings):
    return load_examples(DataConfig(path=path, **settings), labels, kind=kind)


def refused(path, kind, labels=None, **settings) -> str:
    with pytest.raises(DataError) as caught:
        loaded(path, kind, labels, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_spans_come_from_lists_and_from_json_strings(json_lines, write):
    bare = {key: value for key, value in SPAN.items() if key != "text"}
    rows = [{"text": "Run at 6", "label": [SPAN]}, {"text": "Row at 6", "label": [bare]}, {"text": "no", "label": []}]
    data = loaded(json_lines(rows), EXTRACTION)
    assert data.labels == ("time",)
    assert data.kind is EXTRACTION
    assert [each.reference for each in data.examples] == [CANONICAL, CANONICAL, "[]"]
    quoted = CANONICAL.replace('"', '""')
    data = loaded(write("data.csv", f'text,label\nRun at 6,"{quoted}"\nnothing,[]\n'), EXTRACTION)
    assert [each.reference for each in data.examples] == [CANONICAL, "[]"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([{**SPAN, "end": 20}], "from 4 to 20 in a text of 8 characters"),
        ([{**SPAN, "start": 4.5}], "a span with the place 4.5; write start and end as whole numbers"),
        ([{**SPAN, "start": None}], "a span with the place None; write start and end as whole numbers"),
        ([{**SPAN, "start": -1}], "from -1 to 8; count characters from 0, from the beginning"),
        ([{**SPAN, "end": 4}], "from 4 to 4, which is empty"),
        ([{**SPAN, "start": 5}], "whose place, 5 to 8, reads 't 6'"),
        ([{"type": "time"}], "write spans as {type, text, start, end}"),
        ([{**SPAN, "type": ""}], "holds '' in its list"),
        ("time", "no JSON list"),
        ({"time": "6"}, "write a list"),
    ],
)
def test_wrong_spans_say_what_and_where(json_lines, value, message):
    rows = [{"text": "Run at 6", "label": [SPAN]}, {"text": "Row at 6", "label": value}]
    found = refused(json_lines(rows), EXTRACTION)
    assert message in found
    assert "line 2" in found


def test_copies_that_differ_in_case_are_no_conflict_and_other_spans_are(json_lines):
    rows = [
        {"text": "Run at 6", "label": [SPAN]},
        {"text": "Run AT 6", "label": [{**SPAN, "text": "AT 6"}]},
        {"text": "Row at 6", "label": [SPAN]},
        {"text": "Row at 6", "label": []},
    ]
    data = loaded(json_lines(rows), EXTRACTION)
    assert [each.id for each in data.examples] == ["1"]
    assert (data.cleaning.duplicates, data.cleaning.conflicts) == (("2",), ("3", "4"))


def test_a_type_that_is_not_listed_stops(json_lines):
    message = refused(json_lines([{"text": "Run at 6", "label": [SPAN]}]), EXTRACTION, ["date"])
    assert "The type 'time' in line 1" in message


def test_several_labels_come_from_lists_and_strings_in_the_order_of_the_task(json_lines, write):
    rows = [{"text": "one", "label": ["b", "a", 3]}, {"text": "two", "label": "a | b"}, {"text": "three", "label": []}]
    data = loaded(json_lines(rows), MULTI_LABEL)
    assert data.labels == ("3", "a", "b")
    assert [each.reference for each in data.examples] == ['["3", "a", "b"]', '["a", "b"]', "[]"]
    path = write("data.csv", 'text,label\none,a;b\ntwo,"[""b""]"\nthree,b; b\n')
    data = loaded(path, MULTI_LABEL, ["b", "a"], label_separator=";")
    assert [each.reference for each in data.examples] == ['["b", "a"]', '["b"]', '["b"]']
    assert "The label 'b' in line 2" in refused(path, MULTI_LABEL, ["a", "c"], label_separator=";")
    assert "only the label 'a'" in refused(write("one.csv", "text,label\nx,a\ny,a\n"), MULTI_LABEL)


def test_an_empty_cell_is_no_empty_set(write):
    path = write("data.csv", "text,label\none,a\ntwo,\nthree,b\n")
    assert "write []" in refused(path, MULTI_LABEL)


def test_references_of_one_input_are_kept_together(write, json_lines):
    path = write("data.csv", "text,label\nx,first\ny,only\nx,second\nx,first\n")
    data = loaded(path, GENERATION)
    assert data.labels == ()
    assert data.examples == (Example("1", "x", "first", alternatives=("second",)), Example("2", "y", "only"))
    assert (data.cleaning.merged, data.cleaning.duplicates, data.cleaning.conflicts) == (("3",), ("4",), ())
    rows = [{"text": "x", "label": ["first", "second"]}, {"text": "y", "label": "only"}]
    assert loaded(json_lines(rows), GENERATION).examples == data.examples


def test_groups_stay_on_one_side_and_leave_with_a_test_set(json_lines, write):
    source = random.Random(3)
    rows = [
        {"text": " ".join(source.choices("abcdefghijklmnop", k=12)), "label": "xy"[n % 2], "who": f"c{n % 30}"}
        for n in range(240)
    ]
    config = DataConfig(path=json_lines(rows), group="who")
    data = load_examples(config)
    assert {each.group for each in data.examples} == {f"c{n}" for n in range(30)}
    split = split_examples(data, config)
    held = [{each.group for each in part} for part in (split.train, split.dev, split.test)]
    assert sum(map(len, held)) == len(set.union(*held)) == 30
    assert all(held)
    test = write("test.csv", "text,label,who\nunlike all others,x,c7\nnothing alike here,y,\n")
    apart = load_examples(config.model_copy(update={"test_path": test}))
    assert "c7" not in {each.group for each in apart.examples}
    assert len(apart.cleaning.leaked) == sum(each.group == "c7" for each in data.examples)


def test_the_fingerprint_sees_alternatives_and_groups():
    plain = Example("1", "x", "a")
    others = [plain, Example("1", "x", "a", alternatives=("b",)), Example("1", "x", "a", group="g")]
    assert len({fingerprint([each]) for each in others}) == 3


def multi_label_rows(count):
    source = random.Random(1)
    chances = {"a": 0.6, "b": 0.3, "c": 0.1}
    return [
        {
            "text": " ".join("".join(source.choices("abcdefghij", k=9)) for _ in range(5)),
            "label": [label for label, chance in chances.items() if source.random() < chance],
        }
        for _ in range(count)
    ]


def test_every_label_keeps_its_share_in_split_and_sample(json_lines):
    config = DataConfig(path=json_lines(multi_label_rows(400)))
    data = load_examples(config, kind=MULTI_LABEL)
    split = split_examples(data, config)
    total = Counter(label for each in data.examples for label in data.kind.named(each.reference))
    for part, fraction in zip((split.train, split.dev, split.test), config.fractions, strict=True):
        counts = Counter(label for each in part for label in data.kind.named(each.reference))
        assert len(part) == pytest.approx(400 * fraction, abs=4)
        assert all(counts[label] == pytest.approx(fraction * total[label], abs=3) for label in total)
    small = subsample(split, train=4, dev=40, kind=data.kind)
    assert {label for each in small.train for label in data.kind.named(each.reference)} == {"a", "b", "c"}
    rare = sum("c" in data.kind.named(each.reference) for each in split.dev)
    assert sum("c" in data.kind.named(each.reference) for each in small.dev) == pytest.approx(rare / 2, abs=1)
    assert set(small.dev) < set(subsample(split, dev=60, kind=data.kind).dev)


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "restaurant8k").is_dir(), reason="the real data are not here")
def test_real_spans_load_split_and_pass_the_checks():
    config = DataConfig(
        path=str(DATA / "restaurant8k" / "train.jsonl"),
        test_path=str(DATA / "restaurant8k" / "test.jsonl"),
        label="entities",
    )
    data = load_examples(config, kind=EXTRACTION)
    assert data.labels == ("date", "first_name", "last_name", "people", "time")
    assert data.cleaning.rows == 4099 + 3731
    assert data.cleaning.incomplete == ()
    split = split_examples(data, config)
    total = Counter(label for each in data.examples for label in data.kind.named(each.reference))
    counts = Counter(label for each in split.dev for label in data.kind.named(each.reference))
    assert all(counts[label] == pytest.approx(0.2 * total[label], abs=2) for label in total)
    task = Task("r8k", data.labels, metric=data.kind.metrics[0], kind=data.kind)
    small = subsample(split, train=300, dev=100, test=100, kind=data.kind)
    assert {each.check for each in run_checks(small, task, cleaning=data.cleaning)} >= {"duplicates", "leakage"}


@pytest.mark.skipif(not (DATA / "e2e_nlg").is_dir(), reason="the real data are not here")
def test_real_texts_load_with_all_their_references():
    config = DataConfig(path=str(DATA / "e2e_nlg" / "dev.csv"), text="mr", label="ref")
    data = load_examples(config, kind=GENERATION)
    texts = sum(1 + len(each.alternatives) for each in data.examples)
    assert len(data.examples) == 547
    assert texts + len(data.cleaning.duplicates) == data.cleaning.rows == 4672
    split = split_examples(data, config)
    assert [len(part) for part in (split.train, split.dev, split.test)] == pytest.approx([274, 109, 164], abs=2)
    task = Task("e2e", (), metric=data.kind.metrics[0], kind=data.kind)
    found = [each.check for each in run_checks(split, task, cleaning=data.cleaning)]
    assert found == ["duplicates", "several-references"]


@pytest.mark.parametrize("place", [{"start": 4.0, "end": 8.0}, {"start": "4", "end": "8"}])
def test_whole_places_may_be_written_as_any_number(json_lines, place):
    rows = [{"text": "Run at 6", "label": [SPAN]}, {"text": "Row at 6", "label": [SPAN | {"text": None} | place]}]
    data = load_examples(DataConfig(path=json_lines(rows)), kind=EXTRACTION)
    assert [read_spans(each.reference)[0].start for each in data.examples] == [4, 4]


def test_a_truth_value_is_no_place(json_lines):
    rows = [{"text": "Run at 6", "label": [{"type": "word", "start": True, "end": 3}]}]
    assert "a span with the place True; write" in refused(json_lines(rows), EXTRACTION)


def test_texts_taken_for_labels_name_the_kinds(json_lines):
    data = loaded(json_lines([{"text": f"word {n}", "label": f"answer {n}"} for n in range(9)]), CLASSIFICATION)
    with pytest.raises(DataError, match=r"set task\.kind to multi-label, extraction or generation"):
        split_examples(data, DataConfig(path="x"))


def test_too_few_groups_name_the_group_column(json_lines):
    rows = [{"text": f"word{n * 37} some{n}", "label": "ab"[n % 2], "who": n % 2} for n in range(20)]
    data = loaded(json_lines(rows), CLASSIFICATION, group="who")
    with pytest.raises(DataError, match=r"2 groups of near-duplicates, or of one data\.group"):
        split_examples(data, DataConfig(path="x", group="who"))


def test_white_space_of_texts_to_write_stays(json_lines):
    rows = [{"text": "a", "label": "    x = 1\n    return x\n"}, {"text": "b", "label": ["\ty\n", " "]}]
    data = load_examples(DataConfig(path=json_lines(rows)), kind=GENERATION)
    assert [each.reference for each in data.examples] == ["    x = 1\n    return x\n", "\ty\n"]


def tagged(labels):
    return [{"text": f"text {number}", "label": label} for number, label in enumerate(labels)]


@pytest.mark.parametrize("separator", [";", ","])
def test_another_separator_inside_labels_stops_with_the_cure(json_lines, separator):
    rows = tagged([f"billing{separator}urgent", f"shipping{separator}urgent", "billing"])
    config = DataConfig(path=json_lines(rows))
    with pytest.raises(DataError, match=f"data.label_separator='{separator}'"):
        load_examples(config, kind=MULTI_LABEL)
    right = DataConfig(path=config.path, label_separator=separator)
    assert load_examples(right, kind=MULTI_LABEL).labels == ("billing", "shipping", "urgent")
    meant = DataConfig(path=config.path, label_separator="|")
    assert len(load_examples(meant, kind=MULTI_LABEL).labels) == 3


@pytest.mark.parametrize("vector", [[1, 0, 1], [1.0, 0.0, 0.0], [True, False, True], ["0", "0"], "[0, 1, 1]", "1|0|0"])
def test_vectors_of_marks_are_no_labels(json_lines, vector):
    found = refused(json_lines(tagged([vector, ["a"]])), MULTI_LABEL)
    assert "which marks labels by their position; write the names" in found


def test_the_same_labels_everywhere_leave_nothing_to_tell(json_lines):
    assert "nothing to tell apart" in refused(json_lines(tagged([[1, 0], [0, 1], [1, 0]])), MULTI_LABEL)


def test_a_label_named_twice_counts_once_and_is_told(json_lines):
    data = load_examples(DataConfig(path=json_lines(tagged([["a", "b", "a"], ["b"]]))), kind=MULTI_LABEL)
    assert data.examples[0].reference == '["a", "b"]'
    assert data.cleaning.repeated == ("line 1",)


def test_labels_that_look_the_same_in_every_way_are_one(json_lines):
    rows = tagged(["caf\u00e9", "cafe\u0301", "caf\u00e9\u200b", "\ufeffbar", "bar "])
    data = load_examples(DataConfig(path=json_lines(rows)), ["cafe\u0301", "bar"])
    assert data.labels == ("caf\u00e9", "bar")
    assert Counter(each.reference for each in data.examples) == {"caf\u00e9": 3, "bar": 2}


FOREIGN_SPANS = {
    "doccano": [[4, 8, "time"]],
    "spaCy": {"entities": [[4, 8, "time"]]},
    "Prodigy": [{"start": 4, "end": 8, "label": "time", "token_start": 1, "token_end": 2}],
    "Label Studio": [{"start": 4, "end": 8, "text": "at 6", "labels": ["time"]}],
    "Label Studio, in full": [{"result": [{"type": "labels", "value": {"start": 4, "end": 8, "labels": ["time"]}}]}],
    "transformers": [{"entity_group": "time", "score": 0.9, "word": "at 6", "start": 4, "end": 8}],
    "BigBio": [{"id": "T1", "type": "time", "offsets": [[4, 8]], "text": ["at 6"]}],
    "UIMA": [{"begin": 4, "end": 8, "label": "time"}],
    "Azure": [{"offset": 4, "length": 4, "category": "time"}],
    "doccano, older": [{"start_offset": 4, "end_offset": 8, "label": "time"}],
    "the CSV of a frame": "[{'type': 'time', 'start': 4, 'end': 8}]",
}


@pytest.mark.parametrize("tool", FOREIGN_SPANS)
def test_spans_of_other_tools_are_read(json_lines, tool):
    rows = [{"text": "Run at 6", "label": FOREIGN_SPANS[tool]}, {"text": "no", "label": []}]
    assert [each.reference for each in loaded(json_lines(rows), EXTRACTION).examples] == [CANONICAL, "[]"]


@pytest.mark.parametrize(
    "value",
    [
        [{"type": "time", "offsets": [[0, 3], [4, 8]]}],
        [{"type": "time", "text": "at 6"}],
        [["at 6", "time"]],
        [{"labels": ["time", "hour"], "start": 4, "end": 8}],
        ["O", "B-time"],
    ],
)
def test_what_no_span_can_be_made_of_stops(json_lines, value):
    said = refused(json_lines([{"text": "Run at 6", "label": value}]), EXTRACTION)
    assert "write spans as {type, text, start, end}" in said or "in its list; write strings or numbers" in said


def test_a_span_that_stands_twice_counts_once_and_is_told(json_lines):
    data = loaded(json_lines([{"text": "Run at 6", "label": [SPAN, SPAN]}, {"text": "no", "label": []}]), EXTRACTION)
    assert data.examples[0].reference == CANONICAL
    assert data.cleaning.repeated == ("line 1",)


@pytest.mark.parametrize(
    "value",
    [
        "['a b', 'c']",
        "('a b', 'c',)".replace("(", "[").replace(",)", "]"),
        "{'c', 'a b'}",
        {"a b": 1, "c": True, "d": 0},
        '{"a b": true, "c": true, "d": false}',
    ],
)
def test_lists_as_frames_and_marks_by_name_write_them_are_read(json_lines, value):
    data = loaded(json_lines([{"text": "one", "label": value}, {"text": "two", "label": ["d"]}]), MULTI_LABEL)
    assert data.examples[0].reference == '["a b", "c"]'


@pytest.mark.parametrize("value", ["['a' 'b']", "{a,b}", "[nan]", "[print()]", "{'a': 0.3, 'b': 0.7}", "[" * 500])
def test_what_only_looks_like_a_list_stops(json_lines, value):
    assert "holds" in refused(json_lines([{"text": "one", "label": value}, {"text": "two", "label": "d"}]), MULTI_LABEL)


@pytest.mark.parametrize("vector", [[True, False], [1.0, 0.0, 1.0], [-1, 1, -1], [0.2, 0.7, 0.1], ["yes", "no", "no"]])
def test_marks_of_every_kind_are_no_labels(json_lines, vector):
    rows = [{"text": "a b", "label": vector}, {"text": "c d", "label": vector[::-1]}]
    assert "which marks labels by their position" in refused(json_lines(rows), MULTI_LABEL)


@pytest.mark.parametrize(
    "marks", [("1 0 0", "0 1 0"), ("100", "010"), ("1,0", "0,1"), ("1", "0"), (1, 0), ("yes", "no")]
)
def test_marks_in_a_text_are_no_labels(json_lines, marks):
    rows = [{"text": f"text {number}", "label": mark} for number, mark in enumerate(marks)]
    assert "which are marks and not names of labels" in refused(json_lines(rows), MULTI_LABEL)
