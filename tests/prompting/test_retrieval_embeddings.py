"""Retrieval by embeddings: the model's own hidden states against transformers, and a sentence-transformers model."""

import sys

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from llmtl.engines.transformers.embeddings import embed_texts
from llmtl.errors import MissingPackageError, ModelError
from llmtl.prompting.retrieval import EmbeddingRetriever, Retriever, build_index
from llmtl.strategies.knn_few_shot import KnnFewShot, KnnFewShotConfig
from llmtl.strategy import Retrieval
from llmtl.task import Example
from tests.support.fitted import again

TEXTS = ("where is my parcel", "I lost my card", "refund the shoes please", "HELLO there", "x")
EXAMPLES = tuple(Example(str(position), text, "any") for position, text in enumerate(TEXTS))
QUERIES = ("my card is lost", "where is the parcel now", "é")
BY_MODEL = KnnFewShotConfig(retrieval=Retrieval.MODEL, shots=(1, 2), built_in_instructions=False)


def indexed(examples, config, engine):
    return build_index(examples, config.retrieval, engine, sentence_model=config.sentence_model)


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
    index = indexed(EXAMPLES, BY_MODEL, tiny_engine)
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


def test_tfidf_is_the_default(tiny_engine):
    assert isinstance(indexed(EXAMPLES, KnnFewShotConfig(), tiny_engine), Retriever)


def test_an_engine_without_embeddings_is_an_error_with_the_cure():
    class Bare:
        name = "bare"

    with pytest.raises(ModelError, match="'bare' gives no embeddings; set the strategy's 'retrieval' to 'tfidf'"):
        indexed(EXAMPLES, BY_MODEL, Bare())


def test_a_missing_package_names_its_install_command(tiny_engine, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'llmtl\[embeddings\]'"):
        indexed(EXAMPLES, KnnFewShotConfig(retrieval=Retrieval.SENTENCES), tiny_engine)


def test_a_sentence_model_from_a_folder(tiny_llama, tiny_engine, tmp_path):
    sentences = pytest.importorskip("sentence_transformers")
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    body = modules.Transformer(str(tiny_llama), max_seq_length=64)
    model = sentences.SentenceTransformer(modules=[body, modules.Pooling(body.get_embedding_dimension())])
    model.save(str(tmp_path / "sentences"))
    config = KnnFewShotConfig(retrieval=Retrieval.SENTENCES, sentence_model=str(tmp_path / "sentences"))
    index = indexed(EXAMPLES, config, tiny_engine)
    similarity = cosine_similarity(model.encode([QUERIES[0]]), model.encode(list(TEXTS)))[0]
    assert index.nearest(QUERIES[0], 1)[0].id == str(int(similarity.argmax()))
    with pytest.raises(ModelError, match="check the strategy's 'sentence_model'"):
        indexed(EXAMPLES, config.model_copy(update={"sentence_model": str(tmp_path / "none")}), tiny_engine)
