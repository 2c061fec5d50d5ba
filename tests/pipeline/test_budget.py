"""The time budget."""

from llmtl.engines import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.pipeline.budget import FEWEST, plan
from llmtl.task import Example, Split, Task

TASK = Task("t", ("refund", "card lost"))


def split(count: int) -> Split:
    def part(name: str) -> tuple[Example, ...]:
        return tuple(Example(f"{name}{i}", f"please refund order {i}", TASK.labels[i % 2]) for i in range(count))

    return Split(part("train"), part("dev"), part("test"))


def test_a_small_budget_cuts_dev_and_test_but_not_below_the_fewest(tiny_llama):
    engine = TransformersEngine.load(ModelSource(str(tiny_llama)))
    made = plan(0.001, split(400), TASK, engine)
    assert (made.dev, made.test) == (FEWEST, FEWEST)


def test_an_ample_budget_keeps_everything_and_caps_training(tiny_llama):
    engine = TransformersEngine.load(ModelSource(str(tiny_llama)))
    made = plan(36_000, split(40), TASK, engine)
    assert (made.dev, made.test) == (40, 40)
    assert made.fit_seconds("qlora") == 0.35 * 36_000
    assert made.fit_seconds("tfidf") is None


def test_without_a_model_nothing_is_cut():
    made = plan(1, split(400), TASK, None)
    assert (made.dev, made.test) == (400, 400)


def test_a_budget_that_cannot_be_kept_says_so(tiny_llama):
    engine = TransformersEngine.load(ModelSource(str(tiny_llama)))
    warning = plan(0.001, split(400), TASK, engine).too_short
    assert warning is not None
    assert "50 dev and 50 test" in warning
    assert plan(36_000, split(40), TASK, engine).too_short is None
    assert plan(1, split(400), TASK, None).too_short is None
