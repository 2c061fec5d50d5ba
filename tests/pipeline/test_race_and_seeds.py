"""The race and further training seeds in a whole run on a tiny real checkpoint."""

import csv

import pytest

import llmtl
from llmtl.costs import UNKNOWN, Pricing, Spent
from llmtl.decision.one_draw import OneDraw
from llmtl.store import read_json
from llmtl.task import Draw


@pytest.fixture(scope="module")
def source(tmp_path_factory, tiny_llama):
    folder = tmp_path_factory.mktemp("race")
    things = ("card", "order", "parcel", "account", "payment", "receipt", "ticket", "voucher", "phone", "bill")
    rows = [(f"please refund the {thing} of {when}", "refund") for thing in things for when in ("monday", "july")]
    rows += [(f"i lost my {thing} {where}", "card lost") for thing in things for where in ("on a train", "at work")]
    with (folder / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    (folder / "recipe.yaml").write_text(
        f"name: tiny\ndata: {{path: data.csv}}\nmodel: {{name: '{tiny_llama}'}}\nencoder: null\n"
        "strategies: {run: [tfidf, zero-shot, few-shot, qlora], qlora: {max_epochs: 1}, "
        "few_shot: {shots: [4], seeds: 1}}\ndecision: {racing_block: 2, training_seeds: 2}\n"
        "learning_curve: {strategies: [tfidf]}\n"
    )
    return folder


@pytest.fixture(scope="module")
def raced(source):
    return llmtl.run(source / "recipe.yaml", out=source / "raced")


def test_survivors_predict_what_they_predict_without_a_race(source, raced):
    whole = llmtl.run(source / "recipe.yaml", out=source / "whole", overrides=["decision.racing=false"])
    assert list((raced.folder / "steps").glob("race*"))
    assert not list((whole.folder / "steps").glob("race*"))
    unraced = {item.strategy: item for item in whole.evaluations if item.split == "dev"}
    for item in raced.evaluations:
        if item.split == "dev":
            expected = unraced[item.strategy]
            assert [each.id for each in item.predictions] == [each.id for each in expected.predictions]
            assert item.answers == expected.answers


def test_what_the_race_found_is_written_with_the_choice(raced):
    assert {"dropped", "optimism"} <= set(read_json(raced.folder / "choice.json"))


def test_a_tuned_finalist_is_trained_again(source):
    """As the only strategy with a language model it is compared on test whatever dev says."""
    run = llmtl.run(source / "recipe.yaml", out=source / "seeds", overrides=["strategies.run=[tfidf, qlora]"])
    tuned = next(item for item in run.evaluations if (item.strategy, item.split) == ("qlora", "test"))
    assert [len(seed) for seed in tuned.seed_predictions] == [tuned.n]
    assert next(item.test.seeds for item in run.decision.strategies if item.name == "qlora") == 2
    assert "seeds" in run.decision.comparisons[0].method
    check_spending(run, tuned)


def test_a_finalist_with_demonstrations_is_given_others(source):
    run = llmtl.run(source / "recipe.yaml", out=source / "draws", overrides=["strategies.run=[tfidf, few-shot]"])
    [shown] = [item for item in run.evaluations if (item.strategy, item.split) == ("few-shot", "test")]
    result = next(item.test for item in run.decision.strategies if item.name == "few-shot")
    assert (result.seeds, result.draw, result.draw_sd) == (2, Draw.DEMONSTRATIONS, 0.0)  # a CPU has a time budget
    assert [len(each) for each in shown.seed_predictions] == [shown.n]
    folders = sorted((run.folder / "steps").glob("fit-few-shot*"))
    prompts = [read_json(folder / "prompt.json") for folder in folders]
    assert len(folders) == 2
    assert len({tuple(prompt["demonstrations"]) for prompt in prompts}) == 2
    assert len({prompt["instruction"] for prompt in prompts}) == 1  # the wording is that of the first fit
    own = run.folder / run.index.fits["few-shot"]
    trace = {folder: read_json(folder / "result.json")["findings"][0] for folder in folders}
    assert {len(found["tried"]) for folder, found in trace.items() if folder != own} == {0}  # nothing to choose from
    assert run.result.spending.training_seeds.seconds > 0
    tfidf = next(item.test for item in run.decision.strategies if item.name == "tfidf")
    assert (tfidf.seeds, tfidf.draw, tfidf.draw_sd) == (1, Draw.NONE, 0.0)
    assert all(not isinstance(item, OneDraw) for item in run.decision.cautions)


def test_one_draw_widens_the_verdict_and_says_so(source):
    chosen = ["strategies.run=[tfidf, few-shot]", "decision.draws=1"]
    run = llmtl.run(source / "recipe.yaml", out=source / "draws", overrides=chosen)
    [once] = [item for item in run.decision.cautions if isinstance(item, OneDraw)]
    assert (once.strategy, once.draw) == ("few-shot", Draw.DEMONSTRATIONS)
    assert run.decision.comparisons[0].draw_sd == pytest.approx(once.sd)
    assert any("few-shot was measured with one draw of demonstrations" in line for line in run.summary.warnings)


def check_spending(run, tuned):
    """What deciding took: every fit once, the second seed apart and in no bill of the strategy, every prediction."""
    spending = run.result.spending
    fits = {path.parent.name: read_json(path) for path in (run.folder / "steps").glob("fit-qlora*/result.json")}
    own = read_json(run.folder / run.index.fits["qlora"] / "result.json")["train_seconds"]
    assert len(fits) == 2
    again = sum(fit["train_seconds"] for fit in fits.values()) - own
    scored = sum(prediction.seconds for prediction in tuned.seed_predictions[0])
    assert spending.training_seeds.seconds == pytest.approx(again + scored)
    pricing = Pricing(run.recipe.prices)
    fits_usd = sum(pricing.fitting(item) for item in run.evaluations if item.split == "dev")
    assert spending.fitting.usd == pytest.approx(fits_usd)
    assert pricing.fitting(tuned) == pytest.approx(own / 3600 * run.recipe.prices.usd_per_cpu_hour)
    asked = [read_json(path) for path in (run.folder / "steps").glob("general-*/result.json")]
    general = sum(each.get("scores", each)["seconds"] for each in asked)
    forgetting = general / 3600 * run.recipe.prices.usd_per_cpu_hour  # what tuning forgot is asked beside dev
    for split, spent, beside in (("dev", spending.dev, forgetting), ("test", spending.test, 0.0)):
        mine = [item for item in run.evaluations if item.split == split]
        scored = sum(pricing.per_1k_at_full_use(item) * item.n / 1000 for item in mine)
        assert spent.usd == pytest.approx(scored + beside)
    curve = sum(
        read_json(path)["train_seconds"]
        for path in (run.folder / "steps").glob("fit-tfidf*/result.json")
        if str(path.parent.relative_to(run.folder)) != run.index.fits["tfidf"]
    )
    assert spending.learning_curves.seconds >= curve > 0
    parts = (spending.fitting, spending.training_seeds, spending.dev, spending.test, spending.learning_curves)
    assert (spending.refits, spending.judge) == (Spent(), Spent())  # there is no suspect and no judge
    assert spending.total.usd == pytest.approx(sum(part.usd for part in parts))
    assert spending.overhead == UNKNOWN
