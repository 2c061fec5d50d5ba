"""`llmtl.run` on data in memory: the run of its file, kept with its data so that it can be resumed and repeated."""

import pickle
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest

import llmtl
from llmtl.errors import InputError, MissingFileError, RecipeError
from llmtl.store import read_json_lines
from tests.support.front_desk import write_messages
from tests.support.made_once import made_once

QUICK = ("learning_curve.enabled=false", "label_noise.refit_minutes=0", "decision.resamples=1000")
OPTIONS = {"model": "pocket-llama", "encoder": None, "strategies": ["majority", "tfidf"], "overrides": QUICK}


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    return write_messages(tmp_path_factory.mktemp("messages") / "messages.csv")


@pytest.fixture(scope="module")
def run(tmp_path_factory, messages):
    def make(folder):
        llmtl.run(pd.read_csv(messages), target=0.4, seed=3, out=folder / "desk", **OPTIONS)

    return llmtl.load_run(made_once(tmp_path_factory, "a run in memory", make) / "desk")


def _answers(run):
    rows = read_json_lines(run.folder / "predictions" / "tfidf.test.jsonl")
    return [(row["id"], row["prediction"], row["probabilities"]) for row in rows]


def test_a_frame_gives_the_run_of_its_csv(run, messages, tmp_path):
    of_file = llmtl.run(messages, text="text", label="label", target=0.4, seed=3, out=tmp_path / "of-file", **OPTIONS)
    assert _answers(of_file) == _answers(run)
    assert of_file.decision.verdict == run.decision.verdict


def test_options_are_choices_of_the_recipe(run):
    recipe = run.recipe
    assert (recipe.name, recipe.task.target, recipe.seed, recipe.encoder) == ("desk", 0.4, 3, None)
    assert recipe.strategies.run == ("majority", "tfidf")


def test_the_kept_rows_are_found_wherever_the_folder_is_moved(run, messages, tmp_path):
    moved = shutil.copytree(run.folder, tmp_path / "moved")
    before = {path: path.stat().st_mtime_ns for path in moved.glob("steps/*/result.json")}
    again = llmtl.run(moved / "recipe.yaml", out=moved)
    assert {path: path.stat().st_mtime_ns for path in moved.glob("steps/*/result.json")} == before
    assert _answers(again) == _answers(run)
    assert len(read_json_lines(moved / "data" / "rows.jsonl")) == len(pd.read_csv(messages))


def test_the_same_rows_in_another_form_resume_the_run(run, messages):
    before = {path: path.stat().st_mtime_ns for path in run.folder.glob("steps/*/result.json")}
    llmtl.run(pl.read_csv(messages), target=0.4, seed=3, out=run.folder, **OPTIONS)
    assert {path: path.stat().st_mtime_ns for path in run.folder.glob("steps/*/result.json")} == before


def test_a_test_set_of_its_own_is_kept_and_only_named_columns_are(messages, tmp_path):
    rows = pd.read_csv(messages).rename(columns={"text": "message", "label": "queue"}).assign(phone="0123")
    rows = rows.sample(frac=1, random_state=0)
    options = {"text": "message", "label": "queue", "out": tmp_path / "run", **OPTIONS}
    run = llmtl.run(rows[:100], test=rows[100:].to_dict("records"), **options)
    held = read_json_lines(run.folder / "data" / "test-rows.jsonl")
    assert len(held) == len(rows) - 100
    assert held[0].keys() == {"message", "queue"}
    assert {row["id"].split("-")[0] for row in read_json_lines(run.folder / "data" / "test.jsonl")} == {"test"}


