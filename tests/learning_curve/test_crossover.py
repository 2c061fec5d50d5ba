import pytest

from llmtl.learning_curve import crossover
from tests.support.curve_worlds import exactly, power_law


def curve(a: float, b: float, strategy: str):
    return exactly([1 - error for error in power_law(a, b)], strategy=strategy)


def test_the_crossing_of_two_known_curves_is_found() -> None:
    learner, rival = curve(3.0, 0.4, "qlora"), curve(0.6, 0.1, "knn-few-shot")
    true = (3.0 / 0.6) ** (1 / 0.3)  # 213
    found = crossover(learner, rival)
    assert found.low is not None
    assert found.high is not None
    assert found.low < true < found.high
    assert found.size == pytest.approx(true, rel=0.25)
    assert found.now > 0.8
    assert "qlora overtakes knn-few-shot at about" in found.sentence


def test_a_crossing_beyond_the_data_is_called_a_forecast() -> None:
    found = crossover(curve(4.0, 0.35, "qlora"), curve(0.55, 0.05, "few-shot"))
    assert found.size is not None
    assert found.available < found.size < found.furthest
    assert found.now < 0.5
    assert "is forecast to overtake" in found.sentence


def test_a_rival_that_needs_no_labels_stays_where_it_is() -> None:
    rival = exactly([0.70], strategy="zero-shot", sizes=[400])
    found = crossover(curve(2.0, 0.35, "tfidf"), rival)
    assert found.size == pytest.approx((2.0 / 0.30) ** (1 / 0.35), rel=0.25)


@pytest.mark.parametrize(
    ("level", "sentence"),
    [(0.999, "tfidf is not forecast to overtake zero-shot"), (0.01, "tfidf is ahead of zero-shot from 25")],
)
def test_never_and_always_are_said_so(level: float, sentence: str) -> None:
    found = crossover(curve(1.0, 0.2, "tfidf"), exactly([level], strategy="zero-shot", sizes=[400]))
    assert found.sentence.startswith(sentence)


def test_what_is_unlikely_and_possible_is_said_too() -> None:
    harder = crossover(curve(1.5, 0.35, "tfidf"), exactly([0.90], strategy="zero-shot", sizes=[400]))
    assert harder.size is None
    assert harder.low is not None
    assert f"with probability 10% it is ahead from about {harder.low:,} on" in harder.sentence
