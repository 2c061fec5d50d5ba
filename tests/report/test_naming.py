import pytest

from llmtl.report import naming
from llmtl.strategies.table import OWN


def test_every_strategy_of_llmtl_has_a_title_of_its_own_and_says_what_to_do():
    titles = [each.facts.title for each in OWN]
    assert all(titles)
    assert len({title.lower() for title in titles}) == len(titles)
    assert all(each.facts.advice[:1].isupper() and not each.facts.advice.endswith(".") for each in OWN)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qlora", "Fine-tuning with QLoRA"),
        ("tfidf-else-qlora", "TF-IDF and logistic regression, then Fine-tuning with QLoRA"),
        ("my-strategy", "my-strategy"),
        ("mine-else-qlora", "mine-else-qlora"),
    ],
)
def test_strategies_go_by_their_titles_and_unknown_ones_by_their_names(name, expected):
    assert naming.title(name) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("smollm2", "SmolLM2-135M-Instruct"),
        ("Qwen/Qwen3-0.6B", "Qwen3-0.6B"),
        ("models/tuned.gguf", "tuned"),
        ("pocket-llama", "the toy model pocket-llama"),
        ("", ""),
    ],
)
def test_models_go_by_their_names_without_owner(model, expected):
    assert naming.model_title(model) == expected


@pytest.mark.parametrize(
    ("name", "model", "expected"),
    [
        ("qlora", "smollm2", "Fine-tune SmolLM2-135M-Instruct (QLoRA)"),
        ("qlora", "", "Fine-tune the model (QLoRA)"),
        ("tfidf", "", "Use TF-IDF and logistic regression"),
        ("mine", "", "Use mine"),
        (
            "tfidf-else-few-shot",
            "smollm2",
            "Use TF-IDF and logistic regression where it is sure, and Prompt with examples otherwise",
        ),
    ],
)
def test_advice_says_what_to_do_and_with_which_model(name, model, expected):
    assert naming.advice(name, model) == expected
