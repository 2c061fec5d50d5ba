"""The hosted strategy against a real HTTP server, and through a whole run in which inputs must stay private."""

import json
from dataclasses import replace

import pytest

import llmtl
from llmtl.costs import PriceConfig, Pricing
from llmtl.decision.one_draw import OneDraw
from llmtl.errors import HostedError, RecipeError
from llmtl.findings import PaidFitting, finding
from llmtl.prompting.fitted import PROMPT_FILE
from llmtl.store import write_json
from llmtl.strategies.hosted import Hosted, HostedConfig
from llmtl.strategies.table import StrategiesConfig, build
from llmtl.strategy import Role
from llmtl.task import Draw, references
from tests.support.fitted import again, search_of
from tests.support.hosted_server import completion, error, hosted_server
from tests.support.routing_task import labelled

PRICES = PriceConfig(usd_per_million_prompt_tokens=2.0, usd_per_million_completion_tokens=10.0)
KEYWORDS = {"money": "refund", "lost": "card lost", "charged": "billing"}


def answer(body):
    """Return the label by keyword; without demonstrations always the first, so that they are worth choosing."""
    text = body["messages"][-1]["content"]
    if "unclear" in text:
        return completion("I would rather not say")
    label = next(label for word, label in KEYWORDS.items() if word in text) if len(body["messages"]) > 2 else "billing"
    first = label.split(" ")[0]
    steps = [(first, {first: 0.8, **{each.split(" ")[0]: 0.1 for each in KEYWORDS.values() if each != label}})]
    return completion(label, steps=steps, prompt_tokens=50 * len(body["messages"]), completion_tokens=2)


@pytest.fixture
def server():
    with hosted_server(answer) as server:
        yield server


@pytest.fixture
def config(server):
    return HostedConfig(base_url=server.url, model="m", api_key_env=None, shots=(0, 2), max_retries=0)


@pytest.fixture
def context(make_context):
    return replace(make_context(), prices=PRICES)


def test_it_chooses_on_dev_and_a_resumed_fit_asks_nothing(server, config, context):
    fitted = Hosted(config).fit(context)
    trace, paid = search_of(fitted), finding(fitted.findings, PaidFitting)
    assert [(each.shots, each.scores["accuracy"]) for each in trace.tried][1] == (2, 1.0)
    assert trace.shots == 2
    assert paid.requests == len(server.bodies) == 2 * len(context.dev)
    assert paid.usd == pytest.approx(sum(50 * len(body["messages"]) * 2.0 + 2 * 10.0 for body in server.bodies) / 1e6)
    assert Hosted(config).fit(context).predictor.served() == fitted.predictor.served()
    restored = again(Hosted(config), context, fitted.predictor)
    found = restored.predict([example.text for example in context.dev])
    assert [each.answer for each in found] == references(context.dev)
    assert len(server.bodies) == 2 * len(context.dev)
    assert all(sum(each.probabilities.values()) == pytest.approx(1.0) for each in found)
    assert found[0].prompt_tokens == 50 * 6


def test_an_unreadable_answer_is_a_recorded_failure_and_paid_once(server, config, context):
    write_json(context.folder / PROMPT_FILE, {"demonstrations": [context.train[0].id], "instruction": "Sort it."})
    restored = Hosted(config).load(context, context.folder)
    found = restored.predict(["charged", "unclear", "money"])
    assert [each.answer for each in found] == ["billing", None, "refund"]
    assert "I would rather not say" in found[1].failure
    assert len(server.bodies) == 3


def test_the_spend_limit_ends_the_fit(config, context):
    with pytest.raises(HostedError, match=r"spend limit of 0\.002 USD"):
        Hosted(config.model_copy(update={"max_usd": 0.002})).fit(context)


