"""`llmtl.Classifier` as an estimator of scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

import llmtl
from llmtl.errors import InputError
from llmtl.pipeline.classifier import _labels
from tests.support.front_desk import write_messages
from tests.support.made_once import made_once

MEANT = {0: None, 1: "what comes second", 2: None, 3: None, 4: None, 7: "what nobody has asked yet"}
READS_TEXTS = (
    "X of the check is numbers, and the classifier reads texts: it refuses them before it does what is checked"
)
FLAT = "the check makes X an array of one dimension, and then takes its second one"
SAYS_IT_ITSELF = "it refuses what is not a text, in its own words and not in those of arrays of numbers"
EXPECTED = {
    **dict.fromkeys(
        (
            "check_classifier_data_not_an_array",
            "check_classifiers_classes",
            "check_classifiers_train",
            "check_dtype_object",
            "check_estimators_dtypes",
            "check_estimators_fit_returns_self",
            "check_estimators_overwrite_params",
            "check_estimators_pickle",
            "check_fit_check_is_fitted",
            "check_fit_idempotent",
            "check_fit_score_takes_y",
            "check_n_features_in",
            "check_n_features_in_after_fitting",
            "check_pipeline_consistency",
            "check_positive_only_tag_during_fit",
            "check_readonly_memmap_input",
            "check_supervised_y_2d",
        ),
        READS_TEXTS,
    ),
    **dict.fromkeys(
        (
            "check_dict_unchanged",
            "check_dont_overwrite_parameters",
            "check_f_contiguous_array_estimator",
            "check_fit2d_1feature",
            "check_fit2d_1sample",
            "check_fit2d_predict1d",
            "check_methods_sample_order_invariance",
            "check_methods_subset_invariance",
        ),
        FLAT,
    ),
    **dict.fromkeys(
        (
            "check_estimator_sparse_array",
            "check_estimator_sparse_matrix",
            "check_estimator_sparse_tag",
            "check_estimators_empty_data_messages",
            "check_estimators_nan_inf",
        ),
        SAYS_IT_ITSELF,
    ),
    "check_classifiers_one_label": "with one label there is nothing to decide; it says so in one line",
}


class AsIfOfNumbers(llmtl.Classifier):
    """The same, but for the tag for which scikit-learn would leave out every check."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


@pytest.mark.filterwarnings("ignore")
def test_the_checks_of_scikit_learn_pass_where_they_do_not_need_numbers():
    made = AsIfOfNumbers(model="pocket-llama", encoder=None, strategies=["majority"])
    done = check_estimator(made, expected_failed_checks=EXPECTED, on_skip=None)
    states = {state: {each["check_name"] for each in done if each["status"] == state} for state in ("passed", "xfail")}
    assert states["xfail"] == set(EXPECTED)
    assert {"check_estimators_unfitted", "check_requires_y_none", "check_set_params"} <= states["passed"]
    assert len(states["passed"]) >= 18


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    messages = write_messages(tmp_path_factory.mktemp("messages") / "messages.csv")
    rows = pd.read_csv(messages)
    numbers = {label: number for number, label in enumerate(sorted(set(rows["label"])))}

    def make(folder):
        options = {"encoder": None, "strategies": ["majority", "tfidf"], "out": folder / "run"}
        made = llmtl.Classifier("pocket-llama", labels=MEANT, **options)
        assert made.fit(rows["text"], rows["label"].map(numbers)) is made
        (folder / "made.pickle").write_bytes(pickle.dumps(made))

    folder = made_once(tmp_path_factory, "a classifier", make)
    made = pickle.loads((folder / "made.pickle").read_bytes())
    made.run_folder_ = str(folder / "run")
    return made, rows


def test_labels_keep_their_type_and_probabilities_the_order_of_classes(fitted):
    made, rows = fitted
    texts = rows["text"].to_list()[::17]
    assert made.classes_.tolist() == [0, 1, 2, 3, 4, 7]
    assert made.run_.task.descriptions == (("1", MEANT[1]), ("7", MEANT[7]))
    predicted, probabilities = made.predict(texts), made.predict_proba(texts)
    assert predicted.dtype == made.classes_.dtype
    assert (made.classes_[probabilities.argmax(axis=1)] == predicted).all()
    assert probabilities.sum(axis=1) == pytest.approx(1)
    by_run = made.run_.predictor().predict(texts)
    assert [str(label) for label in predicted] == [each.answer for each in by_run]


def test_order_and_form_of_the_texts_do_not_matter(fitted):
    made, rows = fitted
    texts = np.array(rows["text"].to_list()[::17], dtype=object)
    order = np.random.default_rng(0).permutation(len(texts))
    assert (made.predict(texts)[order] == made.predict(list(texts[order]))).all()
    assert made.predict_proba(pd.Series(texts)[:2]) == pytest.approx(made.predict_proba(list(texts))[:2])


def test_it_works_in_a_pipeline_and_scores(fitted):
    made, rows = fitted
    whole = make_pipeline(FunctionTransformer(lambda texts: [text.lower() for text in texts]), made)
    assert whole.predict(["MY CARD IS LOST"]) == made.predict(["my card is lost"])
    assert 0.2 < made.score(rows["text"], [int(name) for name in made.predict(rows["text"])]) <= 1


def test_a_missing_text_gets_equal_probabilities(fitted):
    made, _ = fitted
    assert made.predict_proba([None, "my card"])[0] == pytest.approx([1 / 6] * 6)
    assert made.predict([None]).tolist() == [0]


def test_unfitted_and_wrong_inputs_are_refused_in_one_line(fitted):
    made, _ = fitted
    with pytest.raises(NotFittedError):
        clone(made).predict(["a"])
    with pytest.raises(InputError, match=r"Input 1 is 3, which is not a text; give texts\."):
        made.predict([3])
    with pytest.raises(InputError, match="'7' of 'labels' is of type str, and those of y are of type int; give both"):
        llmtl.Classifier(labels=["7"]).fit(["a", "b"], [0, 1])
    with pytest.raises(InputError, match="X has 1 text and y 2 labels; give one label per text"):
        clone(made).fit(["a"], ["x", "y"])


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (["a", None], r"y has no label for 1 of 2 texts \(first: number 2\)"),
        (pd.Series([np.nan, "a"]), r"y has no label for 1 of 2 texts \(first: number 1\)"),
        (pd.Series([1, pd.NA], dtype="Int64"), "y has no label for 1 of 2 texts"),
        (np.array([1, "a"], dtype=object), r"of several types \(int, str\); give all as one"),
        ([0.5, 1.5], "Unknown label type: continuous"),
        (np.zeros((2, 2)), "y should be a 1d array"),
    ],
)
def test_labels_that_are_none_are_refused_in_one_line(y, said):
    with pytest.raises(InputError, match=said) as caught:
        llmtl.Classifier().fit(["a", "b"], y)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("y", "wanted"),
    [
        (pd.Series([3, 1], dtype="Int64"), int),
        (pd.Series([3, 1], dtype=object), int),
        (pd.Series([True, False], dtype=object), bool),
        (pd.Series([True, False], dtype="boolean"), bool),
        (pd.Series(["a", "b"], dtype="category"), str),
        (pd.Series([3, 1], dtype="category"), int),
        (pl.Series(["a", "b"]), str),
        (pl.Series([1, 2]), int),
    ],
)
def test_labels_of_every_column_type_keep_what_they_are(y, wanted):
    assert {type(label) for label in _labels(y).tolist()} == {wanted}
