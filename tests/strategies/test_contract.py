"""Every strategy on every kind of task that it serves: fitted, saved, loaded, served in process, drawn in the report.

Not covered: whether it learns anything (its own test), vLLM itself (`tests/serving/live`).
"""

import re
from dataclasses import replace

import pytest

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.findings import FIT_FINDINGS
from llmtl.kinds.table import KINDS
from llmtl.prompting.template import Template
from llmtl.report import ReportContent, markdown, summarize
from llmtl.report.html import render_html
from llmtl.report.svg import mark
from llmtl.serving.bundle.int8_form import TakesInt8
from llmtl.serving.bundle.read import open_bundle
from llmtl.serving.bundle.write import write_bundle
from llmtl.serving.task_api.classifier_app import create_app
from llmtl.strategies.table import STRATEGIES, section_name
from llmtl.strategy import LOOKS, FitContext, PromptServed, Runs
from llmtl.task import CorpusText, Task
from tests.support.contract import PRICES, WORDS, Contract, assert_served_as_measured, examples, posting, reference
from tests.support.hosted_server import completion, hosted_server
from tests.support.kind_checks import assert_answers_as_measured

SMALL = {"instructions": (), "built_in_instructions": False}
CHOICES = {
    "zero_shot": SMALL,
    "few_shot": SMALL | {"shots": (2,), "seeds": 1},
    "many_shot": SMALL | {"seeds": 1},
    "knn_few_shot": SMALL | {"shots": (2,)},
    "hosted": {"model": "m", "api_key_env": None, "shots": (0,), "max_retries": 0},
    "tuned_search": {"rounds": 1, "batch_size": 4},
    "setfit": {"iterations": 1},
    "qlora": {"max_epochs": 1, "batch_size": 8},
    "lora": {"max_epochs": 1, "batch_size": 8},
    "full": {"max_epochs": 1, "batch_size": 8},
    "hybrid": {"max_epochs": 1, "batch_size": 8},
    "class_head": {"max_epochs": 1, "batch_size": 8},
    "encoder": {"max_epochs": 2},
}
EACH = [
    pytest.param((kind, name), id=f"{kind}-{name}")
    for kind in KINDS
    for name, each in STRATEGIES.items()
    if each.facts.serves(kind)
]


@pytest.fixture(scope="module")
def provider():
    with hosted_server(lambda body: None) as server:
        yield server


@pytest.fixture(scope="module", params=EACH)
def contract(request, tiny_engine, tiny_encoder, source, provider, tmp_path_factory):
    from llmtl.engines.transformers.engine import TransformersEngine

    kind, name = request.param
    task = Task("t", WORDS if kind.has_labels else (), "Do it.", kind.metrics[0], kind=kind, max_output_tokens=8)
    template = Template(task, tiny_engine)

    def answer(body):
        text = body["messages"][-1]["content"]
        return completion(template.answer(reference(kind, next(word for word in WORDS if word in text.split()))))

    provider.answer = answer
    chosen = CHOICES.get(section_name(name), {})
    if STRATEGIES[name].facts.runs is Runs.PROVIDER:
        chosen = chosen | {"base_url": provider.url}
    strategy = STRATEGIES[name](STRATEGIES[name].section(**chosen))
    context = FitContext(
        task=task,
        train=examples(kind, 9, "train"),
        dev=examples(kind, 6, "dev"),
        model=source,
        load_engine=lambda tuned: (
            tiny_engine if tuned is None else TransformersEngine.load(source.tuned(tuned), device="cpu")
        ),
        folder=tmp_path_factory.mktemp("fit"),
        prices=PRICES,
        corpus=tuple(CorpusText(word, f"what to do about a {word}") for word in WORDS),
        encoder=EncoderSource(str(tiny_encoder)),
    )
    return Contract(strategy, context, strategy.fit(context), examples(kind, 6, "test"))


