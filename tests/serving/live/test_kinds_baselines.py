"""Winners of every kind of task that are no language model: exported, read back, served in process, found equal."""

import asyncio
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import yaml

from llmtl.answers import read_labels, read_spans
from llmtl.errors import BundleError
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.pipeline.export import export
from llmtl.serving.bundle.local import load_local
from llmtl.serving.bundle.read import open_bundle, read_recorded
from llmtl.serving.proof.reading import reading_of
from llmtl.serving.task_api.classifier_app import create_app
from tests.support.kind_checks import assert_abstains_as_measured, promised
from tests.support.kind_runs import BASELINES, NAMES, make_kind_run

EACH = [(kind, strategy) for kind, strategies in BASELINES.items() for strategy in strategies]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return the bundles of all baselines, by kind and strategy."""
    made = {}
    for kind, strategies in BASELINES.items():
        run = make_kind_run(tmp_path_factory.mktemp(kind), kind, strategies=strategies)
        for strategy in strategies:
            made[kind, strategy] = export(run, tmp_path_factory.mktemp("bundle") / "bundle", strategy=strategy)
        if "crf" in strategies:
            made[kind, "crf", "promised"] = export(promised(run), tmp_path_factory.mktemp("sure") / "b", strategy="crf")
    return made


def asked(folder, *requests):
    """Return the answers of the served bundle to requests, each a path and its body (None for a GET)."""

    async def ask():
        transport = httpx.ASGITransport(create_app(folder, environment={}))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return [
                await (client.get(path) if body is None else client.post(path, json=body)) for path, body in requests
            ]

    return asyncio.run(ask())


def chat(kind, text, **fields):
    return "/v1/chat/completions", {
        "model": NAMES[kind],
        "messages": [{"role": "user", "content": text}],
        **fields,
    }


@pytest.mark.parametrize(("kind", "strategy"), EACH)
def test_what_was_measured_comes_back(folders, kind, strategy):
    folder = folders[kind, strategy]
    bundle, rows = open_bundle(folder), read_recorded(folder)
    assert {row.prediction is not None for row in rows} == {True}
    predictor = load_local(folder / "classifier", bundle.task, strategy)
    assert [each.answer for each in predictor.predict([row.text for row in rows])] == [row.prediction for row in rows]


@pytest.mark.parametrize(("kind", "strategy"), EACH)
def test_both_routes_say_what_was_measured(folders, kind, strategy):
    folder = folders[kind, strategy]
    bundle, recorded = open_bundle(folder), read_recorded(folder)
    reading = reading_of(bundle, folder)
    texts = [row.text for row in recorded]
    predicted, *chats = asked(folder, ("/v1/predict", {"inputs": texts}), *(chat(kind, text) for text in texts))
    assert [reading.row(row) for row in predicted.json()["data"]] == [row.prediction for row in recorded]
    for row, answer in zip(recorded, chats, strict=True):
        [choice] = answer.json()["choices"]
        assert reading.chat(choice["message"]["content"], row) == row.prediction


@pytest.mark.parametrize(
    ("kind", "winner", "baseline"),
    [
        ("extraction", "crf", "dictionary"),
        ("extraction", "dictionary", "crf"),
        ("multi-label", "tfidf", "majority"),
        ("generation", "nearest", "majority"),
    ],
)
def test_baselines_beside_the_winner_answer_as_measured_too(folders, kind, winner, baseline):
    folder = folders[kind, winner]
    recorded = read_recorded(folders[kind, baseline])
    bundle, model = open_bundle(folder), f"{NAMES[kind]}/{baseline}"
    reading = reading_of(bundle, folder)
    text = recorded[0].text
    rows, spoken, models, metrics = asked(
        folder,
        ("/v1/predict", {"inputs": [row.text for row in recorded], "model": model}),
        chat(kind, text, model=model),
        ("/v1/models", None),
        ("/metrics", None),
    )
    assert [reading.row(row) for row in rows.json()["data"]] == [row.prediction for row in recorded]
    [choice] = spoken.json()["choices"]
    assert reading.chat(choice["message"]["content"], recorded[0]) == recorded[0].prediction
    assert {each["id"] for each in models.json()["data"]} == {each.model for each in bundle.strategies}
    assert f'llmtl_answers_total{{model="{model}",outcome="answered"}} {len(recorded) + 1}.0' in metrics.text


def test_the_forms_of_the_answers(folders):
    text = "A table for 12 people, Friday at noon, please"
    rows, spoken, task = asked(
        folders["extraction", "crf"],
        ("/v1/predict", {"inputs": [text]}),
        chat("extraction", text, logprobs=True, top_logprobs=2),
        ("/v1/task", None),
    )
    [row] = rows.json()["data"]
    assert row["dropped"] == 0
    assert {(span["type"], span["text"]) for span in row["spans"]} == {
        ("people", "12 people"),
        ("date", "Friday"),
        ("time", "noon"),
    }
    assert all(text[span["start"] : span["end"]] == span["text"] for span in row["spans"])
    [choice] = spoken.json()["choices"]
    said = [{"type": span["type"], "text": span["text"]} for span in row["spans"]]
    assert choice["message"]["content"] == json.dumps(said, ensure_ascii=False)
    assert choice["logprobs"] is None
    told = task.json()
    assert (told["kind"], told["output"], told["labels"]) == ("extraction", "json", ["date", "people", "time"])
    [labels] = asked(folders["multi-label", "tfidf"], ("/v1/predict", {"inputs": ["it was broken"]}))
    assert set(labels.json()["data"][0]) == {"index", "labels"}
    [written] = asked(folders["generation", "nearest"], ("/v1/predict", {"inputs": ["day: Friday"]}))
    assert set(written.json()["data"][0]) == {"index", "text"}


def test_a_server_leaves_to_a_person_what_the_tags_are_not_sure_of(folders):
    folder = folders["extraction", "crf", "promised"]
    assert_abstains_as_measured(folder, lambda path, body: asked(folder, (path, body))[0])


def test_a_stream_says_the_same(folders):
    text = "A table for 12 people, Friday at noon, please"
    whole, stream = asked(folders["extraction", "crf"], chat("extraction", text), chat("extraction", text, stream=True))
    chunks = [json.loads(line[6:]) for line in stream.text.split("\n") if line.startswith("data: {")]
    said = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert said == whole.json()["choices"][0]["message"]["content"]


def test_many_clients_of_a_field_do_not_mix_their_texts(folders):
    folder = folders["extraction", "crf"]
    rows = read_recorded(folder) * 30
    predictor = load_local(folder / "classifier", open_bundle(folder).task, "crf")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: predictor.predict([row.text])[0].answer, rows))
    assert found == [row.prediction for row in rows]


@pytest.mark.parametrize(("kind", "strategy"), EACH)
def test_nothing_in_a_bundle_can_run_code(folders, kind, strategy):
    suffixes = {path.suffix for path in folders[kind, strategy].rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".jsonl", ".safetensors", ".md", "", ".crfsuite"}
    measured = {each.name for each in open_bundle(folders[kind, strategy]).strategies}
    assert (".crfsuite" in suffixes) == ("crf" in measured)


@pytest.mark.parametrize(
    ("kind", "strategy", "file"),
    [("extraction", "crf", "model.crfsuite"), ("generation", "nearest", "classifier.safetensors")],
)
def test_damage_is_one_line(folders, tmp_path, kind, strategy, file):
    folder = Path(shutil.copytree(folders[kind, strategy], tmp_path / "spoiled"))
    (folder / "classifier" / file).unlink()
    with pytest.raises(BundleError, match="missing or damaged; export the bundle again"):
        load_local(folder / "classifier", open_bundle(folder, verify=False).task, strategy)
    with pytest.raises(BundleError, match=f"lacks 'classifier/{file}'"):
        open_bundle(folder)


@pytest.mark.parametrize(
    ("kind", "strategy", "words", "hub"),
    [
        ("extraction", "crf", ("Finds spans of 3 types", "Types: date"), ("token-classification", "sklearn-crfsuite")),
        ("multi-label", "tfidf", ("Gives a text any of 3", "Labels: broken"), ("text-classification", "sklearn")),
        ("extraction", "dictionary", ("Finds spans of 3 types",), ("token-classification", "llmtl")),
        ("generation", "majority", ("Writes a text in answer",), ("text-generation", "llmtl")),
        ("generation", "nearest", ("Writes a text in answer", "their references"), ("text-generation", "sklearn")),
    ],
)
def test_the_card_speaks_of_the_kind(folders, kind, strategy, words, hub):
    _, front, body = (folders[kind, strategy] / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    front = yaml.safe_load(front)
    assert (front["pipeline_tag"], front["library_name"]) == hub
    for each in words:
        assert each in body
    assert "one of its labels" not in body


def test_recorded_answers_are_canonical(folders):
    for (kind, *_), folder in folders.items():
        for row in read_recorded(folder):
            if kind == EXTRACTION:
                assert all(row.text[span.start : span.end] == span.text for span in read_spans(row.prediction))
            if kind == MULTI_LABEL:
                assert set(read_labels(row.prediction)) <= {"broken", "late", "rude"}
