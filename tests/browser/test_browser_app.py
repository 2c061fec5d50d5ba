"""`serve/app.py` on its own: without a run, without the right key, without a server, on a port that is taken."""

import os
import socket
import subprocess
import sys

import pytest

from llmtl.pipeline.export import export
from tests.support.pages import APP, KEY, ROOT, running

SAYS = r"Playground: (http\S+)"


@pytest.fixture(scope="module")
def endpoint(desk_run, tmp_path_factory):
    """Return the address of the desk's endpoint, served without a playground."""
    bundle = export(desk_run, tmp_path_factory.mktemp("bundle") / "bundle")
    with serving(bundle) as url:
        yield url


def serving(bundle):
    command = ("-m", "llmtl.cli", "serve", str(bundle), "--port", "0", "--no-playground", "--no-measure")
    return _Address(running(*command, says=r"is served by .*? at (http\S+)"))


class _Address:
    """A running server whose context value is its address."""

    def __init__(self, server):
        self._server = server

    def __enter__(self):
        return self._server.__enter__().group(1)

    def __exit__(self, *failure):
        return self._server.__exit__(*failure)


def failing(*arguments, key=KEY):
    """Return exit code and error line of a stand-alone playground that cannot start."""
    done = subprocess.run(
        [sys.executable, APP, *arguments],
        env=os.environ | {"LLMTL_API_KEY": key},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return done.returncode, done.stderr


def test_without_a_run_the_page_labels_and_says_what_is_missing(endpoint, visit):
    with running(APP, "--endpoint", endpoint, "--port", "0", says=SAYS) as match:
        page = visit(match.group(1))
        assert page.label("Where is the courier? Thanks, guest 3.") == "delivery"
        assert page.page.locator("#examples button").count() == 0
        for tab, missing in (("Decision", "to see the verdict"), ("Errors", "to see what it gets wrong")):
            page.tab(tab)
            page.page.get_by_text(missing).wait_for()


def test_a_server_that_goes_away_is_one_line_in_the_page(desk_run, tmp_path, visit):
    bundle = export(desk_run, tmp_path / "bundle")
    with serving(bundle) as url:
        playground = running(APP, "--endpoint", url, "--run", str(desk_run.folder), "--port", "0", says=SAYS)
        address = playground.__enter__()
    try:
        page = visit(address.group(1))
        page.page.get_by_label("Message").fill("Where is the courier?")
        page.page.keyboard.press("Enter")
        page.page.get_by_role("alert").filter(has_text=f"No server answers at {url}").wait_for()
        (tmp_path / "a.csv").write_text("text\none\ntwo\n")
        page.tab("Batch")
        page.page.locator("#upload input[type=file]").set_input_files(tmp_path / "a.csv")
        page.page.get_by_role("button", name="Label the file").click()
        page.page.get_by_text("0 of 2 rows labelled").wait_for()
        page.page.get_by_text("No server answers").last.wait_for()
    finally:
        playground.__exit__(None, None, None)


def test_a_wrong_key_is_one_line_in_the_terminal(endpoint):
    code, line = failing("--endpoint", endpoint, "--port", "0", key="other")
    assert (code, line.count("\n")) == (1, 1)
    assert "wants another API key; set LLMTL_API_KEY" in line


def test_no_server_is_one_line_in_the_terminal():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    code, line = failing("--endpoint", url)
    assert (code, line) == (
        1,
        f"playground: No server answers at {url}/v1; start it with `llmtl serve`, or check the address.\n",
    )


def test_a_busy_port_is_one_line_in_the_terminal(endpoint):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, line = failing("--endpoint", endpoint, "--port", port)
    assert (code, line.count("\n")) == (1, 1)
    assert f"Port {port} is in use" in line


def test_a_run_of_another_task_is_refused(endpoint, desk_run, tmp_path):
    import shutil

    from llmtl.seals import SEAL
    from llmtl.store import read_json, write_json

    other = tmp_path / "other"
    shutil.copytree(desk_run.folder, other)
    (other / SEAL).unlink()
    index = read_json(other / "index.json") | {"sealed": False}
    write_json(other / "index.json", index | {"task": index["task"] | {"name": "other"}})
    code, line = failing("--endpoint", endpoint, "--run", str(other), "--port", "0")
    assert (code, line.count("\n")) == (2, 1)
    assert "is a run of task 'other'" in line
