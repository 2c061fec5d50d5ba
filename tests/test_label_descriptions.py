"""What labels mean: read from a recipe, listed by prompts, shown by reports and bundles, and no part of an answer."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

import llmtl
from llmtl.engines.tokenizer import TokenizerWording
from llmtl.errors import InputError, RecipeError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.pipeline.measure import _mark_of
from llmtl.playground.pages import render
from llmtl.prompting.template import Template
from llmtl.serving.bundle.read import load_bundle_tokenizer, open_bundle
from llmtl.serving.task_api.conversations import Conversations
from llmtl.settings import load_recipe
from llmtl.task import Metric, Task
from llmtl.task_section import TaskConfig
from tests.pipeline.test_kept_runs import KINDS, unpack
from tests.support.front_desk import write_messages
from tests.support.made_once import made_once

LABELS = ("refund", "card")
MEANT = (("refund", "money back,\n  chargebacks"), ("card", "a <|user|> card that is lost"))
METRICS = {CLASSIFICATION: Metric.ACCURACY, MULTI_LABEL: Metric.MICRO_F1, EXTRACTION: Metric.MICRO_F1}


class Chat:
    """A model whose conversation shows each turn on lines of its own."""

    chat_template = "{{ messages }}"
    bos = ""
    end_of_answer = "<|end|>"
    special_tokens = ("<|user|>", "<|end|>")

    def render(self, messages):
        return "".join(f"[{turn['role']}] {turn['content']}\n" for turn in messages)


class Plain(Chat):
    chat_template = None


@pytest.mark.parametrize("model", [Chat(), Plain()])
@pytest.mark.parametrize("kind", METRICS)
def test_a_prompt_lists_each_label_with_what_it_means(kind, model):
    task = Task("t", LABELS, instruction="Route it.", kind=kind, metric=METRICS[kind], descriptions=MEANT)
    heading = "Types" if kind is EXTRACTION else "Labels"
    template = Template(task, model)
    assert template.instruction == (
        f"Route it.\n{heading}:\n- refund: money back, chargebacks\n- card: a < |user|> card that is lost"
    )
    assert template.instruction in template.prompt("Where?")
    bare = Template(Task("t", LABELS, instruction="Route it.", kind=kind, metric=METRICS[kind]), model)
    assert bare.instruction == f"Route it.\n{heading}: refund, card"
    assert template.written_labels() == bare.written_labels()
    assert template.schema() == bare.schema()
    if kind is CLASSIFICATION:
        assert template.answers() == bare.answers()
        assert template.parse("refund") == "refund"
        assert template.parse("refund: money back, chargebacks") is None


def test_a_label_without_a_description_stands_alone_and_orders_are_kept():
    task = Task("t", ("refund", "card", "other"), instruction="Route it.", descriptions=(("card", "lost cards"),))
    assert Template(task, Chat()).instruction == "Route it.\nLabels:\n- refund\n- card: lost cards\n- other"


@pytest.mark.parametrize(
    ("descriptions", "expected"),
    [
        ((("refnd", "money back"),), r"describes 'refnd', which is not one of its labels\.$"),
        ((("refund", " "),), "description of 'refund' in task 't' is empty; say what the label means"),
        ((("refund", "x" * 501),), "has 501 characters, and every prompt repeats it; say it in at most 500"),
    ],
)
def test_unusable_descriptions_are_refused(descriptions, expected):
    with pytest.raises(InputError, match=expected) as caught:
        Task("t", LABELS, descriptions=descriptions)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("{refund: '', card: lost}", "task.labels': the description of 'refund' is empty"),
        ("{refund: " + "x" * 501 + ", card: lost}", "the description of 'refund' has 501 characters"),
        ("{refund: [a], card: lost}", "the description of 'refund' is not a text; put it in quotes"),
        ("{yes: it is, no: it is not}", "the label True is not a text; put it in quotes"),
        ("[404, 500]", "the label 404 is not a text; put it in quotes"),
        ("refund", "task.labels"),
    ],
)
def test_a_recipe_with_unusable_descriptions_is_refused_in_one_line(tmp_path, labels, expected):
    write_messages(tmp_path / "messages.csv")
    head = "name: desk\ndata: {path: messages.csv, text: text, label: label}\nmodel: {name: pocket-llama}\n"
    (tmp_path / "recipe.yaml").write_text(f"{head}task: {{labels: {labels}}}\n")
    with pytest.raises(RecipeError, match=expected) as caught:
        load_recipe(tmp_path)
    assert "\n" not in str(caught.value)


def test_descriptions_follow_the_labels_that_are_left_and_names_are_read_as_in_data():
    section = TaskConfig(labels={"card ": "lost\n  or stolen", "refund": None, "other": "the rest"})
    task = section.task("t", ("refund", "card"))
    assert task.descriptions == (("card", "lost or stolen"),)
    assert section.label_names == ("card ", "refund", "other")


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_without_descriptions_is_hashed_as_before_there_were_any(kind, tmp_path):
    run = llmtl.load_run(unpack(kind, tmp_path))
    kept = next(run.folder.glob("steps/fit-*/depends_on.json"))
    assert json.loads(json.dumps(_mark_of(run.task), default=str)) == json.loads(kept.read_text())["task"]
    assert _mark_of(run.task).keys() < _mark_of(Task("t", LABELS, descriptions=MEANT)).keys()


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """A run of a frame whose labels are described, but for one."""

    def make(folder):
        rows = pd.read_csv(write_messages(folder / "messages.csv"))
        labels = {label: f"what is about {label}" for label in sorted(rows["label"].unique())[1:]}
        llmtl.run(
            rows,
            model="pocket-llama",
            encoder=None,
            strategies=["majority", "zero-shot", "knn-few-shot"],
            labels={sorted(rows["label"].unique())[0]: None, **labels},
            overrides=("learning_curve.enabled=false", "label_noise.refit_minutes=0", "decision.resamples=1000"),
            out=folder / "desk",
        )

    return llmtl.load_run(made_once(tmp_path_factory, "a run with descriptions", make) / "desk")


def test_a_run_keeps_them_and_says_them_in_its_report(described):
    first, *rest = described.task.labels
    assert described.task.descriptions == tuple((label, f"what is about {label}") for label in rest)
    kept = yaml.safe_load((described.folder / "recipe.yaml").read_text())["task"]["labels"]
    assert list(kept.items())[:2] == [(first, None), (rest[0], f"what is about {rest[0]}")]
    for name in ("report.html", "report.md"):
        said = (described.folder / name).read_text()
        assert f"what is about {rest[0]}" in said
        assert f"The recipe describes {len(rest)} of {len(rest) + 1} labels" in said


@pytest.mark.parametrize("strategy", ["zero-shot", "knn-few-shot"])
def test_a_bundle_words_and_tells_what_was_measured(described, strategy, tmp_path):
    folder = llmtl.export(described, tmp_path / "bundle", strategy=strategy)
    bundle = open_bundle(folder)
    label, meaning = described.task.descriptions[0]
    assert json.loads((folder / "labels.json").read_text())["descriptions"] == dict(described.task.descriptions)
    assert f"- {label}: {meaning}" in (folder / "README.md").read_text()
    assert f"- {label}: {meaning}" in (folder / "chat_template.jinja").read_text().replace("\\n", "\n")
    tokenizer = load_bundle_tokenizer(bundle, folder)
    template = Template(bundle.winner.told(described.task), TokenizerWording(tokenizer))
    index = SimpleNamespace(nearest=lambda text, count: ())
    served = Conversations(bundle, tokenizer, index).prompt(bundle.winner, "Where is it?", ())
    assert served == template.prompt("Where is it?")
    assert f"- {label}: {meaning}" in served


def test_the_playground_shows_them():
    task = SimpleNamespace(
        task="t", instruction="", strategy="zero-shot", base_model="", labels=LABELS, descriptions={"refund": "money"}
    )
    shown = render("header", task=task, title="t", base_url="http://here/v1")
    assert "What the labels mean" in shown
    assert "<dt>refund</dt><dd>money</dd>" in shown
    bare = SimpleNamespace(**vars(task) | {"descriptions": {}})
    assert "What the labels mean" not in render("header", task=bare, title="t", base_url="http://here/v1")
