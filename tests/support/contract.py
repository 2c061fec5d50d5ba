"""A strategy fitted on a kind of task, and what a run would make of it: evaluations, decision, bundle."""

import asyncio
import json
from dataclasses import dataclass, replace
from functools import cached_property

import httpx

from llmtl.answers import write_labels, write_ranking
from llmtl.costs import PriceConfig, token_prices
from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig
from llmtl.decision.decide import decide
from llmtl.pipeline.evaluate import Subject, evaluate
from llmtl.report import summarize
from llmtl.serving.bundle.provider import hosted_winner
from llmtl.serving.bundle.source import BundleSource, MeasuredStrategy
from llmtl.serving.bundle.write import write_bundle
from llmtl.serving.task_api.classifier_app import create_app
from llmtl.serving.task_api.middleware import TaskMiddleware
from llmtl.strategy import FitContext, Fitted, PromptServed, ProviderServed, Strategy
from llmtl.task import Example
from tests.support.kind_checks import assert_answers_as_measured
from tests.support.over_engine import OverEngine

WORDS = ("refund", "delivery", "login")
PRICES = PriceConfig(usd_per_million_prompt_tokens=2.0, usd_per_million_completion_tokens=10.0)
CONFIG = DecisionConfig(resamples=1000)


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


def assert_served_as_measured(contract, source, folder):
    """Write a bundle and serve it in process: it answers what was measured. Return its folder."""
    written = write_bundle(contract.source(source), folder)
    served = contract.served
    if isinstance(served, PromptServed):
        engine = OverEngine(written, contract.context.load_engine(served.tuned), served.adapter)
        app = TaskMiddleware(engine, {"LLMTL_BUNDLE": str(written)})
    else:
        app = create_app(written, environment={})
    assert_answers_as_measured(written, posting(app))
    return written


def posting(app):
    """Return what posts a body to a path of an application."""

    def post(path, body):
        async def go():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
                return await client.post(path, json=body)

        return asyncio.run(go())

    return post