@pytest.mark.parametrize(
    ("source", "options", "error", "said"),
    [
        (3, {"model": "m"}, InputError, "llmtl.run cannot read a value of type int; give a pandas or polars DataFrame"),
        (["a"], {"model": "m"}, InputError, "llmtl.run cannot read a value of type list"),
        ([{"text": "a", "label": "b"}], {}, RecipeError, "Data also needs a model: give model='smollm2'"),
        ([{"text": "a", "label": "b"}], {"modle": "m"}, InputError, r"no option 'modle' \(did you mean 'model'\?\)"),
        ([{"text": "a"}], {"model": "m"}, InputError, "'list' has no column 'label'"),
        ([{"text": "a", "label": "b"}], {"model": "m", "target": "high"}, RecipeError, "'task.target'"),
        ([{"text": "a", "label": "b"}], {"model": "m", "task": "regression"}, InputError, "task.kind"),
        ("no-recipe", {"seed": 1}, MissingFileError, "There is no recipe at 'no-recipe"),
    ],
)
def test_wrong_types_and_values_are_told_in_one_line_and_nothing_is_written(tmp_path, source, options, error, said):
    with pytest.raises(error, match=said) as caught:
        llmtl.run(source, out=tmp_path / "run", **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_recipe_as_an_object_takes_options_too(run, tmp_path):
    with pytest.raises(RecipeError, match=r"'task\.target'"):
        llmtl.run(run.recipe, target=2, out=tmp_path / "run")


TEXTS = ["my card is lost", None, "when do you open", " "]


def test_one_text_a_list_and_a_series_are_answered_in_their_own_form(run):
    by_hand = [made.answer for made in run.predictor("tfidf").predict([TEXTS[0], TEXTS[2]])]
    wanted = [by_hand[0], None, by_hand[1], None]
    assert run.predict(TEXTS[0], strategy="tfidf") == wanted[0]
    assert run.predict(TEXTS, strategy="tfidf") == wanted
    assert run.predict(np.array(TEXTS[:1]), strategy="tfidf") == wanted[:1]
    assert run.predict(pl.Series("body", TEXTS), strategy="tfidf").to_list() == wanted
    series = run.predict(pd.Series(TEXTS, index=[7, 3, 4, 9], name="body"), strategy="tfidf")
    assert (series.to_list(), series.index.to_list(), series.name) == (wanted, [7, 3, 4, 9], "body")
    assert run.predict([]) == []


def test_probabilities_are_a_frame_with_the_index_of_the_inputs(run):
    series = pd.Series(TEXTS, index=[7, 3, 4, 9])
    frame = run.predict(series, strategy="tfidf", proba=True)
    assert frame.index.to_list() == [7, 3, 4, 9]
    assert tuple(frame.columns) == run.task.labels
    assert run.predict([], strategy="tfidf", proba=True).shape == (0, len(run.task.labels))
    assert frame.loc[[3, 9]].isna().all(axis=None)
    assert frame.loc[[7, 4]].sum(axis=1).to_numpy() == pytest.approx(1)
    assert frame.loc[[7, 4]].idxmax(axis=1).to_list() == run.predict(series[[7, 4]].to_list(), strategy="tfidf")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (3, "These inputs are of type int; give a text, a list of texts or a Series"),
        ([3], "Input 1 is 3, which is not a text"),
        (pd.DataFrame({"text": ["a"]}), "These inputs are of type DataFrame"),
        (np.array([["a"]]), "These inputs are of type ndarray"),
    ],
)
def test_inputs_that_are_not_texts_are_refused_in_one_line(run, inputs, said):
    with pytest.raises(InputError, match=said):
        run.predict(inputs)
    with pytest.raises(InputError, match=said):
        run.predict(inputs, proba=True)


def test_evaluations_are_a_frame(run):
    frame = run.evaluations.to_pandas().set_index(["strategy", "split"])
    result = run.decision.result("tfidf")
    row = frame.loc[("tfidf", "test")]
    assert (row["accuracy"], row["n"]) == (result.test.value, result.test.n)
    assert (row["accuracy_low"], row["accuracy_high"]) == result.test.ci95
    assert len(frame) == 4


def test_predictions_and_errors_are_frames_with_texts(run):
    frame = run.predictions("tfidf").to_pandas()
    kept = read_json_lines(run.folder / "data" / "test.jsonl")
    assert frame.index.to_list() == [row["id"] for row in kept]
    assert frame["text"].to_list() == [row["text"] for row in kept]
    assert frame["score"].mean() == pytest.approx(run.decision.result("tfidf").test.value)
    wrong = run.errors()
    assert set(wrong.index) == set(frame.index[frame["reference"] != frame["prediction"]])
    assert (wrong["confidence"].diff().dropna() <= 0).all()  # the surest of them first
    with pytest.raises(InputError, match="no predictions of 'qlora' on 'test'; it has majority on dev"):
        run.predictions("qlora")


def test_values_are_short_in_print_and_cards_in_notebooks(run):
    values = (run, run.decision, *run.evaluations, run.evaluations, run.predictions())
    for value in values:
        assert len(repr(value)) < 200
        assert "<table" in value._repr_html_()
    assert repr(run.decision).startswith("<decision on desk: baseline, tfidf, accuracy 0.")
    assert repr(run.decision).endswith(")>")
    assert "Use the baseline" in run._repr_html_()
    assert "Use the baseline" in run.decision._repr_html_()


def test_a_run_is_pickled_as_its_folder(run):
    run.predict("my card is lost")
    again = pickle.loads(pickle.dumps(run))
    assert again.decision == run.decision
    assert again.predict("my card is lost") == run.predict("my card is lost")


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda frame: llmtl.load_run(3), "The run folder is 3; give its path"),
        (lambda frame: llmtl.export(None, "out"), "The run folder is None; give its path"),
        (lambda frame: llmtl.search(3, ["a"]), "What is searched is 3; give its path"),
        (lambda frame: llmtl.load_recipe(3), "The recipe is 3; give its path"),
        (lambda frame: llmtl.run(frame, model="m", out=3), "The run folder is 3; give its path"),
        (lambda frame: llmtl.run(frame, model="m", test=3), "The test set is 3; give its path"),
        (lambda frame: llmtl.run(frame, model="m", progress=3), "progress is 3; give True, False"),
        (lambda frame: llmtl.run(None), "llmtl.run cannot read None; give a pandas"),
        (
            lambda frame: llmtl.run(frame, model="m", strategies="tfidf"),
            "'strategies.run': it should be a list, got 'tf",
        ),
        (lambda frame: llmtl.run(frame, model="m", seed="x"), "'seed': it should be a whole number, got 'x'"),
        (lambda frame: llmtl.run(frame, model="m", labels=3), "'task.labels': it should be a list, got 3; "),
    ],
)
def test_wrong_types_are_told_in_one_line(ask, said):
    with pytest.raises(InputError, match=said) as caught:
        ask(pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}))
    assert "\n" not in str(caught.value)


def test_what_a_card_shows_is_escaped(run):
    bad = replace(
        run.decision, winner="<b>x", strategies=(replace(run.decision.strategies[0], name="<b>x"),), rule=None
    )
    assert "<b>x" not in bad._repr_html_()
