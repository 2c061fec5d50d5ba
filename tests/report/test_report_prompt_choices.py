"""What the report says of prompts tried with the labels in several orders, and with examples found in two ways."""

import re
from dataclasses import replace

import pytest

from llmtl.findings import TriedPrompt
from llmtl.report import markdown
from llmtl.report.html import write_html
from llmtl.report.prompt_choices import choice_sentences
from llmtl.report.view import build_view
from tests.support.report_factory import make_content, searched

KEPT = (
    "zero-shot is asked with the labels in 4 orders, one prompt each for every input, and the answers averaged: 0.803 "
    "on dev against 0.747 with one order."
)
LEFT = (
    "zero-shot was also asked with the labels in 4 orders: 0.747 on dev against 0.747 with one order, which is not "
    "better, so one order is kept."
)


def content(score):
    tried = [
        TriedPrompt(0, 0, {"accuracy": 0.5}, 0, 1.0),
        TriedPrompt(0, 0, {"accuracy": 0.747}, 0, 1.0, 1),
        TriedPrompt(0, 0, {"accuracy": score}, 0, 4.0, 1, 4),
    ]
    trace = replace(searched(tried), instruction=1, rotations=4 if score > 0.747 else 1)
    return replace(make_content(), fit_findings={"zero-shot": (trace,)})


@pytest.mark.parametrize(("score", "sentence"), [(0.803, KEPT), (0.747, LEFT)])
def test_the_page_and_markdown_say_what_the_orders_came_to(score, sentence, tmp_path):
    made = content(score)
    assert choice_sentences(build_view(made).candidates) == [sentence]
    assert sentence in markdown(made)
    write_html(made, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert sentence in page
    assert "wording 2, asked with the labels in 4 orders" in page


def test_exactly_one_candidate_is_chosen():
    for score, rotations in ((0.803, 4), (0.747, 1)):
        chosen = [each for each in build_view(content(score)).candidates["zero-shot"] if each.chosen]
        assert [(each.instruction, each.rotations) for each in chosen] == [(1, rotations)]


def test_nothing_is_said_where_one_order_was_asked():
    assert choice_sentences(build_view(make_content()).candidates) == []
    assert not re.search("labels in . orders", markdown(make_content()))


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ((0.7, 0.75), "by the encoder's embeddings: with 4 of them, 0.750 on dev against 0.700 by TF-IDF."),
        ((0.7, 0.7), "by TF-IDF: with 4 of them, 0.700 on dev against 0.700 by the encoder's embeddings."),
    ],
)
def test_it_says_which_way_to_find_examples_was_chosen_and_by_how_much(scores, sentence):
    ways = ("tfidf", "sentence-transformers")
    tried = [
        TriedPrompt(4, 0, {"accuracy": score}, 0, 1.0, retrieval=way) for way, score in zip(ways, scores, strict=True)
    ]
    best = ways[scores[1] > scores[0]]
    tried.append(TriedPrompt(8, 0, {"accuracy": 0.8}, 0, 1.0, retrieval=best))
    trace = replace(searched(tried), retrieval=best)
    made = replace(make_content(), fit_findings={"knn-few-shot": (trace,)})
    told = f"knn-few-shot finds similar examples {sentence}"
    assert choice_sentences(build_view(made).candidates) == [told]
    assert told in markdown(made)
