"""Small finished runs of the other kinds of task with an embedded model, on data that the tests make themselves."""

import json
from itertools import product

import pytest

import llmtl
from llmtl.pocket import resolve
from tests.support.front_desk import run_quickly
from tests.support.made_once import made_once

NAMES = {"extraction": "table-booking", "multi-label": "complaints", "generation": "replies"}
PROMPTED = ("zero-shot", "few-shot", "many-shot", "knn-few-shot")
BASELINES = {
    "extraction": ("majority", "dictionary", "crf"),
    "multi-label": ("majority", "tfidf"),
    "generation": ("majority", "nearest"),
}
_MODELS = {"extraction": "pocket-llama", "multi-label": "pocket-mistral", "generation": "pocket-llama"}
_EPOCHS = {"extraction": 4, "multi-label": 12, "generation": 4}  # 12, so that a few test examples get an answer
TUNED = {"extraction": ("qlora",), "multi-label": ("qlora",), "generation": ("qlora", "dpo")}
_DPO = "{max_epochs: 4, max_pairs: 16, scored_dev: 6, preference_epochs: 1, preference_rate: 1.0e-3}"
_RETRIEVAL = {"extraction": "sentence-transformers", "multi-label": "model", "generation": "tfidf"}
_DAYS, _HOURS = ("Monday", "Friday", "Sunday", "tomorrow", "next week"), ("6 pm", "noon", "18:30", "half past seven")
_PEOPLE = ("two of us", "12 people", "Zo\u00eb and me")
_TROUBLES = {"late": "it came far too late", "broken": "it was broken", "rude": "your driver was rude"}


def _span(text, kind, part):
    start = text.index(part)
    return {"type": kind, "text": part, "start": start, "end": start + len(part)}


def _bookings():
    for day, hour, people in product(_DAYS, _HOURS, _PEOPLE):
        text = f"A table for {people}, {day} at {hour}, please"
        yield text, [_span(text, "people", people), _span(text, "date", day), _span(text, "time", hour)]
    for number in range(4):
        yield f'Do you have dish number {number} without "nuts"?', []


def _complaints():
    for place, chosen in product(
        ("London", "Paris", "Rome", "Oslo", "Bern", "Graz", "Lima", "Kyiv"), product((0, 1), repeat=3)
    ):
        named = [label for label, wanted in zip(_TROUBLES, chosen, strict=True) if wanted]
        said = " and ".join(_TROUBLES[label] for label in named) or "all was well"
        yield f"About my parcel to {place}: {said}.", named


def _replies():
    for day, hour, people in product(_DAYS, _HOURS, _PEOPLE):
        yield f"day: {day}; time: {hour}; guests: {people}", f"We look forward to {people} {day} at {hour}."


_ROWS = {"extraction": _bookings, "multi-label": _complaints, "generation": _replies}


def make_kind_run(folder, kind, *, strategies, model="pocket-llama", more=""):
    """Return a finished run of a kind of task; `more` is further YAML of the section of strategies."""
    rows = [{"text": text, "label": reference} for text, reference in _ROWS[kind]()]
    (folder / "data.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    listed = ", ".join(strategies)
    (folder / "recipe.yaml").write_text(
        f"name: {NAMES[kind]}\ndata: {{path: data.jsonl, max_dev: 6, max_test: 14, near_duplicate_threshold: 1.0}}\n"
        f"model: {{name: {model}}}\nencoder: null\ntask: {{kind: {kind}}}\n"
        f"strategies:\n  run: [{listed}]\n  few_shot: {{shots: [4], seeds: 1, built_in_instructions: false}}\n"
        f"  zero_shot: {{built_in_instructions: false}}\n{more}"
        "decision: {training_seeds: 1, resamples: 1000}\nlearning_curve: {enabled: false}\n"
        "label_noise: {refit_minutes: 0}\n"
    )
    return run_quickly(folder / "recipe.yaml", folder / "run")


@pytest.fixture(scope="session")
def kind_run(tmp_path_factory):
    """Return a function to the run of a kind: `BASELINES`, `PROMPTED` and `TUNED`, measured once a session."""
    runs = {}

    def run(kind):
        if kind not in runs:
            folder = made_once(tmp_path_factory, ("kind", kind), lambda folder: _whole_run(folder, kind))
            runs[kind] = llmtl.load_run(folder / "run")
        return runs[kind]

    return run


def _whole_run(folder, kind):
    retrieval = _RETRIEVAL[kind]
    if retrieval == "sentence-transformers":
        retrieval += f", sentence_model: {write_sentence_model(folder / 'encoder')}"
    more = (
        "  many_shot: {seeds: 1, built_in_instructions: false}\n"
        f"  knn_few_shot: {{shots: [4], built_in_instructions: false, retrieval: {retrieval}}}\n"
        f"  qlora: {{max_epochs: {_EPOCHS[kind]}}}\n" + (f"  dpo: {_DPO}\n" if "dpo" in TUNED[kind] else "")
    )
    strategies = (*BASELINES[kind], *PROMPTED, *TUNED[kind])
    make_kind_run(folder, kind, model=_MODELS[kind], strategies=strategies, more=more)


def write_sentence_model(folder):
    """Return `folder`, written with a `sentence-transformers` model: an embedded model and the mean of its states."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    body = Transformer(str(resolve("pocket-llama")), max_seq_length=128)
    SentenceTransformer(modules=[body, Pooling(body.get_embedding_dimension())]).save(str(folder))
    return folder
