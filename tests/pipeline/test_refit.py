"""Which strategies are fitted again without labels that look wrong, on a tiny real checkpoint."""

import csv
from dataclasses import replace

import pytest

from llmtl.costs import Pricing, Spent
from llmtl.decision.sensitivity import Suspects, Unfitted
from llmtl.pipeline.measure import Bench
from llmtl.pipeline.noise_refits import refitted, uses
from llmtl.pipeline.prepare import prepare
from llmtl.progress import Silent
from llmtl.settings import load_recipe
from llmtl.store import Store, read_json

NAMES = ("tfidf", "zero-shot", "few-shot", "knn-few-shot", "qlora")


class Heard(Silent):
    """A `Progress` that keeps the lines it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def measured(tmp_path_factory, tiny_llama):
    """Return a bench that has measured all strategies, with their dev and test evaluations."""
    folder = tmp_path_factory.mktemp("refit")
    things = ("card", "order", "parcel", "account", "payment", "receipt", "ticket", "voucher", "phone", "bill")
    rows = [(f"please refund the {thing} of {when}", "refund") for thing in things for when in ("monday", "july")]
    rows += [(f"i lost my {thing} {where}", "card lost") for thing in things for where in ("on a train", "at work")]
    with (folder / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    (folder / "recipe.yaml").write_text(
        f"name: tiny\ndata: {{path: data.csv}}\nmodel: {{name: '{tiny_llama}'}}\nencoder: null\n"
        f"strategies: {{run: [{', '.join(NAMES)}], qlora: {{max_epochs: 1}}, few_shot: {{shots: [2], seeds: 1}}, "
        "knn_few_shot: {shots: [2]}}\nlabel_noise: {refit_minutes: 60}\n"
    )
    prepared = prepare(load_recipe(folder / "recipe.yaml"), Silent())
    bench = Bench(prepared, prepared.split, None, Store(folder / "out"), Silent())
    dev, test = ([bench.evaluate(strategy, part)[0] for strategy in prepared.strategies] for part in ("dev", "test"))
    return bench, dev, test


def demonstrations(bench: Bench) -> set[str]:
    few = next(strategy for strategy in bench.prepared.strategies if strategy.name == "few-shot")
    return {example.id for example in bench.predictor(few).served().demonstrations}


def again(measured, ids, *, minutes=60.0):
    bench, dev, test = measured
    heard = Heard()
    section = bench.prepared.recipe.label_noise.model_copy(update={"refit_minutes": minutes})
    recipe = bench.prepared.recipe.model_copy(update={"label_noise": section})
    bench = replace(bench, prepared=replace(bench.prepared, recipe=recipe), progress=heard)
    return refitted(bench, Suspects(frozenset(ids)), dev=dev, test=test), heard


def test_whoever_learned_from_or_may_show_a_suspect_is_fitted_again(measured):
    bench, _, test = measured
    shown = sorted(demonstrations(bench))[0]
    dropped = test[0].predictions[0].id
    found, _ = again(measured, {shown, dropped})
    assert {(item.strategy, item.split) for item in found.refitted} == {
        (name, part) for name in NAMES if name != "zero-shot" for part in ("dev", "test")
    }
    assert (found.in_train, found.not_refitted) == (1, {})
    # every fit of the folder but the run's own five is one of these
    fits = {path: read_json(path) for path in (bench.store.folder / "steps").glob("fit-*/result.json")}
    own = {bench.fit_folder(strategy) / "result.json" for strategy in bench.prepared.strategies}
    fitting = sum(fit["train_seconds"] for path, fit in fits.items() if path not in own)
    scoring = sum(prediction.seconds for item in found.refitted for prediction in item.predictions)
    assert found.spent.seconds == pytest.approx(fitting + scoring)
    pricing = Pricing(bench.prepared.recipe.prices)
    scored_usd = sum(pricing.per_1k_at_full_use(item) * item.n / 1000 for item in found.refitted)
    hourly = bench.prepared.recipe.prices.usd_per_cpu_hour
    assert found.spent.usd == pytest.approx(fitting / 3600 * hourly + scored_usd)
    scored = next(item for item in found.refitted if (item.strategy, item.split) == ("qlora", "test"))
    assert scored.n == test[0].n - 1
    assert dropped not in {prediction.id for prediction in scored.predictions}


def test_demonstrations_without_a_suspect_stay(measured):
    bench = measured[0]
    unseen = next(example.id for example in bench.split.train if example.id not in demonstrations(bench))
    served = {strategy.name: (strategy, bench.predictor(strategy).served()) for strategy in bench.prepared.strategies}
    assert {name for name, (strategy, how) in served.items() if uses(strategy, how, {unseen})} == {
        "tfidf",
        "knn-few-shot",
        "qlora",
    }


def test_without_time_only_baselines_are_fitted_again_and_the_others_are_named(measured):
    shown = sorted(demonstrations(measured[0]))[0]
    found, heard = again(measured, {shown}, minutes=0.0)
    assert {item.strategy for item in found.refitted} == {"tfidf"}
    assert set(found.not_refitted) == {"few-shot", "knn-few-shot", "qlora"}
    assert {why.why for why in found.not_refitted.values()} == {Unfitted.NO_TIME}
    assert len(heard.lines) == 3
    assert "qlora" in heard.lines[-1]


def test_no_suspect_in_train_leaves_nothing_to_do(measured):
    _, _, test = measured
    found, _ = again(measured, {test[0].predictions[0].id})
    assert (found.in_train, found.refitted, found.not_refitted, found.spent) == (0, (), {}, Spent())
