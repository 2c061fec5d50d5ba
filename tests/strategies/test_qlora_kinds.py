"""The strategy on tasks other than classification: a few examples by heart, through the engine that writes."""

from dataclasses import replace

import pytest

from llmtl.answers import Span, write_spans
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.strategies.qlora import Qlora, QloraConfig
from llmtl.strategy import FitContext
from llmtl.task import Example, Metric, Task
from tests.support.fitted import again

CONFIG = QloraConfig(max_epochs=40, batch_size=4, learning_rate=1e-2, dropout=0.0, evaluations_per_epoch=1)
TEXTS = ("I lost my card", "my bill came again", "where is my refund and my card", "hello")


def span(text, kind, piece):
    """Return the span of `piece` in `text`."""
    start = text.index(piece)
    return Span(start, start + len(piece), kind, piece)


SPANS = [
    [span(TEXTS[0], "thing", "card")],
    [span(TEXTS[1], "thing", "bill")],
    [span(TEXTS[2], "money", "refund"), span(TEXTS[2], "thing", "card")],
    [],
]
WORLDS = {
    MULTI_LABEL: (("card", "refund"), ['["card"]', "[]", '["card", "refund"]', "[]"]),
    EXTRACTION: (("thing", "money"), [write_spans(each) for each in SPANS]),
    GENERATION: ((), ["Get a new card.", "Sorry.", "They are here.", "Hello!"]),
}
METRIC = {GENERATION: Metric.CHRF}


@pytest.mark.parametrize("kind", list(WORLDS), ids=lambda kind: kind.name)
def test_learns_four_answers_by_heart_and_writes_them(kind, source, make_progress, tmp_path):
    labels, answers = WORLDS[kind]
    examples = tuple(Example(str(n), text, answer) for n, (text, answer) in enumerate(zip(TEXTS, answers, strict=True)))
    context = FitContext(
        task=Task("t", labels, "Do it.", METRIC.get(kind, Metric.MICRO_F1), kind=kind),
        train=examples,
        dev=examples,
        model=source,
        load_engine=lambda adapter: TransformersEngine.load(replace(source, adapter=adapter)),
        folder=tmp_path,
        progress=make_progress(),
    )
    predictor = Qlora(CONFIG).fit(context).predictor
    found = predictor.predict(TEXTS)
    assert [each.answer for each in found] == answers
    restored = again(Qlora(CONFIG), context, predictor)
    assert [each.answer for each in restored.predict(TEXTS)] == answers
