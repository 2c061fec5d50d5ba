"""The programs of the *Use it* tab, run against a server that tells what it was asked."""

import json
import os
import subprocess
import sys

import pytest

from llmtl.playground.code_examples import code_examples
from llmtl.playground.http_client import ServedModel, ServedTask
from llmtl.playground.page_content import PlaygroundContent, TestRow
from llmtl.playground.use_tab import SOME_MESSAGE, example_message, use_page
from tests.support.canned_server import canned

TEXT = """it's "odd" \\ $HOME `date` </script> ${1} é"""
REPLY = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"} | {
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "room"}}]
}


def run(name, key):
    """Return what the program of this name prints, run where only its key is in the environment."""
    with canned(200, REPLY) as url:
        base = f"{url.rstrip('/').removesuffix('/v1')}/v1"
        [example] = [each for each in code_examples(base, "desk", TEXT, has_key=bool(key)) if each.name == name]
        argv = {
            "python": [sys.executable, "-c"],
            "shell": ["bash", "-c"],
            "javascript": [node(), "--input-type=module", "-e"],
        }
        environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "NO_PROXY": "*"} | (
            {"LLMTL_API_KEY": key} if key else {}
        )
        return subprocess.run(
            [*argv[example.language], example.code], capture_output=True, text=True, env=environment, check=True
        ).stdout


def node():
    """Return the Node.js that Playwright brings."""
    driver = pytest.importorskip("playwright._impl._driver")
    return str(driver.compute_driver_executable()[0])


@pytest.mark.parametrize("key", ["", "sesame"])
@pytest.mark.parametrize("name", ["Python", "JavaScript"])
def test_the_program_runs_as_it_stands_and_prints_the_answer(name, key):
    assert run(name, key) == "room\n"


@pytest.mark.parametrize("name", ["curl", "Many at once"])
def test_the_lines_for_a_shell_run_as_they_stand(name):
    assert json.loads(run(name, "sesame")) == REPLY


@pytest.mark.parametrize("has_key", [False, True])
def test_the_message_arrives_as_it_is_in_every_language(has_key):
    examples = {each.name: each.code for each in code_examples("http://h/v1", "desk", TEXT, has_key=has_key)}
    assert all(("LLMTL_API_KEY" in code) == has_key for code in examples.values())
    body = subprocess.run(
        ["bash", "-c", examples["curl"].replace("curl -s", "printf '%s\\n'")],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "LLMTL_API_KEY": "k"},
    ).stdout.splitlines()[-1]
    assert json.loads(body)["messages"] == [{"role": "user", "content": TEXT}]
    assert all(json.dumps(TEXT, ensure_ascii=False) in examples[name] for name in ("Python", "JavaScript"))


def test_the_page_names_address_models_and_a_message_and_keeps_the_key_out():
    task = ServedTask(
        task="desk",
        model="desk",
        strategy="tfidf",
        labels=("a", "b"),
        strategies=(ServedModel("desk", "tfidf"), ServedModel("desk/majority", "majority")),
    )
    page = use_page(PlaygroundContent("http://127.0.0.1:8000/v1", task, api_key="sesame"))
    assert "http://127.0.0.1:8000/v1/chat/completions" in page
    assert "desk/majority" in page
    assert page.count("data-copy") == 4
    assert "LLMTL_API_KEY" in page
    assert "sesame" not in page
    assert SOME_MESSAGE in page


def test_the_example_is_a_message_of_usual_length_that_was_answered_right():
    rows = [
        TestRow(str(n), text, "a", given, 0.9)
        for n, (text, given) in enumerate(
            [("x" * 40, "b"), ("y" * 44, "a"), ("z" * 400, "a"), ("two\nlines of about forty characters in all", "a")]
        )
    ]
    assert example_message(rows) == "y" * 44
    assert example_message(rows[:1]) == "x" * 40
    assert example_message([]) == SOME_MESSAGE
