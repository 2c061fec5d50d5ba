"""Zero-shot over a tiny real model."""

import pytest

from llmtl.errors import ContextLengthError
from llmtl.prompting.template import Template
from llmtl.strategies.zero_shot import ZeroShot, ZeroShotConfig
from llmtl.strategy import Role
from tests.support.fitted import again


def test_prompts_hold_the_input_and_no_example(make_context, engine):
    context = make_context()
    fitted = ZeroShot(ZeroShotConfig(built_in_instructions=False, rotations=1)).fit(context).predictor
    engine.prompts.clear()
    predicted = fitted.predict(["my card is gone", "hello"])
    template = Template(context.task, engine)
    assert engine.prompts == [template.prompt("my card is gone"), template.prompt("hello")]
    scores = engine.score(engine.prompts[:2], template.answers())
    for prediction, score in zip(predicted, scores, strict=True):
        assert prediction.answer == context.task.labels[score.choice]
        assert list(prediction.probabilities.values()) == pytest.approx(score.probabilities, abs=1e-5)


def test_restoring_gives_the_same_predictions(make_context):
    strategy, context = ZeroShot(), make_context()
    fitted = strategy.fit(context).predictor
    restored = again(strategy, context, fitted)
    one, other = fitted.predict(["I lost it"])[0], restored.predict(["I lost it"])[0]
    assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    assert (strategy.name, strategy.role) == ("zero-shot", Role.PROMPTING)


def test_labels_that_overflow_the_context_are_an_error_with_the_cure(make_context):
    labels = tuple(f"a rather long name for queue number {number}" for number in range(80))
    with pytest.raises(ContextLengthError, match=r"with its 80 labels has \d+ tokens .* shorten the label names"):
        ZeroShot().fit(make_context(labels=labels))
