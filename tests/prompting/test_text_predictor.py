"""Writing predictors with the embedded model: what is read, what fails, and which predictor a task gets."""

import json
from dataclasses import replace

import pytest

from llmtl.answers import Span, read_spans, write_spans
from llmtl.engines import ModelSource
from llmtl.engines.protocol import Generation
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import UnreadableAnswerError
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.pocket import resolve
from llmtl.prompting.predictors import LabelPredictor, TextPredictor, answer_room, answer_tokens, prompt_predictor
from llmtl.prompting.template import Template
from llmtl.task import Example, Metric, Task

SPANS = Task("times", ("person", "time"), "Extract.", Metric.MICRO_F1, kind=EXTRACTION)
LABELS = Task("topics", ("card", "refund"), "List.", Metric.MICRO_F1, kind=MULTI_LABEL)
TEXT = Task("reply", (), "Answer.", Metric.CHRF, kind=GENERATION)
ANNA = write_spans([Span(10, 14, "person", "Anna"), Span(18, 22, "time", "9:30")])
TRAIN = {
    EXTRACTION: (Example("0", "Call Tom, Anna at 9:30", ANNA),),
    MULTI_LABEL: (Example("0", "my card", '["card"]'), Example("1", "hello", "[]")),
    GENERATION: (Example("0", "hi", "Hello!", alternatives=("Good morning to you and to everybody else!",)),),
}
TASKS = (SPANS, LABELS, TEXT)


@pytest.fixture(scope="module")
def engine():
    loaded = TransformersEngine.load(ModelSource(str(resolve("pocket-llama"))), device="cpu")
    yield loaded
    loaded.close()


def predictor(engine, task, **given):
    template = Template(task, engine)
    room = answer_room(engine, template, TRAIN[task.kind])
    return prompt_predictor(task, engine, template, max_tokens=room, **given)


class Canned:
    """An engine's face with fixed completions, to see how each is read."""

    def __init__(self, engine, said):
        self._engine, self._said = engine, said

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def generate(self, prompts, *, max_tokens, schema=None, stop=None, advance=None):
        self.stop = stop
        if self._said is None:
            raise UnreadableAnswerError("nothing that can be read")
        advance(len(prompts))
        return [Generation(text, finished, 5, 0, 3, 0.1) for text, finished in [self._said] * len(prompts)]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind.name)
def test_answers_are_canonical_or_failures(engine, task):
    texts = ["Tom comes at 10:15.", "x" * 30, "my card is lost", "what?"]
    for shown in ((), TRAIN[task.kind]):
        steps = []
        found = predictor(engine, task, demonstrations=lambda text, shown=shown: shown).predict(
            texts, advance=steps.append
        )
        assert sum(steps) == len(texts)
        for each, text in zip(found, texts, strict=True):
            assert (each.answer is None) == (each.failure is not None)
            assert not each.probabilities
            assert each.prompt_tokens > 0
            if each.answer is not None and task.kind is EXTRACTION:
                assert all(text[span.start : span.end] == span.text for span in read_spans(each.answer))


@pytest.mark.parametrize(
    ("task", "said", "answer", "failure"),
    [
        (SPANS, ('[{"type": "person", "text": "Tom"}]', True), '[{"type": "person", "text": "Tom", "start"', None),
        (SPANS, ('[{"type": "person", "text": "Tom"', False), None, "cut off at"),
        (SPANS, ("none", True), None, "cannot be read: none"),
        (LABELS, ('["refund", "card"]', True), '["card", "refund"]', None),
        (LABELS, ('["banana"]', True), None, "cannot be read"),
        (TEXT, (" Hi Tom", True), "Hi Tom", None),
        (TEXT, ("Hi To", False), "Hi To", None),
        (TEXT, ("\n ", True), None, "wrote nothing"),
        (TEXT, None, None, "nothing that can be read"),
    ],
)
def test_what_is_written_is_read_or_a_recorded_failure(engine, task, said, answer, failure):
    [found] = predictor(Canned(engine, said), task).predict(["Tom, where?"])
    assert (found.answer or "").startswith(answer or "\0") or (found.answer is None and answer is None)
    assert failure in (found.failure or "") if failure else found.failure is None


def test_spans_that_are_not_in_the_input_are_dropped_and_counted(engine):
    said = json.dumps([{"type": "person", "text": name} for name in ("Tom", "Eve", "Tom")])
    [found] = predictor(Canned(engine, (said, True)), SPANS).predict(["Tom, where?"])
    assert (len(read_spans(found.answer)), found.dropped_spans) == (1, 2)


def test_an_input_that_does_not_fit_is_a_failure_and_ends_nothing(engine):
    short, long, after = predictor(engine, TEXT).predict(["hi", "word " * 3000, "there"])
    assert long.answer is None
    assert "leaves room for" in long.failure
    assert short.failure is None
    assert after.failure is None


def test_room_for_answers_comes_from_the_longest_reference_in_train(engine):
    template = Template(TEXT, engine)
    longest = engine.count_tokens(template.answer("Good morning to you and to everybody else!")) + 1
    assert answer_tokens(engine, template, TRAIN[GENERATION]) == max(16, -(-longest * 3 // 2))
    assert answer_tokens(engine, template, ()) == 16
    long = (Example("0", "a", "word " * 5000),)
    assert answer_tokens(engine, template, long) == engine.context_length // 2
    bounded = Template(replace(TEXT, max_output_tokens=7), engine)
    assert answer_tokens(engine, bounded, long) == 7
    chosen = predictor(engine, TEXT)
    assert chosen.prompt_room() == engine.context_length - chosen.max_tokens
    assert chosen.max_tokens == answer_tokens(engine, Template(TEXT, engine), TRAIN[GENERATION])


def test_the_predictor_suits_the_task(engine):
    routing = Task("routing", ("a", "b"))
    template = Template(routing, engine)
    room = answer_room(engine, template, ())
    assert isinstance(prompt_predictor(routing, engine, template, max_tokens=room), LabelPredictor)
    assert isinstance(predictor(engine, SPANS), TextPredictor)


def test_a_base_model_is_told_where_an_answer_ends(engine, tiny_base):
    base = TransformersEngine.load(ModelSource(str(tiny_base)), device="cpu")
    for task, loaded, stop in ((TEXT, base, "\n"), (SPANS, base, None), (TEXT, engine, None)):
        canned = Canned(loaded, (" Hello", True))
        predictor(canned, task).predict(["hi"])
        assert canned.stop == stop
