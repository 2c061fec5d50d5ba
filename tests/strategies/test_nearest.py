"""The nearest neighbour's reference against scikit-learn's own vectorisers and cosine."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from llmtl.errors import DataError
from llmtl.kinds.generation import GENERATION
from llmtl.strategies.nearest import Nearest
from llmtl.strategy import Role
from llmtl.task import Example, Metric, Task
from tests.support.fitted import again

TASK = Task("describe", (), metric=Metric.CHRF, kind=GENERATION)
FOODS, AREAS = ("Thai", "Chinese", "French", "Indian", "Italian"), ("riverside", "city centre", "harbour")
TRAIN = tuple(
    Example(
        f"{food}-{area}", f"food[{food}], area[{area}]", f"{food} food near the {area}.", (f"By the {area}: {food}.",)
    )
    for food in FOODS
    for area in AREAS
)
TEXTS = ("food[Thai], area[hills]", "area[harbour]", "food[Indian]", "food[Itallian], area[riverside]")


def test_copies_the_reference_of_the_most_similar_input(make_plain_context):
    predicted = Nearest().fit(make_plain_context(TRAIN, task=TASK)).predictor.predict(TEXTS)
    known = [each.text for each in TRAIN]
    total = np.zeros((len(TEXTS), len(TRAIN)))
    for settings in (
        {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
        {"analyzer": "char_wb", "ngram_range": (2, 4)},
    ):
        part = TfidfVectorizer(sublinear_tf=True, **settings).fit(known)
        total += cosine_similarity(part.transform(TEXTS), part.transform(known))
    assert [each.answer for each in predicted] == [TRAIN[index].reference for index in total.argmax(axis=1)]
    assert predicted[3].answer == "Italian food near the riverside."


def test_an_input_of_train_gets_its_own_reference_in_blocks_too(make_plain_context):
    done = []
    context = make_plain_context(TRAIN, task=TASK)
    predicted = Nearest().fit(context).predictor.predict([each.text for each in TRAIN] * 20, advance=done.append)
    assert [each.answer for each in predicted] == [each.reference for each in TRAIN] * 20
    assert [each.id for each in predicted] == [str(position) for position in range(300)]
    assert sum(done) == 300
    assert len(done) > 1


def test_nothing_in_common_still_has_an_answer(make_plain_context):
    fitted = Nearest().fit(make_plain_context(TRAIN, task=TASK)).predictor
    assert fitted.predict(["???"])[0].answer == TRAIN[0].reference
    assert fitted.predict([]) == []


def test_restoring_gives_exactly_the_same(make_plain_context):
    strategy, context = Nearest(), make_plain_context(TRAIN, task=TASK)
    fitted = strategy.fit(context).predictor
    restored = again(strategy, context, fitted)
    assert [each.answer for each in restored.predict(TEXTS)] == [each.answer for each in fitted.predict(TEXTS)]
    assert restored.rows.shape == fitted.rows.shape
    assert (strategy.name, strategy.role) == ("nearest", Role.BASELINE)


def test_no_training_examples_is_an_error_with_the_cure(make_plain_context):
    with pytest.raises(DataError, match=r"no training examples; label some"):
        Nearest().fit(make_plain_context(train=(), task=TASK))
