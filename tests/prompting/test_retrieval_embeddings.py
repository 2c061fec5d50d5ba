"""Retrieval by embeddings: the model's own hidden states against transformers, and a sentence-transformers model."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.sentence import SentenceEncoder
from llmtl.engines.transformers.embeddings import embed_texts
from llmtl.errors import MissingPackageError, ModelError, RecipeError
from llmtl.prompting.retrieval import EmbeddingRetriever, build_index
from llmtl.strategies.knn_few_shot import KnnFewShot, KnnFewShotConfig
from llmtl.strategy import Retrieval, Retrieved
from llmtl.task import Example
from tests.support.fitted import again, search_of

TEXTS = ("where is my parcel", "I lost my card", "refund the shoes please", "HELLO there", "x")
EXAMPLES = tuple(Example(str(position), text, "any") for position, text in enumerate(TEXTS))
QUERIES = ("my card is lost", "where is the parcel now", "é")
BY_MODEL = KnnFewShotConfig(retrieval=Retrieval.MODEL, shots=(1, 2), built_in_instructions=False)


def indexed(examples, by, engine, sentence_model=""):
    return build_index(Retrieved(0, 0, tuple(examples), by, sentence_model), engine)


def reference(engine, text):
    """Return the mean of the last hidden states, by transformers, one text at a time."""
    import torch

    ids = engine.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        states = engine._model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
    return states[0].double().mean(dim=0).numpy()


def test_embeddings_are_the_mean_last_hidden_states_whatever_the_batch(tiny_engine, monkeypatch):
    expected = np.array([reference(tiny_engine, text) for text in TEXTS])
    assert tiny_engine.embed(TEXTS) == pytest.approx(expected, abs=1e-5)
    monkeypatch.setattr("llmtl.engines.transformers.embeddings.BATCH_TOKENS", 1)
    assert tiny_engine.embed(TEXTS) == pytest.approx(expected, abs=1e-5)


def test_an_empty_text_has_no_direction_and_a_long_one_is_cut(tiny_engine):
    tokenizer, model = tiny_engine.tokenizer, tiny_engine._model
    [empty, long, begun] = embed_texts(model, tokenizer, ["", "x y" * 200, "x y"], context_length=3)
    assert not empty.any()
    assert long == pytest.approx(begun, abs=1e-5)


@pytest.mark.parametrize("query", QUERIES)
def test_neighbours_are_those_of_scikit_learns_cosine(tiny_engine, query):
    index = indexed(EXAMPLES, Retrieval.MODEL, tiny_engine)
    similarity = cosine_similarity(tiny_engine.embed([query]), tiny_engine.embed(TEXTS))[0]
    ranked = np.argsort(-similarity, kind="stable")
    assert [each.id for each in index.nearest(query, 3)] == [str(at) for at in reversed(ranked[:3])]


def test_equal_similarities_rank_in_the_order_given():
    index = EmbeddingRetriever(EXAMPLES, lambda texts: np.ones((len(texts), 2)))
    assert [each.id for each in index.nearest("any", 2)] == ["1", "0"]


def test_the_retrieval_is_kept_in_the_state_and_restored(make_context):
    context = make_context()
    fitted = KnnFewShot(BY_MODEL).fit(context).predictor
    assert fitted.served().retrieved.by is Retrieval.MODEL
    restored = again(KnnFewShot(), context, fitted)  # whatever the recipe says by now
    assert restored.served() == fitted.served()
    assert restored.predict(["lost card"])[0].probabilities == pytest.approx(
        fitted.predict(["lost card"])[0].probabilities, abs=1e-5
    )


def test_tfidf_alone_is_the_default_without_an_encoder(make_context):
    fitted = KnnFewShot(KnnFewShotConfig(shots=(1, 2), built_in_instructions=False)).fit(make_context())
    assert fitted.predictor.served().retrieved.by is Retrieval.TFIDF
    assert {each.retrieval for each in search_of(fitted).tried} == {None}


def test_the_default_chooses_on_dev_between_tfidf_and_the_encoder(make_context, tiny_encoder):
    context = make_context(encoder=EncoderSource(str(tiny_encoder)))
    fitted = KnnFewShot(KnnFewShotConfig(shots=(2, 4), built_in_instructions=False)).fit(context)
    trace = search_of(fitted)
    first, second, *rest = trace.tried
    assert (first.retrieval, second.retrieval) == ("tfidf", "sentence-transformers")
    assert (first.shots, second.shots) == (2, 2)
    better = second if second.scores["accuracy"] > first.scores["accuracy"] else first
    assert [(each.shots, each.retrieval) for each in rest] == [(4, better.retrieval)]
    assert fitted.predictor.served().retrieved.by == trace.retrieval == better.retrieval


def test_an_encoder_that_is_not_there_leaves_tfidf_and_says_so(make_context, make_progress):
    progress = make_progress()
    context = make_context(encoder=EncoderSource("/nowhere"), progress=progress)
    fitted = KnnFewShot(KnnFewShotConfig(shots=(1,), built_in_instructions=False)).fit(context)
    assert fitted.predictor.served().retrieved.by is Retrieval.TFIDF
    assert any("TF-IDF alone: " in line and "/nowhere" in line for line in progress.lines)


def test_asked_for_embeddings_without_an_encoder_is_an_error_with_the_cure(make_context):
    with pytest.raises(RecipeError, match="needs an encoder; set encoder=minilm"):
        KnnFewShot(KnnFewShotConfig(retrieval=Retrieval.SENTENCES)).fit(make_context())


def test_embeddings_of_train_are_kept_and_not_computed_again(make_context, tiny_encoder, monkeypatch):
    config = KnnFewShotConfig(retrieval=Retrieval.SENTENCES, shots=(2,), built_in_instructions=False)
    context = make_context(encoder=EncoderSource(str(tiny_encoder)))
    fitted = KnnFewShot(config).fit(context).predictor
    restored = again(KnnFewShot(), context, fitted)
    asked = []
    encode = SentenceEncoder.encode
    monkeypatch.setattr(
        SentenceEncoder, "encode", lambda self, texts, **more: asked.extend(texts) or encode(self, texts, **more)
    )
    assert restored.predict(["lost card"])[0].probabilities == pytest.approx(
        fitted.predict(["lost card"])[0].probabilities, abs=1e-5
    )
    assert set(asked) == {"lost card"}


def test_an_engine_without_embeddings_is_an_error_with_the_cure():
    class Bare:
        name = "bare"

    with pytest.raises(ModelError, match="'bare' gives no embeddings; set the strategy's 'retrieval' to 'tfidf'"):
        indexed(EXAMPLES, Retrieval.MODEL, Bare())


def test_a_missing_package_names_its_install_command(tiny_engine, monkeypatch):
    monkeypatch.setattr("llmtl.packages.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install 'llmtl\[embeddings\]'"):
        indexed(EXAMPLES, Retrieval.SENTENCES, tiny_engine, "any")


def test_a_sentence_model_from_a_folder(tiny_encoder, tiny_engine, tmp_path):
    sentences = pytest.importorskip("sentence_transformers")
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    body = modules.Transformer(str(tiny_encoder), max_seq_length=64)
    model = sentences.SentenceTransformer(modules=[body, modules.Pooling(body.get_embedding_dimension())])
    model.save(str(tmp_path / "sentences"))
    index = indexed(EXAMPLES, Retrieval.SENTENCES, tiny_engine, str(tmp_path / "sentences"))
    similarity = cosine_similarity(model.encode([QUERIES[0]]), model.encode(list(TEXTS)))[0]
    assert index.nearest(QUERIES[0], 1)[0].id == str(int(similarity.argmax()))
    with pytest.raises(ModelError, match="does not exist; check the path"):
        indexed(EXAMPLES, Retrieval.SENTENCES, tiny_engine, str(tmp_path / "none"))
