"""A strategy by itself, without a run."""

import pandas as pd
import pytest

import llmtl
from llmtl.errors import InputError, RecipeError
from llmtl.kinds.table import CLASSIFICATION, MULTI_LABEL
from tests.support.routing_task import LABELS, labelled


@pytest.fixture(scope="module")
def task():
    return llmtl.Task("routing", LABELS)


def test_a_strategy_is_fitted_on_examples_and_asked(task):
    fitted = llmtl.strategies.get("tfidf").fit(task, labelled(30), labelled(8, mark="dev"))
    texts = pd.Series([example.text for example in labelled(6)], index=list("abcdef"))
    answers = fitted.predict(texts)
    assert answers.index.to_list() == list("abcdef")
    assert answers.to_list() == [made.answer for made in fitted.predictor.predict(texts.to_list())]
    assert fitted.predict(texts.iloc[0]) == answers.iloc[0]
    assert fitted.predict(texts, proba=True).idxmax(axis=1).to_list() == answers.to_list()
    assert fitted.findings
    assert repr(fitted) == "<tfidf, fitted for routing>"


def test_pairs_will_do_and_a_prompt_runs_on_the_model_named(task, tiny_llama):
    train = [(example.text, example.reference) for example in labelled(8)]
    few_shot = llmtl.strategies.get("few-shot", shots=[2], seeds=1, built_in_instructions=False)
    fitted = few_shot.fit(task, train, train[:4], model=str(tiny_llama))
    assert fitted.predict(train[0][0]) in LABELS
    assert fitted.predict([train[0][0]], proba=True).sum(axis=1).to_list() == pytest.approx([1])


def test_wrong_names_choices_and_examples_are_told_in_one_line(task):
    with pytest.raises(InputError, match=r"There is no strategy 'few-shots' \(did you mean 'few-shot'\?\)"):
        llmtl.strategies.get("few-shots")
    with pytest.raises(RecipeError, match=r"The strategy 'few-shot' has 1 problem: unknown key 'shot'"):
        llmtl.strategies.get("few-shot", shot=[3])
    with pytest.raises(InputError, match="The strategy 'few-shot' needs a language model; give model='smollm2'"):
        llmtl.strategies.get("few-shot").fit(task, labelled(4), labelled(2))
    with pytest.raises(InputError, match="Item 1 of train is 'a'; give an Example, or a text and its reference"):
        llmtl.strategies.get("tfidf").fit(task, ["a"], labelled(2))
    with pytest.raises(InputError, match="There are no examples in dev"):
        llmtl.strategies.get("tfidf").fit(task, labelled(4), [])
    with pytest.raises(InputError, match="'crf' does not serve tasks of kind classification"):
        llmtl.strategies.get("crf").fit(task, labelled(4), labelled(2))
    with pytest.raises(InputError, match=r"The strategy is 3; give its name"):
        llmtl.strategies.get(3)
    with pytest.raises(InputError, match=r"The task is 'routing'; give a llmtl\.Task"):
        llmtl.strategies.get("tfidf").fit("routing", labelled(4), labelled(2))
    with pytest.raises(InputError, match=r"train is of type DataFrame; give a list"):
        llmtl.strategies.get("tfidf").fit(task, pd.DataFrame({"text": ["a"]}), labelled(2))


@pytest.mark.parametrize(("kind", "reference"), [(CLASSIFICATION, "nowhere"), (MULTI_LABEL, '["nowhere"]')])
def test_a_label_of_another_task_is_refused_before_fitting(kind, reference):
    other = llmtl.Task("routing", LABELS, kind=kind, metric=kind.metrics[0])
    with pytest.raises(InputError, match="The label 'nowhere' in train is not one of the task's; correct it"):
        llmtl.strategies.get("majority").fit(other, [("a", reference)], [("b", reference)])
