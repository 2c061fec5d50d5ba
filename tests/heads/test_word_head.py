"""Spans by a linear head on states of words, beside plain transformers and scikit-learn, on a tiny checkpoint."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from transformers import AutoModelForCausalLM, AutoTokenizer

import llmtl.heads.word_head as machinery
from llmtl.answers import read_spans
from llmtl.classical.tagging import bio_tags, decode
from llmtl.classical.words import to_spans, to_tags, words_of
from llmtl.engines.protocol import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import DataError
from llmtl.findings import GridTrace, finding
from llmtl.heads.prompt_states import prompt_head
from llmtl.heads.word_states import READINGS, WordReader
from llmtl.prompting.template import Template
from llmtl.strategies.linear_probe import LinearProbe, LinearProbeConfig
from llmtl.strategy import Budget, FitContext
from tests.support.extraction_examples import DEV, TASK, TRAIN, example, examples

NEW = ("a table at [time:9:20pm] for [people:14 people]", "this is [name:Jo Wills]", "thank you", "")


@pytest.fixture(scope="module")
def engine(tiny_llama):
    return TransformersEngine.load(ModelSource(str(tiny_llama)), device="cpu")


@pytest.fixture
def make(engine, tmp_path):
    def context(train=examples(TRAIN), dev=examples(DEV), **changes):  # noqa: B008
        return FitContext(
            task=TASK,
            train=train,
            dev=dev,
            model=ModelSource("tiny"),
            load_engine=lambda adapter: engine,
            folder=tmp_path,
            **changes,
        )

    return context


@pytest.fixture(scope="module")
def plain(tiny_llama, engine):
    """Return a function from a text to the states of its words, (words, readings, layers, width)."""
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    template = Template(TASK, engine)
    head = prompt_head(template)

    def states(text):
        shown = template.shown(text)
        assert template.prompt(text).startswith(head + shown)
        read = tokenizer(f"{head}{shown}\n{shown}", add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            layers = torch.cat(model(read["input_ids"], output_hidden_states=True).hidden_states)
        starts = [len(head), len(head) + len(shown) + 1]
        return np.array(
            [
                [layers[:, read.char_to_token(0, start + word.end - 1)].numpy() for start in starts]
                for word in words_of(text)
            ]
        )

    return states


def test_the_states_of_words_are_those_of_plain_transformers_in_both_readings(make, engine, plain):
    texts = [each.text for each in examples(DEV)]
    reader = WordReader(make(), tuple(range(engine.layers)), READINGS)
    found, tokens = reader.read(["", *texts])
    assert found[0].shape[0] == 0
    for mine, text in zip(found[1:], texts, strict=True):
        assert mine.dtype == np.float16
        np.testing.assert_allclose(mine, plain(text), atol=2e-3, rtol=2e-3)
    alone, fewer = WordReader(make(), (2,), ("once",)).read(texts[:1])
    np.testing.assert_allclose(alone[0][:, 0, 0], found[1][:, 0, 2], atol=2e-3, rtol=2e-3)
    assert fewer[0] < tokens[1]


def test_words_keep_their_states_where_the_prompt_breaks_a_control_text(make, engine):
    marker = next(each for each in engine.special_tokens if len(each) > 1)
    odd = f"at  {marker} 7pm"
    shown = Template(TASK, engine).shown(odd)
    assert shown != odd
    found, _ = WordReader(make(), (1,), ("once",)).read([odd])
    engine_states = engine.states_at(
        [f"{prompt_head(Template(TASK, engine))}{shown}"],
        [[len(prompt_head(Template(TASK, engine))) + len(shown) - 1]],
        layers=(1,),
    )
    np.testing.assert_allclose(found[0][-1, 0], engine_states[0][0], atol=2e-3)
    assert len(found[0]) == len(words_of(odd))


def test_it_finds_the_spans_of_scikit_learns_tags_decoded(make, plain):
    context = make()
    fitted = LinearProbe(LinearProbeConfig(layers=2, c=(0.1,))).fit(context)
    choice = finding(fitted.findings, GridTrace).choice
    at = READINGS.index(choice["reading"]), choice["layer"]

    def rows(text):
        return plain(text)[:, at[0], at[1]] if words_of(text) else np.zeros((0, 1))

    states = np.concatenate([rows(each.text) for each in context.train])
    truth = [tag for each in context.train for tag in to_tags(words_of(each.text), read_spans(each.reference))]
    scaler = StandardScaler().fit(states)
    model = LogisticRegression(C=0.1, max_iter=1000).fit(scaler.transform(states), truth)
    tags = bio_tags(TASK.labels)
    texts = [example(each).text for each in NEW]
    scores = []
    for text in texts:
        told = np.full((len(words_of(text)), len(tags)), -np.inf)
        if len(told):
            told[:, [tags.index(tag) for tag in model.classes_]] = model.predict_log_proba(scaler.transform(rows(text)))
        scores.append(told)
    predictions = fitted.predictor.predict(texts)
    for text, made, (path, logprob) in zip(texts, predictions, decode(scores, tags), strict=True):
        assert list(read_spans(made.answer)) == to_spans(text, words_of(text), path)
        assert made.logprob == pytest.approx(logprob, abs=0.02)
    assert predictions[0].answer != "[]"
    assert predictions[3].answer == "[]"


def test_of_much_train_a_sample_chooses_the_layer_and_all_of_it_fits_the_head(make, monkeypatch):
    monkeypatch.setattr(machinery, "SAMPLE_WORDS", 60)
    context = make()
    trace = finding(LinearProbe(LinearProbeConfig(layers=2)).fit(context).findings, GridTrace)
    sampled, last = trace.points[:4], trace.points[4:]
    assert {each.choice["c"] for each in sampled} == {0.1}
    assert {(each.choice["layer"], each.choice["reading"]) for each in sampled} == {
        (layer, reading) for layer in {each.choice["layer"] for each in sampled} for reading in READINGS
    }
    assert all(each.choice["train_examples"] < len(context.train) for each in sampled)
    assert [each.choice["c"] for each in last] == [0.01, 0.1, 1.0]
    assert {each.choice["train_examples"] for each in last} == {len(context.train)}
    best = max(sampled, key=lambda each: each.scores["micro_f1"])
    assert {(each.choice["layer"], each.choice["reading"]) for each in last} == {
        (best.choice["layer"], best.choice["reading"])
    }


def test_memory_bounds_the_layers_that_are_compared(make, monkeypatch):
    monkeypatch.setattr(machinery, "HELD_BYTES", 100_000)
    trace = finding(LinearProbe(LinearProbeConfig(c=(0.1,))).fit(make()).findings, GridTrace)
    assert len({each.choice["layer"] for each in trace.points}) == 1


def test_a_text_that_fits_once_only_is_not_read_twice_and_a_longer_one_is_a_failure(make, engine):
    room = engine.context_length
    long = example(" ".join(["hello"] * (room // 8)))
    assert engine.count_tokens(long.text) < room < 2 * engine.count_tokens(long.text) + 100
    fitted = LinearProbe(LinearProbeConfig(layers=1, c=(0.1,))).fit(make(dev=(*examples(DEV), long)))
    assert {each.choice["reading"] for each in finding(fitted.findings, GridTrace).points} == {"once"}
    first, failed, last = fitted.predictor.predict(["this is Ada", "hello " * room, "at 4pm"])
    assert "tokens" in failed.failure
    assert None not in (first.answer, last.answer)


def test_without_time_it_still_fits_one_point(make):
    fitted = LinearProbe().fit(make(budget=Budget(train_seconds=1e-6)))
    assert len(finding(fitted.findings, GridTrace).points) == 1


def test_train_without_spans_is_an_error_with_the_cure(make):
    with pytest.raises(DataError, match=r"No training example has a span; label some, or leave 'linear-probe' out"):
        LinearProbe().fit(make(train=examples(("no spans", "at all"))))


def test_its_time_is_forecast_from_a_few_texts(make, monkeypatch):
    """Where reading all of train and fitting on it are timed at a second each, texts and heads are counted."""
    context, choices = make(), LinearProbeConfig(layers=2, c=(0.1, 1.0))
    assert 0 < LinearProbe(choices).forecast(context) < 600
    clock = iter(range(100))
    monkeypatch.setattr(machinery, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(machinery, "PROBED", len(context.train))
    reading = (len(context.train) + len(context.dev)) / len(context.train)
    heads = 2 * len(READINGS)  # layers and readings; the second was for both strengths
    assert LinearProbe(choices).forecast(context) == pytest.approx(reading + heads)
    none = examples(("no spans", "at all"))
    assert LinearProbe(choices).forecast(make(train=none)) is None
