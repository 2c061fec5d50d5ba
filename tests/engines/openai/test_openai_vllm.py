"""The openai engine against a real server: our own vLLM on the CPU with pocket-llama; beside it the local engine.

And a judge that asks the same server. A model of this size cannot judge: what it is asked, what it may answer and what
is kept is tested, not its opinion.
"""

import json
import os
import random
import sys

import pytest

import llmtl
from llmtl.engines.openai.config import EndpointConfig, HostedModel
from llmtl.engines.openai.engine import OpenAIEngine
from llmtl.engines.openai.replies import ReplyCache
from llmtl.engines.protocol import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import ContextLengthError, HostedError, UnreadableAnswerError
from llmtl.judging.result import JUDGING
from llmtl.pocket import resolve
from llmtl.prompting.template import Template
from llmtl.store import read_json, read_json_lines
from llmtl.task import Example, Task
from tests.support.forked_vllm import fork_vllm
from tests.support.live_bundle import QUICK_START, answering, free_port

pytest.importorskip("vllm")
pytestmark = pytest.mark.slow
TASK = Task("desk", ("card", "delivery", "money back", "opening hours"), instruction="Say what the message is about.")
SHOWN = (
    Example("1", "my card was swallowed by the machine", "card"),
    Example("2", "when are you open on sunday", "opening hours"),
    Example("3", "the parcel has not come", "delivery"),
    Example("4", "please refund the shoes", "money back"),
)
TEXTS = ("I lost my card", "where is my parcel", "is the shop open today", "I want my money back", "hello", "my card")
NAMES = ("Tom", "Anna", "Maria", "Peter", "Eve", "Paul", "Nora", "Ben")
PLACES = ("Paris", "the market", "the office", "July Street", "the old bridge")


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    port, folder = free_port(), tmp_path_factory.mktemp("vllm")
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(resolve("pocket-llama"))]
    command += ["--served-model-name", "pocket", "--host", "127.0.0.1", "--port", str(port), "--api-key", "secret"]
    command += ["--dtype", "float32", "--enforce-eager", "--max-model-len", "2048", "--generation-config", "vllm"]
    command += ["--structured-outputs-config", json.dumps({"backend": "xgrammar", "disable_any_whitespace": True})]
    environment = os.environ | QUICK_START | {"HF_HUB_OFFLINE": "1"}
    server = fork_vllm(command, environment=environment, cwd=folder, log=folder / "log.txt")
    with answering(server, f"http://127.0.0.1:{port}", folder / "log.txt"):
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture
def make_engine(url, monkeypatch):
    monkeypatch.setenv("POCKET_KEY", "secret")
    made = []

    def make(cache=None, **changes):
        asked = {"base_url": url, "model": "pocket", "api_key_env": "POCKET_KEY", "context_length": 2048} | changes
        top_logprobs = asked.pop("top_logprobs", 20)
        made.append(OpenAIEngine(HostedModel(EndpointConfig(**asked), top_logprobs=top_logprobs), cache))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture(scope="module")
def local():
    engine = TransformersEngine.load(ModelSource(str(resolve("pocket-llama"))), device="cpu")
    yield engine
    engine.close()


def worded(engine):
    template = Template(TASK, engine)
    return [template.prompt(text, SHOWN) for text in TEXTS], template.answers()


def test_labels_and_prompts_are_those_of_the_local_engine(make_engine, local):
    hosted = make_engine()
    mine, theirs = hosted.score(*worded(hosted)), local.score(*worded(local))
    assert [each.choice for each in mine] == [each.choice for each in theirs]
    assert [each.prompt_tokens for each in mine] == [each.prompt_tokens for each in theirs]
    for one, other in zip(mine, theirs, strict=True):
        assert sum(one.probabilities) == pytest.approx(1.0)
        # labels that are not among the 20 likeliest tokens have 0; the others are known up to their mass
        assert one.probabilities == pytest.approx(other.probabilities, abs=0.02)


def test_what_was_asked_before_is_not_asked_again(make_engine, tmp_path):
    first = make_engine(ReplyCache(tmp_path / "replies.jsonl"))
    scored = first.score(*worded(first))
    assert first.facts["requests"] == len(TEXTS)
    again = make_engine(ReplyCache(tmp_path / "replies.jsonl"))
    assert again.score(*worded(again)) == scored
    assert again.facts["requests"] == 0


