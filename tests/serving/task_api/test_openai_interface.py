"""OpenAI's fields, models, metrics and documents of winners of every kind, asked by the `openai` package in process."""

import asyncio
import json
from typing import Literal

import httpx
import jsonschema
import openai
import pytest
from fastapi.openapi.models import OpenAPI
from prometheus_client.parser import text_string_to_metric_families
from pydantic import create_model

from llmtl.serving.bundle.read import open_bundle, read_recorded
from llmtl.serving.task_api.catalogue import Catalogue
from llmtl.serving.task_api.classifier_app import create_app
from llmtl.serving.task_api.middleware import TaskMiddleware
from llmtl.serving.task_api.plain_answers import said
from llmtl.task import Task
from tests.serving.task_api.test_predict_scoring import StandIn
from tests.support.kept_bundles import LOCAL, asked, kept_bundles, written
from tests.support.live_bundle import error_of
from tests.support.small_bundle import LABELS, small_bundle

CHAT, PREDICT = "/v1/chat/completions", "/v1/predict"
EARLIER = [
    {"role": "system", "content": "Answer in French, with 'nothing'."},
    {"role": "user", "content": "another message"},
    {"role": "assistant", "content": "nothing"},
]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    return kept_bundles(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module", params=LOCAL)
def folder(request, bundles):
    return bundles / request.param


@pytest.fixture(scope="module")
def vllm_folder(tiny_llama, tmp_path_factory):
    return written(small_bundle(), tiny_llama, tmp_path_factory.mktemp("small") / "bundle")


def talk(app, conversation):
    """Return what `conversation(client)` returns, the client being OpenAI's over an application in this process."""

    async def go():
        transport = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")
        async with openai.AsyncOpenAI(base_url="http://x/v1", api_key="k", http_client=transport) as client:
            return await conversation(client)

    return asyncio.run(go())


def user(text):
    return [{"role": "user", "content": text}]


def test_what_came_before_the_last_message_changes_nothing(folder):
    app, row = create_app(folder, environment={}), read_recorded(folder)[0]
    model = open_bundle(folder).winner.model

    async def ask(client):
        create = client.chat.completions.create
        return [await create(model=model, messages=each) for each in (user(row.text), [*EARLIER, *user(row.text)])]

    alone, within = talk(app, ask)
    assert within.choices[0].message.content == alone.choices[0].message.content


def test_n_json_and_usage_are_those_of_openai_whole_and_streamed(folder):
    app, row = create_app(folder, environment={}), read_recorded(folder)[0]
    bundle = open_bundle(folder)
    fields = {"model": bundle.winner.model, "messages": user(row.text), "n": 3}
    fields["response_format"] = {"type": "json_object"}

    async def ask(client):
        create = client.chat.completions.create
        whole = await create(**fields)
        stream = await create(**fields, stream=True, stream_options={"include_usage": True})
        return whole, [chunk async for chunk in stream]

    whole, (*chunks, last) = talk(app, ask)
    key, plain = bundle.task.kind.shape.value, said(bundle.task, row.prediction)
    expected = {key: json.loads(plain) if bundle.output.form == "json" else plain}
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    assert [json.loads(choice.message.content) for choice in whole.choices] == [expected] * 3
    for index in range(3):
        told = [chunk.choices[index].delta.content or "" for chunk in chunks]
        assert json.loads("".join(told)) == expected
    assert (last.choices, last.usage.completion_tokens) == ([], whole.usage.completion_tokens)


def test_the_openai_package_parses_answers_into_classes(bundles):
    found = {}
    for name in ("classification-tfidf", "multi-label-tfidf", "extraction-crf", "generation-nearest"):
        folder = bundles / name
        bundle, row = open_bundle(folder), read_recorded(folder)[0]
        one = Literal[bundle.task.labels or ("x",)]
        kinds = {"label": one, "labels": list[one], "text": str}
        kinds["spans"] = list[create_model("Span", type=(one, ...), text=(str, ...))]
        answer = create_model("Answer", found=(kinds[bundle.task.kind.shape.value], ...))

        async def ask(client, bundle=bundle, row=row, answer=answer):
            parse = client.chat.completions.parse
            return await parse(model=bundle.winner.model, messages=user(row.text), response_format=answer)

        [choice] = talk(create_app(folder, environment={}), ask).choices
        plain = said(bundle.task, row.prediction)
        told = choice.message.parsed.model_dump()["found"]
        assert told == (json.loads(plain) if bundle.output.form == "json" else plain)
        found[name] = told
    assert len(found) == 4


def test_a_schema_that_leaves_a_label_out_is_a_400_of_openai_s(bundles):
    narrow = create_model("Narrow", label=(Literal["nothing of it"], ...))

    async def ask(client):
        with pytest.raises(openai.BadRequestError, match="does not allow") as caught:
            await client.chat.completions.parse(model=model, messages=user("x"), response_format=narrow)
        return caught.value

    for name in LOCAL:
        model = open_bundle(bundles / name).winner.model
        if "classification" in name:
            error = talk(create_app(bundles / name, environment={}), ask)
            assert (error.code, error.param, error.type) == (
                "schema_cannot_be_met",
                "response_format",
                "invalid_request_error",
            )


def test_a_text_ends_where_a_client_wants_it_to_and_a_label_never(bundles):
    text = read_recorded(bundles / "generation-nearest")[0]
    label = read_recorded(bundles / "classification-tfidf")[0]
    half = text.prediction[len(text.prediction) // 2 :]

    def stopped(name, row, stop):
        body = {"model": open_bundle(bundles / name).winner.model, "messages": user(row.text), "stop": stop}
        return asked(create_app(bundles / name, environment={}), ("POST", CHAT, {"json": body}))[0]

    answer = stopped("generation-nearest", text, ["\n\n", half]).json()["choices"][0]
    assert text.prediction.startswith(answer["message"]["content"])
    assert (half in answer["message"]["content"], answer["finish_reason"]) == (False, "stop")
    assert stopped("classification-tfidf", label, ["\n"]).json()["choices"][0]["message"]["content"] == label.prediction
    assert error_of(stopped("classification-tfidf", label, label.prediction[1:]), 400)["param"] == "stop"


def test_every_listed_model_can_be_asked_and_looked_up(folder):
    bundle = open_bundle(folder)

    async def ask(client):
        listed = [model.id async for model in client.models.list()]
        for name in listed:
            assert (await client.models.retrieve(name)).id == name
            assert (await client.chat.completions.create(model=name, messages=user("my card"))).model == name
        with pytest.raises(openai.NotFoundError, match="ask for one of"):
            await client.models.retrieve("gpt-5")
        return listed

    assert talk(create_app(folder, environment={}), ask) == [each.model for each in bundle.strategies]


def samples(text, name):
    found = [each for family in text_string_to_metric_families(text) for each in family.samples if each.name == name]
    named = ("model", "label", "outcome")
    return {tuple(each.labels[part] for part in named if part in each.labels): each.value for each in found}


def test_metrics_count_the_labels_that_were_answered_by_model(folder):
    app, recorded = create_app(folder, environment={}), read_recorded(folder)
    bundle = open_bundle(folder)
    texts = [row.text for row in recorded]
    *_, metrics = asked(
        app,
        ("POST", PREDICT, {"json": {"inputs": texts}}),
        ("POST", CHAT, {"json": {"model": bundle.winner.model, "messages": user(texts[0])}}),
        ("POST", PREDICT, {"json": {"inputs": []}}),
        ("GET", "/metrics", {}),
    )
    model = bundle.winner.model
    expected = {}
    for row in [*recorded, recorded[0]]:
        for label in bundle.task.kind.counted(row.prediction):
            expected[model, label] = expected.get((model, label), 0) + 1
    assert samples(metrics.text, "llmtl_labels_total") == expected
    assert samples(metrics.text, "llmtl_answers_total") == {(model, "answered"): len(texts) + 1}
    assert samples(metrics.text, "llmtl_answer_seconds_count") == {(model,): 2}


class Upstream(StandIn):
    """The stand-in for vLLM with metrics and chats of its own."""

    async def __call__(self, scope, receive, send):
        if scope["path"] == "/v1/completions":
            await super().__call__(scope, receive, send)
            return
        if scope["path"] == "/metrics":
            kept = {name for name, _ in scope["headers"]}
            assert scope["method"] != "GET" or not {b"accept", b"accept-encoding"} & kept
            body, kind = b"# TYPE vllm:x counter\nvllm:x_total 1.0\n", b"text/plain; version=1.0.0"
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": "refund"}, "finish_reason": "stop"}
            model = json.loads((await receive())["body"]).get("model")
            answer = {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
            body, kind = json.dumps(answer, separators=(",", ":")).encode(), b"application/json"
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def test_in_front_of_vllm_models_formats_and_metrics_are_the_same(vllm_folder):
    app = TaskMiddleware(Upstream(), {"LLMTL_BUNDLE": str(vllm_folder)})
    body = {"model": "tickets", "messages": [*EARLIER, *user("x")], "n": 2}
    listed, card, missing, spoken, plain, rows, metrics = asked(
        app,
        ("GET", "/v1/models", {}),
        ("GET", "/v1/models/tickets%2Fknn", {}),
        ("GET", "/v1/models/other", {}),
        ("POST", CHAT, {"json": {**body, "response_format": {"type": "json_object"}}}),
        ("POST", CHAT, {"json": {**body, "n": 1, "model": "tickets"}}),
        ("POST", PREDICT, {"json": {"inputs": ["a", "b"], "model": "tickets"}}),
        ("GET", "/metrics", {"headers": {"Accept": "application/openmetrics-text"}}),
    )
    assert [each["id"] for each in listed.json()["data"]] == ["tickets", "tickets/knn", "tiny"]
    assert card.json()["strategy"] == "knn-few-shot"
    assert error_of(missing, 404)["code"] == "model_not_found"
    assert [each["message"]["content"] for each in spoken.json()["choices"]] == ['{"label": "refund"}'] * 2
    assert plain.json()["choices"][0]["message"]["content"] == "refund"
    assert metrics.text.startswith("# TYPE vllm:x counter\nvllm:x_total 1.0\n")
    counted = samples(metrics.text, "llmtl_labels_total")
    expected = {"refund": 2}
    for row in rows.json()["data"]:
        expected[row["label"]] = expected.get(row["label"], 0) + 1
    assert counted == {("tickets", label): count for label, count in expected.items()}
    assert samples(metrics.text, "llmtl_answers_total") == {("tickets", "answered"): 4}


@pytest.fixture(scope="module", params=[*LOCAL, "hosted", "vllm"])
def described(request, bundles, vllm_folder):
    """Return an application, its bundle, and the OpenAPI document that it serves."""
    if request.param == "vllm":
        app, folder = TaskMiddleware(Upstream(), {"LLMTL_BUNDLE": str(vllm_folder)}), vllm_folder
    else:
        folder = bundles / request.param
        app = create_app(folder, environment={})
    [answer] = asked(app, ("GET", "/openapi.json", {}))
    return app, open_bundle(folder, verify=False), answer.json()


def test_the_document_is_openapi_and_names_what_there_is(described):
    _, bundle, document = described
    OpenAPI.model_validate(document)  # FastAPI's model of the specification
    asks = document["paths"][CHAT]["post"]["requestBody"]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator.check_schema(asks)
    assert asks["properties"]["model"]["enum"] == list(Catalogue(bundle).names)
    assert ("/v1/completions" in document["paths"]) == bundle.on_vllm
    assert "/v1/embeddings" not in document["paths"]
    assert ("402" in document["paths"][CHAT]["post"]["responses"]) == (bundle.winner.weights == "hosted")


def test_what_the_document_says_is_what_the_server_does(described):
    app, bundle, document = described
    if bundle.winner.weights == "hosted":
        return  # a provider would be asked
    for path, verbs in document["paths"].items():
        [(verb, about)] = verbs.items()
        options = {}
        if "requestBody" in about:
            content = about["requestBody"]["content"]["application/json"]
            jsonschema.validate(content["example"], content["schema"])
            options = {"json": content["example"]}
        if path in ("/v1/completions", "/health", "/ready", "/live") and bundle.on_vllm:
            continue  # vLLM's own
        place = path.replace("{model}", bundle.winner.model)
        good, other = asked(app, (verb, place, options), ("GET" if verb == "post" else "POST", place, {"json": {}}))
        assert good.status_code == 200, (path, good.text)
        [kind] = [each for each in about["responses"]["200"].get("content", {"": 0}) if each != "text/event-stream"]
        assert good.headers.get("content-type", "").startswith(kind)
        schema = about["responses"]["200"].get("content", {}).get("application/json", {}).get("schema", {})
        if not bundle.on_vllm or path != CHAT:  # the stand-in counts no tokens
            told = good.json() if kind == "application/json" else None
            jsonschema.validate(told, {**schema, "components": document["components"]})
        assert path in ("/metrics", "/health", "/ready", "/live", CHAT) or other.status_code == 405
    refused = [("POST", CHAT, {"json": {}}), ("POST", CHAT, {"content": b"x"}), ("GET", "/v1/models/none", {})]
    for (_, path, _), answer in zip(refused, asked(app, *refused), strict=True):
        [about] = document["paths"][path.replace("none", "{model}")].values()
        assert str(answer.status_code) in about["responses"]
        jsonschema.validate(answer.json(), {**document["components"]["schemas"]["Error"]})


def test_the_page_says_the_same_and_loads_nothing(described):
    app, bundle, document = described
    [page] = asked(app, ("GET", "/docs", {}))
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert bundle.winner.model in page.text


def test_labels_of_a_page_are_text(tiny_llama, tmp_path):
    labels = ("<script>alert(1)</script>", *LABELS[1:])
    bundle = small_bundle(task=Task("tickets", labels), answers=labels)
    app = TaskMiddleware(Upstream(), {"LLMTL_BUNDLE": str(written(bundle, tiny_llama, tmp_path / "bundle"))})
    [page] = asked(app, ("GET", "/docs", {}))
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text
