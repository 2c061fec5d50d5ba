"""The `evaluate` modules: same numbers as the plain functions, no hub, nothing written."""

import evaluate
import pytest
from sklearn.metrics import f1_score

from llmtl.errors import DataError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.kinds.table import KINDS
from llmtl.kinds.text_retrieval import RETRIEVAL
from llmtl.metrics import score
from llmtl.metrics.modules import Accuracy, MacroF1, module_of
from llmtl.task import Metric


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


ANSWERS = {
    CLASSIFICATION: (["a", "b", "b"], ["a", None, "c"]),
    MULTI_LABEL: (['["a"]', "[]", '["a", "b"]'], ['["a"]', None, '["b"]']),
    EXTRACTION: (
        ['[{"type": "day", "start": 0, "end": 3, "text": "Mon"}]', "[]"],
        ['[{"type": "day", "start": 1, "end": 3, "text": "on"}]', None],
    ),
    RETRIEVAL: (['["1", "2"]', '["3"]', '["4"]'], ['["9", "2", "1"]', None, '["3"]']),
    GENERATION: (["the cat sat on the mat", "a dog barked"], ["the cat sat on a mat", None]),
}


@pytest.mark.parametrize(("kind", "metric"), [(kind, metric) for kind in KINDS for metric in kind.metrics])
def test_every_metric_of_every_kind_is_a_module_with_the_value_that_is_reported(kind, metric):
    references, answers = ANSWERS[kind]
    right = [[one] for one in references] if kind is GENERATION else references
    computed = module_of(metric, kind.family).compute(predictions=answers, references=right)
    reported = score(references, answers, family=kind.family, resamples=10)
    assert computed == {metric.value: pytest.approx(reported[metric.value].value)}


def test_a_metric_of_another_kind_is_refused_in_one_line():
    with pytest.raises(DataError, match="bleu does not score one label; use one of accuracy, macro_f1"):
        module_of(Metric.BLEU, CLASSIFICATION.family)
