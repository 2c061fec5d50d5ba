"""A small routing task and contexts for strategies that need no model."""

import pytest

from llmtl.engines.protocol import ModelSource
from llmtl.strategy import FitContext
from llmtl.task import Example, Task

MESSAGES = {
    "refund": ("I want my money back", "refund the order please", "when is my refund paid", "money back for the shoes"),
    "delivery": ("where is my parcel", "the parcel has not arrived", "delivery is late again", "track my delivery"),
    "login": ("I cannot log in", "password is not accepted", "reset my password please", "log in fails on my phone"),
}


def examples(messages=MESSAGES):
    pairs = [(text, label) for label, texts in messages.items() for text in texts]
    return tuple(Example(str(position), text, label) for position, (text, label) in enumerate(pairs))


def no_engine(adapter):
    raise AssertionError("a baseline must not load a model")


@pytest.fixture
def make_plain_context(tmp_path):
    """Return a function that makes the context of a strategy from train, dev and labels."""

    def make(train=None, dev=None, labels=("refund", "delivery", "login"), **changes):
        given = examples()
        return FitContext(
            task=changes.pop("task", Task("routing", labels)),
            train=given if train is None else train,
            dev=dev or given[::2],
            model=ModelSource("none"),
            load_engine=changes.pop("load_engine", no_engine),
            folder=tmp_path,
            **changes,
        )

    return make