def test_text_and_json_under_a_schema(make_engine, local):
    hosted = make_engine()
    [prompt], [same] = (worded(engine)[0][:1] for engine in (hosted, local))
    [written], [expected] = (e.generate([p], max_tokens=8) for e, p in ((hosted, prompt), (local, same)))
    assert (written.text, written.finished) == (expected.text, expected.finished)
    assert written.logprob == pytest.approx(expected.logprob, abs=0.01)
    schema = {"type": "array", "items": {"enum": list(TASK.labels)}, "minItems": 1, "maxItems": 2}
    [listed] = hosted.generate([prompt], max_tokens=60, schema=schema)
    assert listed.text.startswith('["')
    assert hosted.facts["unsupported"] == []


def test_what_vllm_refuses_has_its_own_error(make_engine):
    hosted = make_engine(max_retries=0)
    with pytest.raises(ContextLengthError, match="fewer demonstrations"):
        hosted.score([Template(TASK, hosted).prompt("card " * 3000)], TASK.labels)
    with pytest.raises(HostedError, match="refuses the key"):
        make_engine(api_key_env=None).score(["x"], TASK.labels)


def test_more_log_probabilities_than_the_server_tells_are_left_out(make_engine, local):
    hosted = make_engine(top_logprobs=1000)
    read = 0
    for prompt, theirs in zip(worded(hosted)[0], local.score(*worded(local)), strict=True):
        try:
            [mine] = hosted.score([prompt], TASK.labels)
        except UnreadableAnswerError:  # nothing holds the model to the labels
            continue
        read += 1
        assert (mine.choice, mine.probabilities) == (theirs.choice, ())
    assert hosted.facts["unsupported"] == ["logprobs"]
    assert read >= len(TEXTS) / 2


def judged(folder, address, **judge):
    draw = random.Random(3)
    told = [(f"name[{name}], place[{place}]", f"{name} is at {place} now.") for name in NAMES for place in PLACES]
    draw.shuffle(told)
    lines = [json.dumps({"text": text, "label": reference}) for text, reference in told]
    (folder / "data.jsonl").write_text("\n".join(lines))
    settings = {"base_url": address, "model": "pocket", "api_key_env": "POCKET_KEY", "context_length": 2048}
    free = {"usd_per_million_prompt_tokens": 0, "usd_per_million_completion_tokens": 0}
    document = {
        "name": "told",
        "data": {"path": "data.jsonl", "near_duplicate_threshold": 1.0},
        "task": {"kind": "generation"},
        "model": {"name": "pocket-llama"},
        "strategies": {"run": ["majority", "nearest", "zero-shot"], "zero_shot": {"built_in_instructions": False}},
        "decision": {"resamples": 1000},
        "learning_curve": {"enabled": False},
        "judge": settings | free | judge,
    }
    (folder / "recipe.yaml").write_text(json.dumps(document))
    return folder / "recipe.yaml"


def test_a_run_is_judged_and_the_second_run_asks_nothing(url, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKET_KEY", "secret")
    run = llmtl.run(judged(tmp_path, url), out=tmp_path / "run")
    judging = JUDGING.validate_python(read_json(run.folder / "judging.json"))
    assert judging.unjudged is None
    planned = [(item.a, item.b) for item in run.decision.choice.comparisons]
    assert [(item.a, item.b) for item in judging.opinion.comparisons] == planned
    assert len(planned) > 1
    for item in judging.opinion.comparisons:
        assert item.wins + item.losses + item.ties == judging.examples
        assert item.failures == 0
    assert judging.opinion.constrained
    asked = [row for row in read_json_lines(run.folder / "judging.jsonl") if row["asked"]]
    assert {row[order] for row in asked for order in ("a_shown_first", "b_shown_first")} <= {"A", "B", "tie"}
    spent = judging.opinion.spent
    assert 0 < spent.requests <= 2 * len(asked)
    assert spent.prompt_tokens > spent.completion_tokens > 0
    assert spent.usd == 0

    monkeypatch.setenv("POCKET_KEY", "no-longer-valid")  # whatever is asked now is refused
    again = llmtl.run(judged(tmp_path, url, max_usd=1.0), out=tmp_path / "run")
    assert again.decision == run.decision
    fresh = llmtl.run(judged(tmp_path, url, criteria="Be brief."), out=tmp_path / "run")
    assert [line for line in fresh.summary.warnings if "refuses the key" in line and "check POCKET_KEY" in line]
    assert (fresh.decision.verdict, fresh.decision.winner) == (run.decision.verdict, run.decision.winner)
