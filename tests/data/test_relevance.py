"""What is relevant to a query, said in three ways; afterwards references list ids."""

import json

import pytest

from llmtl.answers import read_ranking, write_ranking
from llmtl.checks import check_cleaning
from llmtl.data import DataConfig, load_examples, searchable, split_examples, subsample, without_rare_labels
from llmtl.errors import DataError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.text_retrieval import RETRIEVAL

PLACES = ("Oslo", "Bern", "Graz", "Lima", "Kyoto", "Turin")


def write(folder, name, rows):
    (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(folder / name)


def made(folder, rows, **choices):
    config = DataConfig(path=write(folder, "data.jsonl", rows), near_duplicate_threshold=1.0, **choices)
    loaded = without_rare_labels(load_examples(config, kind=RETRIEVAL), config)
    return searchable(split_examples(loaded, config), config, loaded.cleaning, kind=RETRIEVAL)


def everyone(split):
    return {example.text: example for example in (*split.train, *split.dev, *split.test)}


def named(split, example):
    texts = {text.id: text.text for text in split.corpus}
    return {texts[id_] for id_ in read_ranking(example.reference)}


def test_pairs_of_query_and_relevant_text_make_the_corpus(tmp_path):
    rows = [{"text": f"a trip to {place}", "label": f"All about {place}."} for place in PLACES]
    rows += [
        {"text": "a trip to Oslo", "label": "Norway in winter"},
        {"text": "two", "label": ["Norway in winter", "x"]},
    ]
    split, cleaning = made(tmp_path, rows)
    assert {text.text for text in split.corpus} == {row["label"] for row in rows[:7]} | {"x"}
    examples = everyone(split)
    assert named(split, examples["a trip to Oslo"]) == {"All about Oslo.", "Norway in winter"}
    assert named(split, examples["two"]) == {"Norway in winter", "x"}
    assert not any(example.alternatives for example in examples.values())
    assert not cleaning.unanswerable
    assert subsample(split, train=2, kind=RETRIEVAL).corpus == split.corpus


def test_texts_that_differ_in_form_only_are_one(tmp_path):
    rows = [{"text": f"query {number}", "label": ("Help  page", "help page")[number % 2]} for number in range(10)]
    split, _ = made(tmp_path, rows)
    assert len(split.corpus) == 1


def test_the_texts_of_train_are_relevant_to_queries_of_their_class_but_not_to_themselves(tmp_path):
    rows = [{"text": f"{place} {word}", "label": word} for place in PLACES for word in ("card", "loan", "cash")]
    split, cleaning = made(tmp_path, [*rows, {"text": "a lonely one", "label": "rare"}], corpus="train")
    assert [text.id for text in split.corpus] >= [example.id for example in split.train]
    labels = {row["text"]: row["label"] for row in rows}
    of_train = {text.text for text in split.corpus}
    for text, example in everyone(split).items():
        same = {other for other in of_train if labels.get(other) == labels[text]}
        assert named(split, example) == same - {text}
    queries = {example.id for example in everyone(split).values()}
    assert set(cleaning.unanswerable) == {str(number) for number in range(1, 20)} - queries
    assert "19" in cleaning.unanswerable
    [finding] = [each for each in check_cleaning(cleaning, RETRIEVAL) if each.check == "unanswerable"]
    assert f"{len(cleaning.unanswerable)} of 19 rows are left out as queries" in finding.message


def test_a_file_gives_the_corpus_and_the_keys_that_references_name(tmp_path):
    corpus = write(tmp_path, "faq.jsonl", [{"id": f"k{n}", "text": f"Go to {p}"} for n, p in enumerate(PLACES)])
    rows = [{"text": f"trip {n}", "label": f"k{n % 6}"} for n in range(12)]
    split, _ = made(tmp_path, rows, corpus=corpus)
    assert [text.id for text in split.corpus] == [f"k{n}" for n in range(6)]
    assert everyone(split)["trip 7"].reference == write_ranking(["k1"])


def test_several_texts_of_a_file_may_have_one_key(tmp_path):
    corpus = write(tmp_path, "faq.jsonl", [{"topic": p[:1], "body": f"Go to {p}"} for p in ("Oslo", "Olten", "Bern")])
    rows = [{"text": f"trip {n}", "label": "OB"[n % 2]} for n in range(8)]
    split, _ = made(tmp_path, rows, corpus=corpus, corpus_text="body", corpus_key="topic")
    assert everyone(split)["trip 0"].reference == write_ranking(["1", "2"])


@pytest.mark.parametrize(("choice", "lacking"), [("corpus_key", "id"), ("corpus_text", "text")])
def test_a_corpus_with_other_columns_is_told_which_option_names_them(tmp_path, choice, lacking):
    held = {"corpus_key": "text", "corpus_text": "id"}[choice]
    corpus = write(tmp_path, "corpus.jsonl", [{held: "a", "key": "b"}])
    with pytest.raises(DataError, match=f"has no column '{lacking}'.*; name the right one as data.{choice}: .*'key'"):
        made(tmp_path, [{"text": f"trip {n}", "label": "b"} for n in range(8)], corpus=corpus)


def test_what_cannot_be_searched_is_refused_with_the_cure(tmp_path):
    corpus = write(tmp_path, "faq.jsonl", [{"id": "refund", "text": "Go"}, {"id": "cash", "text": "Pay"}])
    rows = [{"text": f"trip {n}", "label": "refunds"} for n in range(8)]
    with pytest.raises(DataError, match=r"names 'refunds', which column 'id' of the corpus .* \(did you mean 'refund'"):
        made(tmp_path, rows, corpus=corpus)
    with pytest.raises(DataError, match="has no column 'key'"):
        made(tmp_path, rows, corpus=corpus, corpus_key="key")
    hole = write(tmp_path, "hole.jsonl", [{"id": "refunds", "text": " "}])
    with pytest.raises(DataError, match=r"Column 'text' of the corpus .* is empty in line 1"):
        made(tmp_path, rows, corpus=hole)
    config = DataConfig(path=write(tmp_path, "data.jsonl", rows), corpus="train")
    loaded = load_examples(config, kind=RETRIEVAL)
    with pytest.raises(DataError, match=r"classification search no corpus; leave data.corpus out"):
        searchable(split_examples(loaded, config), config, loaded.cleaning, kind=CLASSIFICATION)
