"""Every strategy on every kind of task that it serves: fitted, saved, loaded elsewhere, it predicts alike.

Not covered: those that train the model (`test_qlora_kinds`) or ask a provider (`test_hosted`).
"""

import json

import pytest

from llmtl.answers import write_labels
from llmtl.engines.protocol import ModelSource
from llmtl.findings import FIT_FINDINGS
from llmtl.kinds.table import KINDS
from llmtl.strategies.table import STRATEGIES, section_name
from llmtl.strategy import FitContext, Runs
from llmtl.task import Draw, Example, Task

WORDS = ("refund", "delivery", "login")
SMALL = {"instructions": (), "built_in_instructions": False}
CHOICES = {
    "zero_shot": SMALL,
    "few_shot": SMALL | {"shots": (2,), "seeds": 1},
    "many_shot": SMALL | {"seeds": 1},
    "knn_few_shot": SMALL | {"shots": (2,)},
}


def reference(kind, word):
    return {
        "label": word,
        "labels": write_labels([word], WORDS),
        "spans": json.dumps([{"type": word, "text": word, "start": 3, "end": 3 + len(word)}]),
        "text": f"about {word}",
    }[kind.shape]


def examples(kind, count, mark):
    chosen = [WORDS[at % 3] for at in range(count)]
    return tuple(Example(f"{mark}{at}", f"my {word} {at}", reference(kind, word)) for at, word in enumerate(chosen))


EACH = [
    pytest.param(kind, name, id=f"{kind}-{name}")
    for kind in KINDS
    for name, each in STRATEGIES.items()
    if each.facts.serves(kind) and each.facts.runs is not Runs.PROVIDER and each.facts.draw is not Draw.TRAINING
]


@pytest.mark.parametrize(("kind", "name"), EACH)
def test_it_predicts_alike_after_saving_and_loading(kind, name, tiny_engine, tmp_path):
    strategy = STRATEGIES[name](STRATEGIES[name].section(**CHOICES.get(section_name(name), {})))
    fit, elsewhere = tmp_path / "fit", tmp_path / "elsewhere"
    fit.mkdir()
    elsewhere.mkdir()
    task = Task("t", WORDS if kind.has_labels else (), "Do it.", kind.metrics[0], kind=kind, max_output_tokens=8)
    context = FitContext(
        task=task,
        train=examples(kind, 9, "train"),
        dev=examples(kind, 6, "dev"),
        model=ModelSource("tiny"),
        load_engine=lambda adapter: tiny_engine,
        folder=fit,
    )
    fitted = strategy.fit(context)
    assert FIT_FINDINGS.validate_json(FIT_FINDINGS.dump_json(fitted.findings)) == fitted.findings
    assert isinstance(fitted.predictor.served(), strategy.facts.served)
    inputs = [example.input for example in context.dev[:3]]
    expected = fitted.predictor.predict(inputs)
    fitted.predictor.save(elsewhere)
    loaded = strategy.load(context, elsewhere)
    for mine, theirs in zip(loaded.predict(inputs), expected, strict=True):
        assert (mine.id, mine.answer, mine.failure) == (theirs.id, theirs.answer, theirs.failure)
        assert mine.probabilities == pytest.approx(theirs.probabilities, abs=1e-5)
    assert loaded.served() == fitted.predictor.served()
