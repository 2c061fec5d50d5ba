"""Whether a calibration is kept: a leaning model, a model that needs none, too few examples; and what it does."""

import numpy as np
import pytest
from scipy.special import softmax

from llmtl.findings import CalibrationTrace, finding
from llmtl.metrics.recalibration import LabelCalibration, Method
from llmtl.prompting.calibrating import calibrate
from llmtl.prompting.config import CalibrationChoice
from llmtl.prompting.fitted import PROMPT_FILE
from llmtl.store import read_json, write_json
from llmtl.strategies.few_shot import FewShot, FewShotConfig
from llmtl.strategies.zero_shot import ZeroShot, ZeroShotConfig
from llmtl.strategy import Prediction
from tests.support.routing_task import LABELS, labelled


class Leaning:
    """A predictor that knows most answers but leans to a label by `towards`."""

    def __init__(self, examples, *, towards, seed=0):
        draw = np.random.default_rng(seed)
        self.rows = {}
        for example in examples:
            logits = draw.normal(size=3) + 2.0 * np.eye(3)[LABELS.index(example.reference)] + [towards, 0, 0]
            self.rows[example.text] = softmax(logits)

    def predict(self, texts):
        return [
            Prediction(str(at), LABELS[self.rows[text].argmax()], dict(zip(LABELS, self.rows[text], strict=True)))
            for at, text in enumerate(texts)
        ]


def outcome(make_context, choice, *, towards, dev=60, train=90):
    context = make_context(train=labelled(train), dev=labelled(dev, mark="dev"))
    predictor = Leaning((*context.train, *context.dev), towards=towards)
    predictions = predictor.predict([example.text for example in context.dev])
    return calibrate(choice, context, predictor, dev=context.dev, predictions=predictions, spare=context.train)


@pytest.mark.parametrize("choice", ["batch", "affine", "auto"])
def test_a_leaning_is_found_and_taken_away(make_context, choice):
    found, (trace,) = outcome(make_context, CalibrationChoice(choice), towards=-4.0)
    assert trace.chosen == found.method
    tried = {each.method: each for each in trace.tried}
    assert tried[found.method].score > trace.uncalibrated.score
    assert tried[found.method].nll == min(each.nll for each in tried.values()) < trace.uncalibrated.nll
    assert trace.examples == 150
    assert len(tried) == (2 if choice == "auto" else 1)


def test_what_does_not_help_is_left(make_context):
    found, (trace,) = outcome(make_context, CalibrationChoice.BATCH, towards=0.4)
    [tried] = trace.tried
    hurts = tried.score < trace.uncalibrated.score or tried.nll >= trace.uncalibrated.nll
    assert (found is None) == hurts
    assert hurts


def test_too_few_examples_are_not_tried(make_context):
    found, (trace,) = outcome(make_context, CalibrationChoice.AUTO, towards=-4.0, dev=9, train=10)
    assert (found, trace.tried, trace.examples) == (None, (), 19)
    _, (trace,) = outcome(make_context, CalibrationChoice.AUTO, towards=-4.0, dev=9, train=90)
    assert [each.method for each in trace.tried] == ["batch"]


def test_off_says_nothing(make_context):
    assert outcome(make_context, CalibrationChoice.OFF, towards=-4.0) == (None, ())


@pytest.mark.parametrize(
    "strategy",
    [
        ZeroShot(ZeroShotConfig(calibration="batch", built_in_instructions=False)),
        FewShot(FewShotConfig(calibration="batch", built_in_instructions=False, shots=(2,), seeds=1)),
    ],
    ids=["zero-shot", "few-shot"],
)
def test_a_fitted_calibration_is_kept_restored_and_applied(make_context, strategy):
    context = make_context(train=labelled(40))
    fitted = strategy.fit(context)
    fitted.predictor.save(context.folder)
    state = read_json(context.folder / PROMPT_FILE)
    assert (state["calibration"] is not None) == (finding(fitted.findings, CalibrationTrace).chosen is not None)
    told = {"method": "affine", "scale": [0.5, 1.0, 2.0], "bias": [0.0, 1.0, -1.0]}
    plain = {name: value for name, value in state.items() if name != "calibration"}
    write_json(context.folder / PROMPT_FILE, plain)
    [before] = strategy.load(context, context.folder).predict(["money back"])
    write_json(context.folder / PROMPT_FILE, {**plain, "calibration": told})
    restored = strategy.load(context, context.folder)
    [after] = restored.predict(["money back"])
    expected = LabelCalibration(Method.AFFINE, (0.5, 1.0, 2.0), (0.0, 1.0, -1.0)).apply(
        list(before.probabilities.values())
    )
    assert list(after.probabilities.values()) == pytest.approx(expected, abs=1e-5)
    assert after.answer == LABELS[int(np.argmax(expected))]
    assert restored.served().calibration == LabelCalibration(Method.AFFINE, (0.5, 1.0, 2.0), (0.0, 1.0, -1.0))
