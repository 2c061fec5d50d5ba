"""Label sets and texts by a language model, exported and served in process: the real model behind the real middleware.

Real vLLM serves extraction in `test_kinds_vllm`; here the model is run by transformers, asked as vLLM would be.
"""

import asyncio
import json

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from transformers import AutoTokenizer

from llmtl.engines.endings import json_grammar
from llmtl.engines.protocol import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import BundleError
from llmtl.pipeline.export import export
from llmtl.pocket import resolve
from llmtl.serving.bundle.merge import MergeCheck, _same_answers
from llmtl.serving.bundle.read import open_bundle, read_recorded
from llmtl.serving.task_api.middleware import TaskMiddleware
from llmtl.strategy import Prediction
from tests.support.kind_checks import assert_abstains_as_measured, assert_answers_as_measured, chat_of, promised
from tests.support.kind_runs import NAMES, make_kind_run

KINDS = ("multi-label", "generation")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return the bundle of few-shot of each kind, and the same where test showed a threshold."""
    made = {}
    for kind in KINDS:
        run = make_kind_run(tmp_path_factory.mktemp(kind), kind, strategies=("majority", "zero-shot", "few-shot"))
        made[kind] = export(run, tmp_path_factory.mktemp("bundle") / "bundle", strategy="few-shot")
        made[kind, "promised"] = export(promised(run), tmp_path_factory.mktemp("sure") / "bundle", strategy="few-shot")
    return made


@pytest.fixture(scope="module")
def engine():
    loaded = TransformersEngine.load(ModelSource(str(resolve("pocket-llama"))))
    yield loaded
    loaded.close()


def behind(folder, write):
    """Return what posts to the middleware over an application whose chats are answered by `write(prompt, request)`."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    baked = (folder / "chat_template.jinja").read_text(encoding="utf-8")

    async def chat(request):
        asked = await request.json()
        prompt = tokenizer.apply_chat_template(
            asked["messages"], chat_template=baked, tokenize=False, **asked.get("chat_template_kwargs", {})
        )
        said, reason, *logprob = write(prompt, asked)
        choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": reason}
        if asked.get("logprobs"):
            choice["logprobs"] = {"content": [{"token": said, "logprob": value} for value in logprob]}
        return JSONResponse({"model": asked["model"], "choices": [choice], "usage": {"prompt_tokens": 1}})

    app = TaskMiddleware(
        Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])]), {"LLMTL_BUNDLE": str(folder)}
    )

    def post(path, body):
        async def ask():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
                return await client.post(path, json=body)

        return asyncio.run(ask())

    return post


@pytest.mark.parametrize("kind", KINDS)
def test_both_routes_answer_as_measured(folders, engine, kind):
    output = open_bundle(folders[kind]).output

    def write(prompt, asked):
        held = {} if output.grammar is None else {"structured_outputs": {"grammar": output.grammar}}
        assert asked.get("structured_outputs", {}) == held.get("structured_outputs", {})
        assert (asked["max_tokens"], asked["temperature"]) == (output.max_tokens, 0)
        [made] = engine.generate([prompt], max_tokens=asked["max_tokens"], schema=output.schema)
        # over two tokens, of which the sum counts
        return made.text, "stop" if made.finished else "length", made.logprob - 1, 1.0

    assert_answers_as_measured(folders[kind], behind(folders[kind], write))
    assert_abstains_as_measured(folders[kind, "promised"], behind(folders[kind, "promised"], write))


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_read_is_left_to_a_person(folders, kind):
    folder = folders[kind, "promised"]
    post = behind(folder, lambda prompt, asked: (" ", "stop", -0.001))
    [row] = post("/v1/predict", {"inputs": ["hello"]}).json()["data"]
    assert (row["confidence"], row["abstain"]) == (None, True)
    spoken = post("/v1/chat/completions", chat_of(NAMES[kind], "hello", abstain=True)).json()
    assert spoken["choices"][0]["message"]["content"] == open_bundle(folder).winner.abstains.text


@pytest.mark.parametrize(
    ("kind", "said", "reason", "row"),
    [
        ("multi-label", '["late", "broken", "late"]', "stop", {"labels": ["broken", "late"]}),
        ("multi-label", "[]", "stop", {"labels": []}),
        ("multi-label", '["late", "bro', "length", {"labels": None, "error": "was cut off"}),
        ("multi-label", "late", "stop", {"labels": None, "error": "cannot be read"}),
        ("generation", " See you. ", "length", {"text": "See you."}),
        ("generation", " ", "stop", {"text": None, "error": "The model wrote nothing"}),
    ],
)
def test_a_row_says_what_was_written_or_why_it_cannot(folders, kind, said, reason, row):
    post = behind(folders[kind], lambda prompt, asked: (said, reason))
    answer = post("/v1/predict", {"inputs": ["hello"]})
    assert answer.status_code == 200
    [found] = answer.json()["data"]
    assert row.pop("error", "") in found.pop("error", "")
    assert found == {"index": 0, **row}
    spoken = post("/v1/chat/completions", chat_of(NAMES[kind], "hello"))
    assert spoken.json()["choices"][0]["message"]["content"] == said


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_says_how_answers_were_held(folders, kind):
    bundle = open_bundle(folders[kind])
    request = json.loads((folders[kind] / "request.json").read_text())
    written = json.loads((folders[kind] / "labels.json").read_text())
    assert bundle.output.max_tokens >= 16
    assert (request["max_tokens"], request["stop_token_ids"]) == (bundle.output.max_tokens, [bundle.end_token])
    assert "logprobs" not in request
    assert written["kind"] == kind
    if kind == "generation":
        assert (bundle.output.form, bundle.output.schema, bundle.answers) == ("text", None, ())
        assert "structured_outputs" not in request
    else:
        assert bundle.output.form == "json"
        assert request["structured_outputs"] == {"grammar": json_grammar(bundle.output.schema)}
        assert written["answers"] == {label: label for label in ("broken", "late", "rude")}


def test_all_recorded_answers_were_read(folders):
    for folder in folders.values():
        assert all(row.prediction is not None for row in read_recorded(folder))


def test_a_merged_model_may_change_one_answer_in_200():
    then = [Prediction(str(place), "[]") for place in range(200)]
    assert _same_answers([Prediction("0", '["late"]'), *then[1:]], then) == MergeCheck(200, 1, 0.0)
    with pytest.raises(BundleError, match=r"2 of 200 answers differ; export without --merge"):
        _same_answers([Prediction("0", None), Prediction("1", None), *then[2:]], then)
