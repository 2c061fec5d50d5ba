"""A small routing task over the tiny LLaMA, and an engine that remembers the prompts it was given."""

from contextlib import contextmanager

import pytest

from llmtl.engines.protocol import ModelSource
from llmtl.progress import Silent
from llmtl.strategy import FitContext
from llmtl.task import Task
from tests.support.routing_task import LABELS, labelled


class Recording:
    """The real engine; `prompts` lists what was scored."""

    def __init__(self, engine):
        self._engine = engine
        self.prompts = []

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def score(self, prompts, answers, **settings):
        self.prompts.extend(prompts)
        return self._engine.score(prompts, answers, **settings)


class Heard(Silent):
    """A progress that remembers what was said, and the announced and done units of every stage."""

    def __init__(self):
        self.lines = []
        self.stages = {}

    @contextmanager
    def stage(self, description, total):
        self.stages[description] = done = [total, 0]

        def advance(units):
            done[1] += units

        yield advance

    def say(self, line):
        self.lines.append(line)


@pytest.fixture(scope="session")
def tiny_engine(tiny_llama):
    from llmtl.engines.transformers.engine import TransformersEngine

    return TransformersEngine.load(ModelSource(str(tiny_llama)), device="cpu")


@pytest.fixture
def engine(tiny_engine):
    return Recording(tiny_engine)


@pytest.fixture
def make_context(engine, tmp_path):
    """Return a function that makes a context over the recording engine; train has 14 examples and dev 8."""

    def make(*, train=None, dev=None, labels=LABELS, **changes):
        return FitContext(
            task=changes.pop("task", Task("routing", labels)),
            train=labelled(14) if train is None else train,
            dev=labelled(8, mark="dev") if dev is None else dev,
            model=ModelSource("tiny"),
            load_engine=lambda adapter: engine,
            folder=tmp_path,
            **{"progress": Heard()} | changes,
        )

    return make
