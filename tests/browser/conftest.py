"""A real browser, and a real task served with its playground: `llmtl serve` on a run whose winner is a bag of words."""

import pytest

import llmtl
from tests.support.install_browser import browser as installed_browser
from tests.support.pages import QUIET_CHROMIUM, Visit, running, write_desk


@pytest.fixture(scope="module")
def chromium():
    """Return a headless Chromium; skips where there is none.

    One a module: while Playwright runs, so does its event loop, and other modules have their own.
    """
    path = installed_browser()
    if path is None:
        pytest.skip("no Chromium is installed; python tests/support/install_browser.py installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET_CHROMIUM))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def desk_run(tmp_path_factory):
    """Return a real finished run over four labels in which a bag of words wins with some errors."""
    folder = tmp_path_factory.mktemp("desk")
    write_desk(folder / "desk.csv")
    (folder / "recipe.yaml").write_text(
        "name: front-desk\ndata: {path: desk.csv}\nmodel: {name: pocket-llama}\n"
        "task: {instruction: Say what the message is about., target: 0.9}\nstrategies: {run: [majority, tfidf]}\n"
    )
    return llmtl.run(folder / "recipe.yaml", out=folder / "run")


@pytest.fixture(scope="session")
def served(desk_run):
    """Return the addresses of the served desk: those of its endpoint and of its playground."""
    says = r"is served by .*? at (http\S+).*\nPlayground: (http\S+)"
    command = ("-m", "llmtl.cli", "serve", str(desk_run.folder), "--port", "0", "--playground-port", "0")
    with running(*command, "--no-measure", says=says) as match:
        yield match.group(1), match.group(2)


@pytest.fixture(scope="module")
def context(chromium):
    """Return a context of the browser that keeps what it has loaded: Gradio's programs are megabytes a page."""
    context = chromium.new_context()
    yield context
    context.close()


@pytest.fixture
def visit(context, request):
    """Return a function that opens a page, by default the desk's playground; every visit is closed afterwards."""
    visits = []

    def open_page(url=None, **settings):
        visits.append(Visit(context, url or request.getfixturevalue("served")[1], **settings))
        return visits[-1]

    yield open_page
    for each in visits:
        each.close()