@pytest.mark.parametrize(
    ("changes", "prices", "reason"),
    [
        ({"model": None}, PRICES, r"set strategies\.hosted\.model"),
        ({}, PriceConfig(), r"set prices\.usd_per_million_prompt_tokens"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_asked(server, config, context, changes, prices, reason):
    with pytest.raises(RecipeError, match=reason):
        Hosted(config.model_copy(update=changes)).fit(replace(context, prices=prices))
    assert server.bodies == []


def test_it_is_measured_only_where_it_is_listed():
    assert "hosted" not in {strategy.name for strategy in build(StrategiesConfig())}
    assert [strategy.name for strategy in build(StrategiesConfig(run=("hosted",)))] == ["hosted"]


def recipe(folder, url, *, private):
    rows = [f"{example.text},{example.reference}" for example in labelled(60)]
    (folder / "data.csv").write_text("\n".join(["text,label", *rows]))
    (folder / "recipe.yaml").write_text(
        "name: mail\ndata: {path: data.csv, near_duplicate_threshold: 1.0}\nmodel: {name: pocket-llama}\n"
        "strategies:\n  run: [majority, hosted]\n"
        f"  hosted: {{base_url: '{url}', model: m, api_key_env: null, shots: [2]}}\n"
        "prices: {usd_per_million_prompt_tokens: 0.5, usd_per_million_completion_tokens: 1.5}\n"
        f"decision: {{private: {str(private).lower()}, resamples: 1000}}\n"
    )
    return folder / "recipe.yaml"


def test_a_whole_run_without_loading_the_local_model(server, tmp_path):
    run = llmtl.run(recipe(tmp_path, server.url, private=False), out=tmp_path / "run")
    asked = len(server.bodies)
    hosted = next(each for each in run.evaluations if (each.strategy, each.split) == ("hosted", "test"))
    assert (run.decision.winner, hosted.role, hosted.failed) == ("hosted", Role.PROMPTING, 0)
    pricing = Pricing(run.recipe.prices)
    assert pricing.per_1k(hosted) == pytest.approx(1000 * (6 * 50 * 0.5 + 2 * 1.5) / 1e6)
    assert hosted.p95_ms > 0
    charged = sum(50 * len(body["messages"]) * 0.5 + 2 * 1.5 for body in server.bodies) / 1e6
    assert run.result.spending.total.usd == pytest.approx(charged, rel=1e-3)  # majority takes no time to speak of
    assert 0 < pricing.fitting(hosted) < charged
    dearer = run.recipe.prices.model_copy(update={"usd_per_million_prompt_tokens": 50.0})
    assert Pricing(dearer).fitting(hosted) > 10 * pricing.fitting(hosted)  # what was charged is tokens times price
    assert {body["model"] for body in server.bodies} == {"m"}
    assert len({json.dumps(body) for body in server.bodies}) == asked
    assert run.predictor("hosted").predict(["charged"])[0].answer == "billing"


def test_a_finalist_is_asked_twice_within_its_spend_limit(server, tmp_path):
    source = recipe(tmp_path, server.url, private=False)
    plain = ["strategies.hosted.shots=[0]"]
    run = llmtl.run(source, overrides=plain, out=tmp_path / "twice")
    hosted = run.decision.result("hosted").test
    assert (hosted.seeds, hosted.draw, hosted.draw_sd) == (2, Draw.REPLIES, 0.0)
    repeated = run.result.spending.training_seeds.usd
    assert repeated == pytest.approx(hosted.n * (2 * 50 * 0.5 + 2 * 1.5) / 1e6)  # test once more, and nothing on dev
    charged = sum(50 * len(body["messages"]) * 0.5 + 2 * 1.5 for body in server.bodies) / 1e6
    assert run.result.spending.total.usd == pytest.approx(charged, rel=0.02)  # machines take a little
    server.bodies.clear()
    limit = charged - repeated / 2
    once = llmtl.run(source, overrides=[*plain, f"strategies.hosted.max_usd={limit}"], out=tmp_path / "once")
    [caution] = [item for item in once.decision.cautions if isinstance(item, OneDraw)]
    assert (caution.strategy, caution.draw) == ("hosted", Draw.REPLIES)
    assert once.decision.result("hosted").test.seeds == 1
    assert once.decision.comparisons[0].draw_sd == pytest.approx(caution.sd) != 0
    assert once.result.spending.training_seeds.usd == 0
    assert len(server.bodies) * (2 * 50 * 0.5 + 2 * 1.5) / 1e6 < limit


def test_private_inputs_are_sent_to_no_other_machine(server, tmp_path):
    elsewhere = server.url.replace("127.0.0.1", "0.0.0.0")  # reaches this server, and is no loopback address
    run = llmtl.run(recipe(tmp_path, elsewhere, private=True), out=tmp_path / "run")
    assert (run.decision.winner, server.bodies) == ("majority", [])
    assert elsewhere in run.index.skipped["hosted"].message
    report = (run.folder / "report.md").read_text()
    assert "| private | inputs stay here | they stay | Prompt to a hosted model (not measured) |" in report
    llmtl.run(recipe(tmp_path, elsewhere, private=False), out=tmp_path / "public")
    assert server.bodies


def test_private_inputs_may_go_to_an_endpoint_of_this_machine(server, tmp_path):
    run = llmtl.run(recipe(tmp_path, server.url, private=True), out=tmp_path / "run")
    assert run.decision.winner == "hosted"
    assert run.index.skipped == {}


def test_with_nothing_but_hosted_models_private_inputs_are_no_run(server, tmp_path):
    file = recipe(tmp_path, "https://api.openai.com/v1", private=True)
    with pytest.raises(RecipeError, match="Every strategy of the recipe sends inputs away"):
        llmtl.run(file, overrides=["strategies.run=[hosted]"], out=tmp_path / "run")


def test_replies_of_an_interrupted_fit_are_paid_once_and_not_lost(server, config, context):
    def failing(body):
        return error(500, "down") if len(server.bodies) > 5 else answer(body)

    server.answer = failing
    with pytest.raises(HostedError, match="did not answer"):
        Hosted(config.model_copy(update={"concurrency": 1})).fit(context)
    paid = server.bodies[:5]
    server.answer, server.bodies = answer, []
    paid_then = finding(Hosted(config).fit(context).findings, PaidFitting)
    assert paid_then.requests == len(paid) + len(server.bodies) == 2 * len(context.dev)
    charged = sum(50 * len(body["messages"]) * 2.0 + 2 * 10.0 for body in [*paid, *server.bodies]) / 1e6
    assert paid_then.usd == pytest.approx(charged)
