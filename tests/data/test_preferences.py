"""Pairs of a better and a worse answer: read strictly, kept apart from dev and test, refused where nobody learns."""

import json

import pandas as pd
import pytest

from llmtl.checks import check_cleaning
from llmtl.data import with_preferences
from llmtl.data.cleaning import Cleaning
from llmtl.data.config import DataConfig
from llmtl.errors import DataError, MissingFileError, RecipeError
from llmtl.settings import Recipe, load_recipe
from llmtl.values import Example, Preference, Split

SPLIT = Split(
    train=(Example("1", "the first invoice of March", "Paid."),),
    dev=(Example("2", "where is the blue courier van", "On its way."),),
    test=(Example("3", "refund of the whole amount please", "Done."),),
)


def row(text="a new question", chosen="Yes, of course.", rejected="No.", column="input"):
    return {column: text, "chosen": chosen, "rejected": rejected}


TURN = [{"role": "user", "content": "a new question"}, {"role": "assistant", "content": "Yes, of course."}]


@pytest.fixture
def read(tmp_path):
    """Return a function that writes rows to a file and gives the pairs, and what became of them."""

    def read(*rows, name="pairs.jsonl"):
        path = tmp_path / name
        frame = pd.DataFrame(rows)
        if path.suffix == ".jsonl":
            path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
        elif path.suffix == ".csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path)
        config = DataConfig(path="x.csv", preferences=str(path))
        split, cleaning = with_preferences(SPLIT, config, Cleaning(rows=3))
        assert (split.train, split.dev, split.test) == (SPLIT.train, SPLIT.dev, SPLIT.test)
        return split.preferences, cleaning.preferred

    return read


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.csv", "pairs.parquet"])
@pytest.mark.parametrize("column", ["input", "prompt"])
def test_every_form_of_table_is_read(read, name, column):
    pairs, became = read(row(column=column), row("another", column=column), name=name)
    assert pairs == (
        Preference("a new question", "Yes, of course.", "No."),
        Preference("another", "Yes, of course.", "No."),
    )
    assert became.told == "2 preferences: 2 to learn from."


@pytest.mark.parametrize("given", [TURN, TURN[1:]], ids=["with what it answers", "alone"])
@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.parquet"])
def test_messages_of_one_turn_are_read(read, given, name):
    pairs, _ = read(
        {"prompt": TURN[:1], "chosen": given, "rejected": [{"role": "assistant", "content": "No."}]}, name=name
    )
    assert pairs == (Preference("a new question", "Yes, of course.", "No."),)


def test_what_dev_and_test_have_and_what_says_nothing_is_left_out_and_said(read):
    pairs, became = read(
        row("the first invoice of March"),  # train may have it
        row("Where is the BLUE courier van?"),
        row("refund of the whole amount, please"),
        row("same", "Yes.", "Yes. "),
        row("twice"),
        row("twice"),
        row("both ways", "Yes.", "No."),
        row("Both  ways", "No.", "Yes."),
    )
    assert [each.input for each in pairs] == ["the first invoice of March", "twice"]
    assert became.told == (
        "8 preferences: 2 to learn from, 1 left out because both answers are the same, 1 left out as copies of "
        "another, 2 left out because they contradict each other, 1 left out because they stand in test, or "
        "nearly, 1 left out because they stand in dev, or nearly."
    )
    [finding] = check_cleaning(Cleaning(rows=3, preferred=became))
    assert finding.message == f"The recipe names {became.told}"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "is empty"),
        (
            [row("q", "Yes.", "Yes.")],
            "no pair to learn from: 1 preference: 1 left out because both answers are the same",
        ),
        ([row("where is the blue courier van")], "no pair to learn from"),
        ([row(), row(chosen=None)], "There is no 'chosen' in line 2"),
        ([row(), row(text="  ")], "There is no 'input' in line 2"),
        ([{"input": "q", "chosen": "Yes."}], "has no column 'rejected'"),
        ([row(column="question")], "has no column 'input' or 'prompt'; name the input so"),
        ([row() | {"prompt": "q"}], "has the columns 'input', 'prompt'; name the input in one of them"),
        ([row() | {"chosen": [*TURN, *TURN]}], "holds 4 messages in line 1; give a text, or the one message of"),
        ([row() | {"input": TURN}], "'input' of"),
        ([row() | {"chosen": ["Yes."]}], "holds 1 messages"),
        ([row() | {"chosen": [{"role": "assistant", "content": None}]}], "There is no 'chosen' in line 1"),
        ([row() | {"chosen": {"a": 1}}], "which is not text"),
    ],
)
def test_what_cannot_be_learned_from_is_one_line_with_the_cure(read, rows, said):
    with pytest.raises(DataError) as caught:
        read(*rows)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingFileError):
        with_preferences(SPLIT, DataConfig(path="x.csv", preferences=str(tmp_path / "none.csv")), Cleaning(rows=3))


def test_a_recipe_says_before_the_run_where_nobody_would_learn_from_them(tmp_path):
    def recipe(kind, run):
        section = f"strategies: {{run: [{run}]}}\n" if run else ""
        text = (
            f"name: x\ndata: {{path: d.csv, preferences: p.jsonl}}\nmodel: smollm2\ntask: {{kind: {kind}}}\n{section}"
        )
        (tmp_path / "recipe.yaml").write_text(
            text.replace("model: smollm2", "model: {name: smollm2}"), encoding="utf-8"
        )
        return load_recipe(tmp_path)

    with pytest.raises(
        RecipeError, match=r"tasks of kind classification, only in generation; leave data\.preferences out"
    ):
        recipe("classification", "tfidf")
    for run in ("nearest", ""):
        with pytest.raises(RecipeError, match=r"learned from by dpo, which strategies\.run does not list; add it"):
            recipe("generation", run)
    read = recipe("generation", "nearest, dpo")
    assert isinstance(read, Recipe)
    assert read.data.preferences == str(tmp_path / "p.jsonl")
