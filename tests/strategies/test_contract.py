"""Every strategy on every kind of task that it serves: fitted, saved, loaded, served in process, drawn in the report.

Not covered: whether it learns anything (its own test), vLLM itself (`tests/serving/live`).
"""

import asyncio
import json
import re
from dataclasses import dataclass, replace
from functools import cached_property

import httpx
import pytest

from llmtl.answers import write_labels, write_ranking
from llmtl.costs import PriceConfig, token_prices
from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig
from llmtl.decision.decide import decide
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.findings import FIT_FINDINGS
from llmtl.kinds.table import KINDS
from llmtl.pipeline.evaluate import Subject, evaluate
from llmtl.prompting.template import Template
from llmtl.report import ReportContent, markdown, summarize
from llmtl.report.html import render_html
from llmtl.report.svg import mark
from llmtl.serving.bundle.int8_form import TakesInt8
from llmtl.serving.bundle.provider import hosted_winner
from llmtl.serving.bundle.read import open_bundle
from llmtl.serving.bundle.source import BundleSource, MeasuredStrategy
from llmtl.serving.bundle.write import write_bundle
from llmtl.serving.task_api.classifier_app import create_app
from llmtl.serving.task_api.middleware import TaskMiddleware
from llmtl.strategies.table import STRATEGIES, section_name
from llmtl.strategy import LOOKS, FitContext, Fitted, PromptServed, ProviderServed, Runs, Strategy
from llmtl.task import CorpusText, Example, Task
from tests.support.hosted_server import completion, hosted_server
from tests.support.kind_checks import assert_answers_as_measured
from tests.support.over_engine import OverEngine

WORDS = ("refund", "delivery", "login")
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
PRICES = PriceConfig(usd_per_million_prompt_tokens=2.0, usd_per_million_completion_tokens=10.0)
CONFIG = DecisionConfig(resamples=1000)
EACH = [
    pytest.param((kind, name), id=f"{kind}-{name}")
    for kind in KINDS
    for name, each in STRATEGIES.items()
    if each.facts.serves(kind)
]


def reference(kind, word):
    return {
        "label": word,
        "labels": write_labels([word], WORDS),
        "spans": json.dumps([{"type": word, "text": word, "start": 3, "end": 3 + len(word)}]),
        "text": f"about {word}",
        "ranking": write_ranking([word]),
    }[kind.shape]


def examples(kind, count, mark):
    chosen = [WORDS[at % 3] for at in range(count)]
    return tuple(Example(f"{mark}{at}", f"my {word} {at}", reference(kind, word)) for at, word in enumerate(chosen))


@dataclass(frozen=True)
class Contract:
    """One strategy fitted on one kind of task, and what a run would make of it."""

    strategy: Strategy
    context: FitContext
    fitted: Fitted
    test: tuple[Example, ...]

    @property
    def served(self):
        return self.fitted.predictor.served()

    @cached_property
    def evaluations(self):
        subject = Subject(self.strategy.name, self.strategy.role, self.fitted.predictor, "cpu", train_seconds=1.0)
        splits = {"dev": self.context.dev, "test": self.test}
        return {split: evaluate(subject, self.context.task, rows, split=split) for split, rows in splits.items()}

    @cached_property
    def decision(self):
        dev, test, task = self.evaluations["dev"], self.evaluations["test"], self.context.task
        choice = choose(task, [dev], config=CONFIG, prices=PRICES, written_at="2026-11-27 09:00 UTC")
        return decide(task, choice, dev=[dev], test=[test], config=CONFIG, prices=PRICES)

    def source(self, model, **changes):
        """Give what a bundle of it as a winner is written from; `model` is the checkpoint that it was fitted with."""
        measured, dev = (replace(self.evaluations[split], **changes) for split in ("test", "dev"))
        facts, folder = self.strategy.facts, self.context.folder
        own = MeasuredStrategy(facts, measured, folder, load=lambda: self.fitted.predictor, dev=dev)
        away = self.served.model if isinstance(self.served, ProviderServed) else None
        hosted = away and hosted_winner(away.endpoint, token_prices(PRICES), measured, top_logprobs=away.top_logprobs)
        return BundleSource(
            task=self.context.task,
            winner=own.name,
            strategies=(own,),
            train=self.context.train,
            test=self.test,
            model=model,
            model_name="tiny",
            device="cpu",
            decision=self.decision,
            summary=summarize(self.decision),
            provenance={},
            sizes={"train": len(self.context.train), "dev": len(self.context.dev), "test": len(self.test)},
            made_from="",
            hosted=hosted,
            encoder=self.context.encoder,
            dev=self.context.dev,
        )


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
    folder = write_bundle(contract.source(source), tmp_path / "bundle")
    card = (folder / "README.md").read_text(encoding="utf-8")  # names the model and its licence, whoever holds it
    assert ("Base model: `" in card) is (contract.strategy.facts.runs is Runs.BASE_MODEL)
    served = contract.served
    if isinstance(served, PromptServed):
        engine = OverEngine(folder, contract.context.load_engine(served.tuned), served.adapter)
        app = TaskMiddleware(engine, {"LLMTL_BUNDLE": str(folder)})
    else:
        app = create_app(folder, environment={})

    assert_answers_as_measured(folder, posting(app))


def posting(app):
    """Return what posts a body to a path of an application."""

    def post(path, body):
        async def go():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
                return await client.post(path, json=body)

        return asyncio.run(go())

    return post


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
