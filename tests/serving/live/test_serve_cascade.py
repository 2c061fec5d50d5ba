"""Cascades served: reopened from the run, in one process of llmtl, in front of vLLM, in front of a provider.

The prompted member is calibrated: what vLLM is asked comes back as the measured, calibrated label.
"""

import json
from collections import Counter

import httpx
import pytest
from starlette.testclient import TestClient

import llmtl
from llmtl.pipeline.export import export
from llmtl.pipeline.playground import playground_content
from llmtl.pipeline.run_format import read_examples
from llmtl.playground.cost import price
from llmtl.report.decision_file import from_json, to_json
from llmtl.report.naming import title
from llmtl.serving.bundle.manifest import AnswersFirst, Weights
from llmtl.serving.bundle.read import open_bundle
from llmtl.serving.task_api.classifier_app import create_app
from llmtl.store import read_json
from llmtl.strategies.cascade import confidence
from llmtl.strategy import CascadeServed
from tests.support.front_desk import write_messages
from tests.support.hosted_server import completion, hosted_server
from tests.support.live_bundle import client_of, live_server
from tests.support.live_checks import assert_chats_as_measured, assert_predicts_as_measured, chat, measured, user
from tests.support.serve_process import serving

pytestmark = pytest.mark.slow
LOCAL, PROMPTED = "tfidf-else-linear-probe", "tfidf-else-zero-shot"
CALIBRATED = "front-desk/zero-shot"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run in which tfidf was composed with a head on the model and with the prompted model."""
    folder = tmp_path_factory.mktemp("cascade")
    write_messages(folder / "messages.csv")
    (folder / "recipe.yaml").write_text(
        "name: front-desk\ndata: {path: messages.csv}\nmodel: {name: pocket-llama, engine: transformers}\n"
        "task: {instruction: 'Say what the message is about.'}\n"
        "strategies:\n  run: [majority, tfidf, linear-probe, zero-shot]\n"
        "  zero_shot: {calibration: auto, dev_examples: 40}\n"
        "learning_curve: {enabled: false}\ndecision: {resamples: 1000}\n"
    )
    return llmtl.run(folder / "recipe.yaml", out=folder / "run")


def evaluation(run, name, split="test"):
    return next(each for each in run.evaluations if (each.strategy, each.split) == (name, split))


def kept_prompt(run):
    """Return what the run kept of zero-shot."""
    return read_json(run.folder / run.index.fits["zero-shot"] / "prompt.json")


def passed_on(run, name):
    """Return which test examples the first member is not sure enough of."""
    cascade = run.cascade(name)
    return [confidence(item) < cascade.threshold for item in evaluation(run, cascade.first).predictions]


@pytest.mark.parametrize("name", [LOCAL, PROMPTED])
def test_a_kept_run_reopens_and_predicts_with_both_members(run, name):
    again = llmtl.load_run(run.folder)
    inputs = [example.input for example in read_examples(run.folder, "test")]
    recorded = evaluation(run, name).predictions
    for mine, then in zip(again.predictor(name).predict(inputs), recorded, strict=True):
        assert mine.answer == then.answer
        assert mine.probabilities == pytest.approx(then.probabilities, abs=1e-5)
    assert isinstance(again.predictor(name).served(), CascadeServed)
    assert 0 < sum(passed_on(run, name)) < len(inputs)


def test_the_report_and_the_decision_have_it_like_any_other(run):
    report = (run.folder / "report.md").read_text()
    assert (
        f"- {title(PROMPTED)}: TF-IDF and logistic regression answers what it gives a probability of at least" in report
    )
    assert f"| {title(PROMPTED)} `{PROMPTED}` | cascade |" in report.replace("*", "")
    assert "role-cascade" in (run.folder / "report.html").read_text().split("<body>")[1]
    document = json.loads((run.folder / "decision.json").read_text())
    assert {"role": "cascade"}.items() <= next(row for row in document["strategies"] if row["name"] == LOCAL).items()
    assert to_json(from_json(document), run.summary, spending=run.result.spending) == document


def test_the_recipe_switches_them_off(run, tmp_path):
    recipe = run.folder.parent / "recipe.yaml"
    off = llmtl.run(recipe, overrides=["strategies.cascade=false", "strategies.run=[majority, tfidf]"], out=tmp_path)
    assert [item.name for item in off.decision.strategies] == ["majority", "tfidf"]


def test_two_local_members_are_served_in_one_process(run):
    options = ("--strategy", LOCAL, "--port", "0", "--no-playground", "--no-measure", "--gate", "all")
    with serving(run.folder, *options) as server:
        url = server.announced()
        assert "Parity: 45 of 45 recorded labels, probabilities within" in server.output
        told = httpx.get(f"{url}/task").json()
        assert (told["strategy"], told["cascade"]["first"]) == (LOCAL, "tfidf")
        costs = {cost.name: cost for cost in playground_content(url.removesuffix("/v1"), run=run).costs}
        assert server.stop() == 0
    prices = run.recipe.prices
    for name in (LOCAL, PROMPTED):
        result = run.decision.result(name)
        priced = price(costs[title(name)], prices)
        assert priced.month == pytest.approx(result.usd_per_month)
        assert priced.in_all == pytest.approx(result.usd_total)
    [bundle] = [path.parent for path in run.folder.glob("bundle*/bundle.json")]
    kept = open_bundle(bundle)
    share = sum(passed_on(run, LOCAL)) / 45
    assert kept.first == AnswersFirst("tfidf", run.cascade(LOCAL).threshold, "linear-probe", share)
    assert (kept.winner.name, kept.winner.weights, kept.on_vllm) == (LOCAL, Weights.CLASSIFIER, False)


def test_vllm_is_asked_only_what_the_first_member_is_not_sure_of(run, tmp_path):
    folder = export(run, tmp_path / "bundle", strategy=PROMPTED)
    assert (
        "Stock vLLM does not know `tfidf` and answers everything by `zero-shot`" in (folder / "README.md").read_text()
    )
    with live_server(folder, tmp_path / "log.txt") as url, client_of(url) as client:
        assert_predicts_as_measured(client, run, PROMPTED, "front-desk")
        assert_chats_as_measured(client, run, PROMPTED, "front-desk")
        assert_predicts_as_measured(client, run, "zero-shot", CALIBRATED)
        assert_chats_as_measured(client, run, "zero-shot", CALIBRATED)
        assert kept_prompt(run)["instruction"] in chat(client, CALIBRATED, "x", return_prompt_text=True)["prompt_text"]
        texts, _ = measured(run, PROMPTED)
        sure = texts[passed_on(run, PROMPTED).index(False)]
        asked = {"model": "front-desk", "messages": user(sure), "stream": True}
        streamed = client.post("/v1/chat/completions", json=asked).text
        whole = client.post("/v1/chat/completions", json=asked | {"stream": False}).json()
        assert json.dumps(whole["choices"][0]["message"]["content"]) in streamed
        unsure = texts[passed_on(run, PROMPTED).index(True)]
        refused = client.post("/v1/predict", json={"inputs": [sure, unsure, f"{unsure} so " * 4000]})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "inputs[2]")
        assert client.get("/v1/task").json()["cascade"]["then"] == "zero-shot"


def test_a_calibrated_winner_is_exported_with_its_calibration(run, tmp_path):
    assert kept_prompt(run)["calibration"]["method"] in ("batch", "affine")
    folder = export(run, tmp_path / "bundle", strategy="zero-shot")
    assert open_bundle(folder).winner.calibration is not None
    assert "stock vLLM with the uncalibrated label" in (folder / "README.md").read_text()


TROUBLES = {"lost": "card", "money": "refund", "charged": "billing"}


def test_a_provider_is_paid_only_for_what_is_passed_on(tmp_path):
    """Words tell tfidf half of the labels; the other messages say nothing, and the provider knows the numbers."""
    labels = list(TROUBLES.values())

    def answer(body):
        number = int(body["messages"][-1]["content"].split()[-1])
        label = labels[number % 3]
        return completion(label, steps=[(label, {each: 0.8 if each == label else 0.1 for each in labels})])

    words = list(TROUBLES)
    rows = [f"{words[n % 3] if n % 2 else 'well'} it is {n},{labels[n % 3]}" for n in range(360)]
    (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows]))
    with hosted_server(answer) as server:
        (tmp_path / "recipe.yaml").write_text(
            "name: mail\ndata: {path: data.csv, near_duplicate_threshold: 1.0, max_dev: 60, max_test: 40}\n"
            "model: {name: pocket-llama}\nstrategies:\n  run: [majority, tfidf, hosted]\n"
            f"  hosted: {{base_url: '{server.url}', model: m, api_key_env: null, shots: [0]}}\n"
            "prices: {usd_per_million_prompt_tokens: 0.5, usd_per_million_completion_tokens: 1.5}\n"
            "decision: {resamples: 1000}\nlearning_curve: {enabled: false}\n"
        )
        run = llmtl.run(tmp_path / "recipe.yaml", out=tmp_path / "run")
        name = "tfidf-else-hosted"
        folder = export(run, tmp_path / "bundle", strategy=name)
        kept = open_bundle(folder)
        assert (kept.winner.weights, kept.first.then) == (Weights.HOSTED, "hosted")
        with TestClient(create_app(folder, environment={})) as client:
            assert_predicts_as_measured(client, run, name, "mail")
            paid = client.get("/metrics").text
            assert f"llmtl_hosted_requests_total {sum(passed_on(run, name)):.1f}" in paid
            assert_chats_as_measured(client, run, name, "mail")
    test = evaluation(run, name)
    assert Counter(item.prompt_tokens > 0 for item in test.predictions)[True] == sum(passed_on(run, name))
    hosted = evaluation(run, "hosted")
    assert test.prompt_tokens_per_request == pytest.approx(
        kept.first.passed_on * hosted.prompt_tokens_per_request, rel=0.05
    )
