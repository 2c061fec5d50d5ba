"""The `linear-probe` strategy beside plain transformers and scikit-learn, on a tiny checkpoint."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler
from starlette.testclient import TestClient
from transformers import AutoModelForCausalLM, AutoTokenizer

import llmtl
from llmtl.answers import read_labels, write_labels
from llmtl.engines.protocol import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import ContextLengthError, ModelError
from llmtl.findings import CalibrationTrace, Cut, GridTrace, Unit, finding
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.prompting.template import Template
from llmtl.serving.task_api.classifier_app import create_app
from llmtl.strategies.linear_probe import LinearProbe, LinearProbeConfig
from llmtl.strategy import Budget, FitContext, LocalServed
from llmtl.task import Example, Task

LABELS = ("refund", "delivery", "login")
TEXTS = {
    "refund": "give me back my money for {}",
    "delivery": "where is parcel {} of mine",
    "login": "i cannot sign in {}",
}


def examples(count, mark):
    chosen = [LABELS[at % 3] for at in range(count)]
    return tuple(Example(f"{mark}{at}", TEXTS[each].format(at), each) for at, each in enumerate(chosen))


def sets(count, mark):
    """Return examples with one or two labels each."""
    found = []
    for at in range(count):
        names = [LABELS[at % 3], *([LABELS[(at + 1) % 3]] if at % 2 else [])]
        text = " and ".join(TEXTS[name].format(at) for name in names)
        found.append(Example(f"{mark}{at}", text, write_labels(names, LABELS)))
    return tuple(found)


@pytest.fixture(scope="module")
def engine(tiny_llama):
    return TransformersEngine.load(ModelSource(str(tiny_llama)), device="cpu")


@pytest.fixture
def make(engine, tmp_path):
    def context(train, dev, *, task=Task("t", LABELS, "Route it."), loaded=engine, **changes):  # noqa: B008
        return FitContext(
            task=task,
            train=train,
            dev=dev,
            model=ModelSource("tiny"),
            load_engine=lambda adapter: loaded,
            folder=tmp_path,
            **changes,
        )

    return context


@pytest.fixture(scope="module")
def plain(tiny_llama):
    """Return a function from a prompt and the place where its input begins to states, (layers, 2, width)."""
    model = AutoModelForCausalLM.from_pretrained(tiny_llama, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)

    def states(prompt, head):
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        begin = tokenizer(head, add_special_tokens=False)["input_ids"]
        start = next(at for at, token in enumerate(ids) if at >= len(begin) or begin[at] != token)
        with torch.inference_mode():
            layers = torch.cat(model(torch.tensor([ids]), output_hidden_states=True).hidden_states)
        return torch.stack([layers[:, -1], layers[:, start:].mean(dim=1)], dim=1).numpy()

    return states


def worded(engine, task, given):
    template = Template(task, engine)
    first, second = template.prompt("a"), template.prompt("0")
    at = next(at for at in range(len(first)) if first[at] != second[at])
    return [template.prompt(each.text) for each in given], first[:at]


def test_states_are_those_of_plain_transformers(engine, plain):
    prompts, head = worded(engine, Task("t", LABELS, "Route it."), examples(7, "x"))
    found = engine.states(prompts, head=head)
    assert found.dtype == np.float16
    expected = np.stack([plain(prompt, head) for prompt in prompts])
    np.testing.assert_allclose(found, expected, atol=2e-3, rtol=2e-3)
    alone = engine.states(prompts[3:4], head=head)[0]
    np.testing.assert_allclose(alone, found[3], atol=2e-3, rtol=2e-3)
    np.testing.assert_allclose(engine.states(prompts)[:, :, 0], found[:, :, 0], atol=2e-3, rtol=2e-3)


def test_no_prompts_have_no_states(engine):
    assert len(engine.states([])) == 0


def test_it_chooses_the_labels_of_scikit_learn_on_those_states(engine, make, plain):
    context = make(examples(60, "train"), examples(21, "dev"))
    fitted = LinearProbe(LinearProbeConfig(c=(0.1,))).fit(context)
    choice = finding(fitted.findings, GridTrace).choice
    at = (choice["layer"], ("last", "mean").index(choice["position"]))

    def rows(given):
        prompts, head = worded(engine, context.task, given)
        return np.stack([plain(prompt, head)[at] for prompt in prompts])

    scaler = StandardScaler().fit(rows(context.train))
    reference = LogisticRegression(C=0.1, max_iter=1000).fit(
        scaler.transform(rows(context.train)), [each.reference for each in context.train]
    )
    new = examples(30, "new")
    expected = reference.predict_proba(scaler.transform(rows(new)))
    predictions = fitted.predictor.predict([each.input for each in new])
    assert [each.answer for each in predictions] == list(reference.classes_[expected.argmax(axis=1)])
    for prediction, row in zip(predictions, expected, strict=True):
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
        told = [prediction.probabilities[label] for label in reference.classes_]
        np.testing.assert_allclose(told, row, atol=0.01)


def test_it_chooses_label_sets_as_one_classifier_per_label_does(engine, make, plain):
    task = Task("t", LABELS, "Route it.", MULTI_LABEL.metrics[0], kind=MULTI_LABEL)
    context = make(sets(60, "train"), sets(24, "dev"), task=task)
    fitted = LinearProbe(LinearProbeConfig(c=(0.1,))).fit(context)
    choice = fitted.predictor.head.choice
    at = (choice["layer"], ("last", "mean").index(choice["position"]))

    def rows(given):
        prompts, head = worded(engine, task, given)
        return np.stack([plain(prompt, head)[at] for prompt in prompts])

    scaler = StandardScaler().fit(rows(context.train))
    truth = np.array([[label in read_labels(each.reference) for label in LABELS] for each in context.train])
    reference = OneVsRestClassifier(LogisticRegression(C=0.1, max_iter=1000))
    reference.fit(scaler.transform(rows(context.train)), truth.astype(int))
    new = sets(24, "new")
    expected = reference.predict_proba(scaler.transform(rows(new)))
    for prediction, row in zip(fitted.predictor.predict([each.input for each in new]), expected, strict=True):
        np.testing.assert_allclose(list(prediction.probabilities.values()), row, atol=0.01)
        if np.abs(row - choice["threshold"]).min() > 0.01:
            chosen = [label for label, value in zip(LABELS, row, strict=True) if value >= choice["threshold"]]
            assert prediction.answer == write_labels(chosen, LABELS)


def test_it_is_saved_with_its_calibration_and_served_beside_the_base_model(make, tmp_path):
    context = make(examples(30, "train"), examples(120, "dev"))
    fitted = LinearProbe().fit(context)
    assert finding(fitted.findings, CalibrationTrace).examples == 120
    assert fitted.predictor.served() == LocalServed(needs_base_model=True)
    fitted.predictor.save(tmp_path)
    loaded = LinearProbe().load(context, tmp_path)
    assert loaded.head.calibration == fitted.predictor.head.calibration
    inputs = [each.input for each in examples(6, "new")]
    for mine, theirs in zip(loaded.predict(inputs), fitted.predictor.predict(inputs), strict=True):
        assert (mine.id, mine.answer) == (theirs.id, theirs.answer)
        assert mine.probabilities == pytest.approx(theirs.probabilities)


def test_an_engine_without_states_is_refused_in_one_line(engine, make):
    class LastLayerOnly:
        name = "vllm"

        def __getattr__(self, name):
            if name == "states":
                raise AttributeError(name)
            return getattr(engine, name)

    context = make(examples(9, "train"), examples(6, "dev"), loaded=LastLayerOnly())
    with pytest.raises(ContextLengthError, match=r"^The engine 'vllm' .* set model\.engine=transformers\.$"):
        LinearProbe().fit(context)


def test_an_input_that_does_not_fit_is_a_failure_and_the_others_are_not(make):
    fitted = LinearProbe().fit(make(examples(9, "train"), examples(6, "dev")))
    first, long, last = fitted.predictor.predict(["where is parcel 1", "word " * 5000, "i cannot sign in"])
    assert "tokens" in long.failure
    assert long.answer is None
    assert first.answer in LABELS
    assert last.answer in LABELS


def test_without_time_it_reads_less_of_train_and_still_fits(make):
    context = make(examples(300, "train"), examples(6, "dev"), budget=Budget(train_seconds=1e-6))
    found = LinearProbe().fit(context).findings
    trace = finding(found, GridTrace)
    assert trace.choice["train_examples"] == 128
    assert len(trace.points) == 1
    cuts = [(each.done, each.planned, each.unit) for each in found if isinstance(each, Cut)]
    assert cuts == [(128, 300, Unit.EXAMPLES), (1, 12, Unit.SETTINGS)]


def test_a_run_with_it_is_exported_and_served_in_our_own_server(tmp_path, tiny_llama):
    rows = [f"{TEXTS[label].format(at)},{label}" for at in range(40) for label in LABELS]
    (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows]))
    (tmp_path / "recipe.yaml").write_text(
        "name: probe\ndata: {path: data.csv, near_duplicate_threshold: 1.0}\n"
        f"model: {{name: '{tiny_llama}', engine: transformers}}\nstrategies: {{run: [majority, linear-probe]}}\n"
        "decision: {resamples: 1000}\nlearning_curve: {enabled: false}\n"
    )
    run = llmtl.run(tmp_path / "recipe.yaml", out=tmp_path / "run")
    asked = ["where is parcel 77 of mine", "i cannot sign in 78"]
    expected = llmtl.load_run(tmp_path / "run").predictor("linear-probe").predict(asked)
    bundle = llmtl.export(run, strategy="linear-probe")
    with TestClient(create_app(bundle, environment={})) as http:
        said = http.post("/v1/predict", json={"inputs": asked}).json()["data"]
        message = {"model": "probe", "messages": [{"role": "user", "content": asked[0]}]}
        written = http.post("/v1/chat/completions", json=message).json()["choices"][0]["message"]["content"]
    assert [row["label"] for row in said] == [each.answer for each in expected]
    assert written == expected[0].answer
    for row, prediction in zip(said, expected, strict=True):
        assert row["probabilities"] == pytest.approx(prediction.probabilities, abs=1e-4)


class Cramped:
    """A forward pass that has room for three prompts only, failing in the allocator's words."""

    def __init__(self, real, room=3):
        self.real, self.room, self.sizes = real, room, []

    def extended(self, ids):
        return self.real.extended(ids)

    def states(self, prefix, suffixes, starts):
        self.sizes.append(len(suffixes))
        if len(suffixes) > self.room:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return self.real.states(prefix, suffixes, starts)


