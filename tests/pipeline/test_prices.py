"""A change of price: nothing is scored again, and everything that is shown follows."""

import csv
import time
from dataclasses import fields
from pathlib import Path

import pytest

import llmtl
from llmtl.costs import Pricing
from llmtl.errors import RecipeError
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.run_format import read_examples
from llmtl.strategies.majority import Majority
from llmtl.strategies.tfidf import Tfidf

RE_RENDERED_SECONDS = 2.0


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    things = ("card", "order", "parcel", "account", "payment", "receipt", "ticket", "voucher", "phone", "bill")
    rows = [(f"refund the {thing} of {when}", "refund") for thing in things for when in ("may", "june", "july", "now")]
    rows += [(f"i lost my {thing} {where}", "lost") for thing in things for where in ("today", "at work", "in rome")]
    with (tmp_path / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    (tmp_path / "recipe.yaml").write_text(
        "name: priced\ndata: {path: data.csv, near_duplicate_threshold: 1.0}\nmodel: {name: pocket-llama}\n"
        "strategies: {run: [majority, tfidf]}\nlearning_curve: {enabled: false}\n"
    )
    return tmp_path / "recipe.yaml"


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every call of a predictor of these strategies, however it came about, by its number of inputs."""
    calls: list[int] = []

    class Counting:
        def __init__(self, predictor):
            self._predictor = predictor

        def predict(self, texts, **options):
            calls.append(len(texts))
            return self._predictor.predict(texts, **options)

        def __getattr__(self, name):
            return getattr(self._predictor, name)

    for strategy in (Majority, Tfidf):
        load = strategy.load
        monkeypatch.setattr(strategy, "load", lambda *given, _load=load: Counting(_load(*given)))
    return calls


def test_no_price_volume_or_currency_scores_anything_again(recipe: Path, predicted: list[int]):
    first = llmtl.run(recipe, out=recipe.parent / "run")
    assert predicted
    predicted.clear()
    for override in (
        "prices.requests_per_month=7000000",
        "prices.usd_per_cpu_hour=0.5",
        "prices.months=36",
        "prices.usd_per_label=0.2",
        "prices.gpu=a10g",
        "prices.utilisation=0.3",
        "prices.peak_factor=10",
        "prices.billing=serverless",
        "decision.usd_per_error=0.03",
        "decision={usd_per_error: 2, error_costs: {refund: {lost: 50}}}",
    ):
        started = time.process_time()
        again = llmtl.run(recipe, out=recipe.parent / "run", overrides=[override])
        assert time.process_time() - started < RE_RENDERED_SECONDS, override
        assert predicted == [], override
        assert again.evaluations == first.evaluations, override


def test_what_is_shown_follows_the_price(recipe: Path):
    cheap, dear = (
        llmtl.run(recipe, out=recipe.parent / "run", overrides=[f"prices.usd_per_cpu_hour={hourly}"])
        for hourly in (0.1, 10.0)
    )
    for one, other in zip(cheap.decision.strategies, dear.decision.strategies, strict=True):
        assert other.usd_per_1k_requests == pytest.approx(100 * one.usd_per_1k_requests)
        assert other.usd_total == pytest.approx(100 * one.usd_total)
    assert dear.result.spending.total.usd == pytest.approx(100 * cheap.result.spending.total.usd)
    measured = next(item for item in dear.evaluations if (item.strategy, item.split) == ("tfidf", "dev"))
    assert Pricing(dear.recipe.prices).per_month(measured) == pytest.approx(730 * 10.0)


def test_an_evaluation_holds_no_money():
    assert not [field.name for field in fields(Evaluation) if "usd" in field.name]


def test_the_choice_follows_the_cost_of_an_error(recipe: Path):
    unpriced, free, dear = (
        llmtl.run(recipe, out=recipe.parent / "run", overrides=list(overrides))
        for overrides in ((), ("decision.usd_per_error=0",), ("decision.usd_per_error=5",))
    )
    assert unpriced.decision.expected_totals is None
    assert free.decision.choice.expected_totals.of("majority").usd_errors == 0
    assert (
        free.decision.choice.strategy
        == min(free.decision.choice.expected_totals.strategies, key=lambda item: item.usd_spent).strategy
    )
    assert dear.decision.choice.strategy == "tfidf"
    assert dear.decision.value_of_accuracy == free.decision.value_of_accuracy
    labels = dear.decision.choice.labels_used
    assert (
        labels["majority"]
        == labels["tfidf"]
        == len(read_examples(dear.folder, "train")) + len(read_examples(dear.folder, "dev"))
    )


def test_a_table_of_errors_that_names_no_label_of_the_data_is_refused_before_anything_is_measured(recipe: Path):
    with pytest.raises(RecipeError, match="names 'complaint', which is not a label of the task; use lost, refund"):
        llmtl.run(
            recipe,
            out=recipe.parent / "run",
            overrides=["decision={usd_per_error: 1, error_costs: {complaint: {lost: 2}}}"],
        )
    assert not (recipe.parent / "run").exists()
