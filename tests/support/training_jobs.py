"""Eight messages, a template over the tiny LLaMA, and training jobs on it."""

import pytest

from llmtl.engines.protocol import ModelSource
from llmtl.progress import Silent
from llmtl.prompting.template import Template
from llmtl.task import Example, Task

TASK = Task("cards", ("billing", "billing dispute", "card arrival", "card lost"))
EXAMPLES = tuple(
    Example(str(position), text, label)
    for position, (text, label) in enumerate(
        [
            ("I lost my card", "card lost"),
            ("my card was stolen", "card lost"),
            ("where is my new card", "card arrival"),
            ("the card has not arrived yet", "card arrival"),
            ("charged twice", "billing"),
            ("a wrong payment this month", "billing"),
            ("I want to dispute the bill", "billing dispute"),
            ("this bill is wrong, I never bought it and want it taken back", "billing dispute"),
        ]
    )
)


class Heard(Silent):
    """A progress that remembers what was said."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


@pytest.fixture(scope="session")
def task():
    return TASK


@pytest.fixture(scope="session")
def examples():
    return EXAMPLES


@pytest.fixture(scope="session")
def make_progress():
    return Heard


@pytest.fixture(scope="session")
def source(tiny_llama):
    return ModelSource(str(tiny_llama))


@pytest.fixture(scope="session")
def base_engine(source):
    from llmtl.engines.transformers.engine import TransformersEngine

    engine = TransformersEngine.load(source)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def template(base_engine):
    return Template(TASK, base_engine)


@pytest.fixture(scope="session")
def tokenizer(base_engine):
    return base_engine.tokenizer


@pytest.fixture(scope="session")
def tokenized(template, tokenizer):
    """Return the eight messages as training examples."""
    from llmtl.tuning.tokenized import fitting

    return fitting(EXAMPLES, template, tokenizer, max_length=512)


@pytest.fixture
def make_job(tiny_llama, source, tokenized, tmp_path):
    """Return a function that makes a training job on the tiny LLaMA; keywords change the configuration or the job."""
    from llmtl.engines.transformers.loading import load_tokenizer
    from llmtl.strategies.qlora import QloraConfig
    from llmtl.tuning.trained_weights import Adapter
    from llmtl.tuning.training import TrainingJob

    def make(name="adapter", **changes):
        settings = {"dropout": 0.0, "batch_size": 8, "warmup_fraction": 0.0, "learning_rate": 5e-3, "max_epochs": 3}
        settings |= {key: changes.pop(key) for key in list(changes) if key in QloraConfig.model_fields}
        config = QloraConfig(**settings)
        job = {
            "checkpoint": tiny_llama,
            "tokenizer": load_tokenizer(source),
            "train": tokenized,
            "dev": (),
            "config": config,
            "weights": Adapter(config, four_bits=True),
            "learning_rate": settings["learning_rate"],
            "folder": tmp_path / name,
            "seed": 0,
            "deadline": None,
            "progress": Heard(),
            "base_name": "tiny",
        }
        return TrainingJob(**(job | changes))

    return make