def test_out_of_memory_reads_fewer_states_at_once(engine, monkeypatch):
    prompts, head = worded(engine, Task("t", LABELS, "Route it."), examples(10, "x"))
    expected = engine.states(prompts, head=head)
    cramped = Cramped(engine._forward)
    monkeypatch.setattr(engine, "_forward", cramped)
    np.testing.assert_allclose(engine.states(prompts, head=head), expected, atol=2e-3, rtol=2e-3)
    assert cramped.sizes[:3] == [10, 5, 2]
    monkeypatch.setattr(engine, "_forward", Cramped(cramped.real, room=0))
    with pytest.raises(ModelError, match="exhausts the memory"):
        engine.states(prompts, head=head)


def test_label_sets_are_calibrated_and_kept_with_a_threshold_for_each_label(make, tmp_path):
    task = Task("t", LABELS, "Route it.", MULTI_LABEL.metrics[0], kind=MULTI_LABEL)
    context = make(sets(30, "train"), sets(120, "dev"), task=task)
    fitted = LinearProbe(LinearProbeConfig(layers=1, c=(0.001,))).fit(context)
    trace = finding(fitted.findings, CalibrationTrace)
    assert (trace.chosen, trace.examples) == ("affine", 120)  # strong regularisation makes a model too little sure
    assert trace.tried[0].nll < trace.uncalibrated.nll
    fitted.predictor.save(tmp_path)
    inputs = [each.input for each in sets(6, "new")]
    for mine, theirs in zip(
        LinearProbe().load(context, tmp_path).predict(inputs), fitted.predictor.predict(inputs), strict=True
    ):
        assert (mine.answer, mine.probabilities) == (theirs.answer, pytest.approx(theirs.probabilities))
        thresholds = zip(theirs.probabilities.items(), fitted.predictor.head.choice["threshold"], strict=True)
        above = [label for (label, value), least in thresholds if value >= least]
        assert theirs.answer == write_labels(above, LABELS)