def test_it_predicts_alike_after_saving_and_loading(contract, tmp_path):
    strategy, context, fitted = contract.strategy, contract.context, contract.fitted
    assert FIT_FINDINGS.validate_json(FIT_FINDINGS.dump_json(fitted.findings)) == fitted.findings
    assert isinstance(contract.served, strategy.facts.served)
    inputs = [example.input for example in context.dev[:3]]
    expected = fitted.predictor.predict(inputs)
    fitted.predictor.save(tmp_path)
    loaded = strategy.load(context, tmp_path)
    for mine, theirs in zip(loaded.predict(inputs), expected, strict=True):
        assert (mine.id, mine.answer, mine.failure) == (theirs.id, theirs.answer, theirs.failure)
        assert mine.probabilities == pytest.approx(theirs.probabilities, abs=1e-5)
    kept = loaded.served()
    if isinstance(kept, PromptServed) and kept.tuned is not None:  # a copy beside what was saved
        kept = replace(kept, adapter=contract.served.adapter, checkpoint=contract.served.checkpoint)
    assert kept == contract.served


def test_it_is_served_in_process_as_measured(contract, source, tmp_path):
    folder = assert_served_as_measured(contract, source, tmp_path / "bundle")
    card = (folder / "README.md").read_text(encoding="utf-8")  # names the model and its licence, whoever holds it
    assert ("Base model: `" in card) is (contract.strategy.facts.runs is Runs.BASE_MODEL)


def test_its_encoder_is_served_in_int8_where_answers_stay(contract, source, tmp_path):
    if not isinstance(contract.fitted.predictor, TakesInt8):
        return
    folder = write_bundle(contract.source(source), tmp_path / "bundle", int8=True)
    bundle = open_bundle(folder)
    assert bundle.int8.compared == bundle.int8.agreed == 12 + bundle.int8.compared_on_train
    assert (bundle.int8.compared_on_train, bundle.int8.taken) == (len(contract.context.train), True)
    assert bundle.int8.score == bundle.int8.score_before
    assert not (folder / "encoder").exists()
    assert [path.name for path in folder.rglob("*.safetensors")] in (["classifier.safetensors"], [])
    told = (folder / "README.md").read_text()
    assert re.search(r"The encoder runs in int8.*: (\d+) of \1 answers on dev, test and train are those", told)
    assert_answers_as_measured(folder, posting(create_app(folder, environment={})))


def test_int8_is_refused_with_the_figure_where_answers_differ(contract, source, tmp_path):
    if not isinstance(contract.fitted.predictor, TakesInt8):
        return
    odd = [replace(each, answer=None) for each in contract.evaluations["test"].predictions[:1]]
    other = contract.source(source, predictions=(*odd, *contract.evaluations["test"].predictions[1:]))
    folder = write_bundle(other, tmp_path / "bundle", int8=True)
    assert not list(folder.rglob("*.onnx"))
    assert list(folder.rglob("*.safetensors"))
    check = open_bundle(folder).int8
    assert not check.taken
    told = (
        rf"int8 was refused, .*: even with {check.floats} of its {check.products} matrix products in float32 "
        rf"{check.agreed} of {check.compared} answers on dev, test and train \([0-9.]+%; on dev and test alone "
        rf"{check.agreed - check.agreed_on_train} of 12\) .* 99\.5% are required\."
    )
    assert re.search(told, (folder / "README.md").read_text())


def test_the_report_draws_it_with_the_mark_and_colour_of_its_role(contract):
    name, look = contract.strategy.name, LOOKS[contract.strategy.role]
    sizes = {"train": len(contract.context.train), "dev": len(contract.context.dev), "test": len(contract.test)}
    content = ReportContent(
        task=contract.context.task,
        decision=contract.decision,
        summary=summarize(contract.decision),
        evaluations=tuple(contract.evaluations.values()),
        test_examples=contract.test,
        sizes=sizes,
        fit_findings={name: contract.fitted.findings},
        prices=PRICES,
    )
    page, text = render_html(content), markdown(content)
    role = contract.strategy.role.value
    shape = str(mark(contract.strategy.role, (7, 7), size=5)).split()[0]
    drawn = rf'<svg class="mark role-{role}"[^>]*>{shape} [^>]*></svg>{name}</span> <small>{look.name}</small>'
    assert re.search(drawn, page)
    assert f"--{role}: {look.colour};" in page
    assert f"--{role}: {look.dark_colour};" in page
    assert f"| **{name}** | {look.name} |" in text
