"""The `evaluate` modules: same numbers as the plain functions, no hub, nothing written."""

import evaluate
import pytest
from sklearn.metrics import f1_score

from llmtl.metrics.modules import Accuracy, MacroF1


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a metric must not open a connection")

    monkeypatch.setattr("socket.socket.connect", refuse)


def test_they_are_evaluate_metrics_that_compute_offline(tmp_path):
    references, guesses = ["a", "b", "b", "c"], ["a", "b", "c", "c"]
    accuracy, macro_f1 = Accuracy(cache_dir=str(tmp_path)), MacroF1(cache_dir=str(tmp_path))
    assert isinstance(accuracy, evaluate.Metric)
    assert accuracy.compute(predictions=guesses, references=references) == {"accuracy": 0.75}
    expected = f1_score(references, guesses, average="macro")
    assert macro_f1.compute(predictions=guesses, references=references) == {"macro_f1": pytest.approx(expected)}
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_failed_prediction_is_none_and_an_error():
    assert Accuracy().compute(predictions=["a", None], references=["a", "b"]) == {"accuracy": 0.5}
    assert MacroF1().compute(predictions=["a", None], references=["a", "b"]) == {"macro_f1": 0.5}


def test_batches_add_up():
    metric = Accuracy()
    metric.add_batch(predictions=["a", "b"], references=["a", "a"])
    metric.add(prediction="b", reference="b")
    assert metric.compute() == {"accuracy": pytest.approx(2 / 3)}
