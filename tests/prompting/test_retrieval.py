"""Retrieved neighbours against scikit-learn's cosine similarity."""

import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.metrics.pairwise import cosine_similarity

from llmtl.prompting.retrieval import Retriever
from llmtl.task import Example

TEXTS = (
    "where is my parcel",
    "the parcel has not arrived",
    "I lost my card",
    "my card was stolen yesterday",
    "refund the shoes please",
    "is the refund paid to my card",
    "HELLO there",
)
EXAMPLES = tuple(Example(str(position), text, "any") for position, text in enumerate(TEXTS))


def similarities(query):
    """Return the cosines of sublinear TF-IDF over words, pairs of words and pieces of words, from counts."""
    from scipy.sparse import hstack

    counters = (
        CountVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b"),
        CountVectorizer(analyzer="char_wb", ngram_range=(2, 4)),
    )
    index = hstack([counter.fit_transform(TEXTS) for counter in counters]).tocsr()
    row = hstack([counter.transform([query]) for counter in counters]).tocsr()
    weigh = TfidfTransformer(sublinear_tf=True).fit(index)
    return cosine_similarity(weigh.transform(row), weigh.transform(index))[0]


@pytest.mark.parametrize("query", ["my parcel is late", "card stolen", "refunds", "hello"])
def test_neighbours_are_those_of_cosine_similarity_most_similar_last(query):
    expected = similarities(query)
    found = Retriever(EXAMPLES).nearest(query, 4)
    values = [expected[int(example.id)] for example in found]
    assert values == sorted(values), "the most similar must be last"
    assert values == pytest.approx(sorted(expected)[-4:])


def test_the_same_text_is_last():
    assert Retriever(EXAMPLES).nearest("I lost my card", 3)[-1].text == "I lost my card"


def test_misspelt_words_are_still_found():
    assert Retriever(EXAMPLES).nearest("my percel", 1)[0].text in TEXTS[:2]


def test_nothing_in_common_ranks_in_the_order_given():
    assert [each.id for each in Retriever(EXAMPLES).nearest("9999", 3)] == ["2", "1", "0"]
    assert [each.id for each in Retriever(EXAMPLES).nearest("", 2)] == ["1", "0"]


def test_more_than_there_are_gives_all():
    assert {each.id for each in Retriever(EXAMPLES).nearest("card", 99)} == {each.id for each in EXAMPLES}
