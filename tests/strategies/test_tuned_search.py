"""Tuning a tiny encoder for search: it learns, keeps its best round, is saved whole, and says what a limit cut off."""

from dataclasses import replace

import pytest

from llmtl.answers import write_ranking
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.errors import DataError, ModelError
from llmtl.findings import Cut, GridTrace, LayerChanges, finding
from llmtl.kinds.text_retrieval import RETRIEVAL
from llmtl.strategies.embedding_search import EmbeddingSearch
from llmtl.strategies.tuned_search import TUNING_SHARE, TunedSearch, TunedSearchConfig, material_of
from llmtl.strategy import Budget
from llmtl.task import CorpusText, Example, Metric, Task

pytestmark = pytest.mark.slow
TASK = Task("faq", (), metric=Metric.NDCG_10, kind=RETRIEVAL)
TOPICS = {
    "card": "lost my card",
    "refund": "refund the order",
    "parcel": "where is a parcel",
    "login": "login password not",
}


@pytest.fixture
def context(make_plain_context, tiny_encoder):
    corpus = tuple(CorpusText(f"{topic}{n}", f"{text} {n}") for topic, text in TOPICS.items() for n in range(4))
    queries = [
        Example(
            f"{topic}-{n}", f"please {word} {n}", write_ranking(each.id for each in corpus if each.id.startswith(topic))
        )
        for topic, text in TOPICS.items()
        for n in range(6)
        for word in [text.split()[n % len(text.split())]]
    ]
    return make_plain_context(
        task=TASK,
        train=tuple(queries),
        dev=tuple(queries[::2]),
        corpus=corpus,
        encoder=EncoderSource(str(tiny_encoder)),
    )


CHOICES = TunedSearchConfig(rounds=3, learning_rate=2e-3, batch_size=8)


def test_a_tuned_encoder_ranks_better_and_is_kept_whole(context, tmp_path):
    fitted = TunedSearch(CHOICES).fit(context)
    trace = finding(fitted.findings, GridTrace)
    untouched = trace.points[0]
    assert untouched.choice == {"round": 0}
    plain = EmbeddingSearch().fit(context)
    answers = [each.answer for each in plain.predictor.predict([each.text for each in context.dev])]
    measure = RETRIEVAL.measure(Metric.NDCG_10, [each.reference for each in context.dev])
    assert untouched.scores["ndcg@10"] == pytest.approx(measure.score(answers))
    best = max(point.scores["ndcg@10"] for point in trace.points[1:])
    assert best > untouched.scores["ndcg@10"] + 0.05
    assert [point.choice["round"] for point in trace.points] == [0, 1, 2, 3]
    assert finding(fitted.findings, Cut) is None
    assert sorted(path.name for path in context.folder.iterdir()) == ["encoder"]
    queries = [each.text for each in context.dev]
    expected = [each.answer for each in fitted.predictor.predict(queries)]
    assert measure.score(expected) == pytest.approx(best)
    (tmp_path / "kept").mkdir()
    fitted.predictor.save(tmp_path / "kept")
    # what was tuned needs no encoder of the context
    loaded = TunedSearch().load(replace(context, encoder=None), tmp_path / "kept")
    assert [each.answer for each in loaded.predict(queries)] == expected
    assert not loaded.served().needs_encoder
    assert {path.suffix for path in (tmp_path / "kept").rglob("*") if path.is_file()} <= {
        ".json",
        ".safetensors",
        ".txt",
    }


def test_what_tuning_changed_is_told_layer_by_layer(context):
    choices = CHOICES.model_copy(update={"rounds": 1})
    changes = finding(TunedSearch(choices).fit(replace(context, dev=context.train[:16])).findings, LayerChanges)
    assert changes is not None
    assert all(each.cka < 1.0 and each.logme_before is None for each in changes.layers)


def test_a_time_limit_ends_it_and_is_reported(context):
    fitted = TunedSearch(CHOICES).fit(replace(context, budget=Budget(train_seconds=1e-6)))
    cut = finding(fitted.findings, Cut)
    assert 0 < cut.done < 1
    assert (cut.planned, str(cut.unit)) == (3, "epochs")


def test_a_query_that_stands_in_the_corpus_is_known(context):
    material = material_of(replace(context, train=(Example("x", "lost my card 2", write_ranking(["card0", "card1"])),)))
    assert material.itself == (2,)
    assert material.relevant == (frozenset({0, 1}),)


def test_what_is_missing_is_named(context):
    with pytest.raises(ModelError, match="needs an encoder; set encoder=minilm"):
        TunedSearch(CHOICES).fit(replace(context, encoder=None))
    with pytest.raises(DataError, match="no training examples"):
        TunedSearch(CHOICES).fit(replace(context, train=()))
    assert not TunedSearch.facts.has_curve


def test_its_time_is_forecast_from_a_few_steps(context, monkeypatch):
    """At a second per step three rounds take as many seconds as they make steps, plus what embeds."""
    assert TunedSearch(CHOICES).forecast(context) > 0
    monkeypatch.setattr("llmtl.encoders.step_time.seconds_per_step", lambda *_: 1.0)
    steps = [
        point.choice["steps"] for point in finding(TunedSearch(CHOICES).fit(context).findings, GridTrace).points[1:]
    ]
    assert steps == [24 * 4 / 8] * 3
    assert sum(steps) / TUNING_SHARE < TunedSearch(CHOICES).forecast(context) < sum(steps) / TUNING_SHARE + 20
