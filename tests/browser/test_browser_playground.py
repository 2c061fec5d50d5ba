"""The playground in a real browser, over a real endpoint: what a visitor types, clicks, reads and downloads."""

import ast
import csv
import json
import os
import re
import subprocess
import sys

import httpx
import pytest

from llmtl.costs import Pricing
from llmtl.report import wording
from tests.support.pages import KEY, host_of

TABS = ("Try", "Decision", "Errors", "Batch", "Use it")
BILLING, NETWORK = "What about the invoice? Thanks, guest 1.", "The router of today. Cheers, guest 2."


def predicted(endpoint, text):
    """Return the label and probabilities that the endpoint gives, asked without the playground."""
    answer = httpx.post(
        f"{endpoint}/predict", json={"inputs": [text]}, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False
    )
    [row] = answer.raise_for_status().json()["data"]
    return row["label"], row["probabilities"]


def test_typing_a_message_shows_its_label_and_another_message_changes_it(visit, served):
    page = visit()
    for text in (BILLING, NETWORK):
        assert page.label(text) == predicted(served[0], text)[0]
    assert page.label(BILLING) != page.label(NETWORK)
    page.keep("try")


def test_what_is_asked_while_an_answer_is_on_its_way_is_answered_next(visit):
    page = visit()
    held = []
    page.page.route("**/queue/join*", lambda route: held.append(route) if not held else route.continue_())
    page.page.get_by_label("Message").fill(BILLING)
    page.page.keyboard.press("Enter")
    page.page.get_by_label("Message").fill(NETWORK)
    page.page.keyboard.press("Enter")
    page.page.wait_for_timeout(300)
    held[0].continue_()
    page.answer(NETWORK)


def test_every_label_has_a_bar_with_the_probability_that_the_endpoint_gives(visit, served):
    page = visit()
    label, probabilities = predicted(served[0], BILLING)
    page.label(BILLING)
    rows = page.page.locator(".lt-card .lt-bars tr")
    shown = {row.locator("th").inner_text(): row.locator(".lt-number").inner_text() for row in rows.all()}
    assert shown == {name: f"{100 * value:.1f}%" for name, value in probabilities.items()}
    assert next(iter(shown)) == label
    assert re.fullmatch(r"[\d.]+ (ms|s)", page.page.locator(".lt-latency").inner_text())


def test_the_exact_prompt_is_folded_away_until_asked_for(visit):
    page = visit()
    page.label(BILLING)
    prompt = page.page.locator(".lt-prompt pre")
    assert not prompt.is_visible()
    page.page.get_by_text("Exact prompt").click()
    assert prompt.inner_text() == BILLING  # a bag of words reads the message itself


def test_what_a_visitor_types_is_shown_as_text_and_never_run(visit):
    page = visit()
    text = "<img src=x onerror=\"document.title='run'\"> {{value}} ${1+1} <script>document.title='run'</script>"
    page.label(text)
    page.page.get_by_text("Exact prompt").click()
    assert page.page.locator(".lt-prompt pre").inner_text() == text
    assert page.page.title() == "front-desk playground"


def test_an_example_from_test_is_a_click_away_and_says_whether_the_label_is_right(visit, desk_run):
    page = visit()
    first = page.page.locator("#examples button").first
    text = first.inner_text()
    first.click()
    label = page.answer(text)
    assert page.page.get_by_label("Message").input_value() == text
    truth = next(row.reference for row in _test_examples(desk_run) if row.text == text)
    mark = page.page.locator(".lt-reference").inner_text()
    assert mark.startswith("✓" if truth == label else "✗")
    page.page.get_by_role("button", name="Other examples").click()
    page.page.locator("#examples button", has_text=text).wait_for(state="detached")


def _test_examples(run):
    from llmtl.pipeline.run_format import read_examples

    return read_examples(run.folder, "test")


def test_an_empty_and_an_over_long_message_get_a_clear_line(visit):
    page = visit()
    page.page.get_by_role("button", name="Label it").click()
    page.page.get_by_text("Write a message first.").wait_for()
    assert page.page.locator(".lt-card").count() == 0


def test_the_decision_tab_says_the_verdict_and_draws_the_scores(visit, desk_run):
    page = visit()
    page.tab("Decision")
    page.page.get_by_role("heading", name="Use TF-IDF and logistic regression: right ").wait_for()
    drawn = page.page.get_by_role("img", name="Accuracy of each strategy with its 95% interval")
    assert "TF-IDF and logistic regression" in drawn.first.text_content()
    score = next(item for item in desk_run.decision.strategies if item.name == "tfidf").test.value
    assert f"{score:.3f}" in page.page.locator("#figures .lt-winner").inner_text()
    page.keep("decision")


def test_the_sliders_move_break_even_and_costs_live(visit, desk_run):
    page = visit()
    page.tab("Decision")
    costs, sliders = page.page.locator("#costs"), page.page.locator("#prices")
    costs.locator(".lt-figures").wait_for()
    before = costs.inner_text()
    assert "1,200,000 requests, fitting included" in before
    sliders.get_by_label("Requests per month").fill("7")
    costs.get_by_text("120,000,000 requests, fitting included").wait_for()
    monthly = costs.locator(".lt-winner .lt-month")
    hourly = desk_run.recipe.prices.usd_per_cpu_hour
    assert monthly.inner_text() == wording.readable_usd(730 * hourly)  # one machine carries ten million of these
    sliders.get_by_label("CPU machine, USD per hour").fill("1")
    costs.get_by_text(wording.readable_usd(7300)).first.wait_for()
    assert monthly.inner_text() == wording.readable_usd(7300)
    sliders.get_by_label("Utilisation at the peak, percent").fill("5")
    sliders.get_by_label("Requests per month").fill("9")
    costs.get_by_text("12,000,000,000 requests, fitting included").wait_for()
    chosen = {"usd_per_cpu_hour": 10.0, "requests_per_month": 1e9, "utilisation": 0.05}
    dev = next(e for e in desk_run.evaluations if (e.strategy, e.split) == (desk_run.decision.winner, "dev"))
    machines = Pricing(desk_run.recipe.prices.model_copy(update=chosen)).per_month(dev)
    assert monthly.inner_text() == wording.readable_usd(machines)


def test_the_slider_over_the_cost_of_an_error_says_what_it_comes_to(visit, desk_run):
    page = visit()
    page.tab("Decision")
    page.page.get_by_text(
        "If a wrong answer costs 1 cent, TF-IDF and logistic regression costs least in all"
    ).wait_for()
    page.page.locator("#prices").get_by_label("A wrong answer, USD").fill("2")
    page.page.get_by_text(
        "If a wrong answer costs $100.00, TF-IDF and logistic regression costs least in all"
    ).wait_for()
    wrong = next(item.wrong for item in desk_run.decision.value_of_accuracy.strategies if item.strategy == "tfidf")
    monthly = f"${100 * wrong * desk_run.recipe.prices.requests_per_month:,.0f} of it for wrong answers"
    assert monthly in page.page.locator("#errors-headline").inner_text()
    page.keep("cost-of-errors")


def test_errors_are_counted_filtered_and_sent_to_try(visit, desk_run):
    page = visit()
    test = next(e for e in desk_run.evaluations if (e.strategy, e.split) == ("tfidf", "test"))
    wrong = [truth for item, truth in zip(test.predictions, test.references, strict=True) if item.answer != truth]
    assert wrong, "the desk is made so that some labels cannot be guessed"
    page.tab("Errors")
    page.page.get_by_text(f"{len(wrong)} of {len(test.references)} test predictions are wrong").wait_for()
    page.keep("errors")
    cell = page.page.locator("#matrix .lt-confusion button").first
    reference, guess, count = (
        cell.get_attribute("data-reference"),
        cell.get_attribute("data-predicted"),
        cell.inner_text(),
    )
    cell.click()
    page.page.get_by_text(f"{count} of the {len(wrong)} wrong predictions match").wait_for()
    row = page.page.locator("#errors tbody tr").first
    assert [row.locator("td").nth(at).inner_text() for at in (1, 2)] == [reference, guess]
    text = row.locator("td").first.inner_text()
    row.get_by_role("button").click()
    assert page.answer(text) == guess
    assert page.page.get_by_role("tab", name="Try").get_attribute("aria-selected") == "true"
    assert page.page.get_by_label("Message").input_value() == text


def test_a_wrong_answer_is_corrected_and_kept_beside_the_run(visit, desk_run):
    page = visit()
    text = "The charge for the balcony. Cheers, guest 1000."
    label = page.label(text)
    other = next(each for each in desk_run.task.labels if each != label)
    _correct(page, label)
    page.page.get_by_role("alert").filter(has_text="nothing to correct").wait_for()
    file = desk_run.folder / "corrections.jsonl"
    before = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    _correct(page, other)
    page.page.get_by_text(f"Kept: {other}").wait_for()
    assert f"data.corrections={desk_run.folder.name}/corrections.jsonl" in page.page.locator("#correct").inner_text()
    page.keep("correction")
    *kept, line = file.read_text(encoding="utf-8").splitlines()
    assert kept == before
    row = json.loads(line)
    assert (row["input"], row["answer"], row["correct"], row["strategy"]) == (text, label, other, "tfidf")
    assert page.label(BILLING)
    assert not page.page.locator("#keep-correction").is_visible()  # folded again for the next message


def test_a_message_of_test_is_kept_and_said_never_to_be_trained_on(visit, desk_run):
    page = visit()
    text = _test_examples(desk_run)[0].text
    label = page.label(text)
    _correct(page, next(each for each in desk_run.task.labels if each != label))
    page.page.get_by_text("stands in the test data, so it will never be trained on").wait_for()


def _correct(page, label):
    """Open the panel if it is folded, choose a label and keep it."""
    if not page.page.locator("#keep-correction").is_visible():
        page.page.get_by_role("button", name="Wrong? Give the right answer").click()
    page.page.get_by_label("The right label").click()
    page.page.get_by_role("option", name=label, exact=True).click()
    page.page.get_by_role("button", name="Keep the correction").click()


def test_code_to_use_the_endpoint_is_copied_and_runs_as_it_stands(visit, served):
    page = visit()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.tab("Use it")
    page.page.get_by_role("button", name="Copy the code for Python").click()
    page.page.get_by_text("Copied", exact=True).wait_for()
    page.keep("use")
    code = page.page.evaluate("navigator.clipboard.readText()")
    assert f'base_url="{served[0]}"' in code
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.casefold()}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment | {"LLMTL_API_KEY": KEY},
        check=True,
    )
    message = re.search(r'"content": (.*)}', code).group(1)
    assert done.stdout.strip() == predicted(served[0], ast.literal_eval(message))[0]
    assert KEY not in page.page.locator("#use").inner_text()


def test_the_text_filter_narrows_the_errors(visit):
    page = visit()
    page.tab("Errors")
    page.page.get_by_label("Text contains").fill("no message says this")
    page.page.get_by_text("No wrong prediction matches.").wait_for()


def test_a_csv_comes_back_labelled(visit, served, tmp_path):
    page = visit()
    rows = [("1", BILLING, "x"), ("2", "", "y"), ("3", NETWORK, "=1+1"), ("4", "z" * 100_001, "-5")]
    upload = tmp_path / "mail.csv"
    with upload.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "message", "label"), *rows])
    page.tab("Batch")
    page.page.locator("#upload input[type=file]").set_input_files(upload)
    page.page.get_by_text("mail.csv: 4 rows, UTF-8, separated by ','.").wait_for()
    preview = page.page.locator("#preview")
    assert preview.locator("thead th").all_inner_texts()[1].startswith("message")
    assert preview.locator("tbody tr").nth(1).inner_text().split("\t")[:2] == ["line 3", "no text"]
    assert "1 row cannot be answered" in preview.inner_text()
    page.keep("batch-preview")
    assert page.page.get_by_label("Column with the messages").input_value() == "message"
    page.page.get_by_role("button", name="Label the file").click()
    page.page.get_by_text("2 of 4 rows labelled").wait_for()
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="Download the labelled CSV").click()
    assert download.value.suggested_filename == "mail-labelled.csv"
    with download.value.path().open(newline="", encoding="utf-8") as file:
        back = list(csv.DictReader(file))
    assert [row["id"] for row in back] == ["1", "2", "3", "4"]
    for row in (back[0], back[2]):
        label, probabilities = predicted(served[0], row["message"])
        assert (row["predicted_label"], row["error"]) == (label, "")
        assert float(row["probability"]) == pytest.approx(probabilities[label], abs=1e-6)
    assert (back[1]["predicted_label"], back[1]["error"]) == ("", "There is no text in line 3.")
    assert "100001 characters" in back[3]["error"]
    assert [row["label"] for row in back] == ["x", "y", "'=1+1", "-5"]
    page.keep("batch")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("bad.csv", b"text,label\n\x81\xfebroken,a", "'bad.csv' is neither UTF-8"),
        ("quotes.csv", b'text,label\n"never closed,1\n', "has broken quoting"),
        ("ragged.csv", b"text,label\na,b,c\n", "Line 2 of 'ragged.csv' has 3 fields"),
        ("header.csv", b"text,label\n", "has a header and no rows"),
        ("empty.csv", b"", "'empty.csv' is empty"),
    ],
)
def test_a_bad_file_gets_a_clear_line(visit, tmp_path, name, content, line):
    page = visit()
    upload = tmp_path / name
    upload.write_bytes(content)
    page.tab("Batch")
    page.page.locator("#upload input[type=file]").set_input_files(upload)
    page.page.get_by_role("alert").filter(has_text=line).wait_for()
    assert page.page.get_by_role("button", name="Label the file").is_disabled()
    assert "/tmp" not in page.page.locator("#file-notice").inner_text()


def test_everything_can_be_reached_and_used_by_keyboard_alone(visit):
    page = visit()
    keys = page.page.keyboard
    assert _focused(page) == "textarea"  # ready to type at once
    keys.type(BILLING)
    keys.press("Control+Enter")
    page.answer(BILLING)
    for _ in range(3):
        keys.press("Shift+Tab")
        if _focused_text(page) == "Try":
            break
    for key, name in (
        *(("ArrowRight", name) for name in (*TABS[1:], TABS[0])),
        ("ArrowLeft", TABS[-1]),
        ("Home", TABS[0]),
    ):
        keys.press(key)
        page.page.get_by_role("tab", name=name, selected=True).wait_for()
        assert _focused_text(page) == name
        assert page.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    keys.press("Tab")
    assert _focused_text(page) not in TABS  # the selected tab alone is a stop
    for name in TABS:
        page.tab(name)
        tab = page.page.get_by_role("tab", name=name, selected=True)
        panel = page.page.locator(f"#{tab.get_attribute('aria-controls')}")
        assert panel.get_attribute("role") == "tabpanel"
        assert panel.get_attribute("aria-labelledby") == tab.get_attribute("id")
    page.tab("Errors")
    page.page.locator("#errors button").first.focus()
    text = page.page.locator("#errors td").first.inner_text()
    keys.press("Enter")
    page.answer(text)
    page.page.wait_for_function("document.activeElement.tagName === 'TEXTAREA'")


def _focused(page):
    return page.page.evaluate("document.activeElement.tagName.toLowerCase()")


def _focused_text(page):
    return page.page.evaluate("document.activeElement.innerText?.trim() ?? ''")


def test_every_control_has_a_name(visit):
    page = visit()
    for name in TABS:
        page.tab(name)
        page.page.wait_for_timeout(300)
        nameless = page.page.evaluate(
            """() => [...document.querySelectorAll('button, input, textarea, select')]
            .filter((part) => part.checkVisibility() && !part.hidden)
            .filter((part) => !(part.ariaLabel || part.innerText?.trim() || part.title || part.labels?.length
              || part.closest('label')?.innerText.trim())).map((part) => part.outerHTML.slice(0, 200))"""
        )
        assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_tab_without_scrolling_sideways(visit, scheme):
    page = visit(width=390, height=844, scheme=scheme)
    page.label(BILLING)
    for name in TABS:
        page.tab(name)
        page.page.wait_for_timeout(500)
        assert page.page.evaluate("document.documentElement.scrollWidth") == 390
        page.keep(f"phone-{scheme}-{name.lower()}")


def test_dark_and_light_follow_the_system(visit):
    colours = {
        scheme: visit(scheme=scheme).page.evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert colours == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}


def test_the_page_asks_no_outside_host_and_reports_no_problem(visit, served, tmp_path):
    page = visit()
    page.label(BILLING)
    for name in TABS:
        page.tab(name)
        page.page.wait_for_timeout(300)
    page.tab("Batch")
    (tmp_path / "a.csv").write_text("text\nThe wifi\n")
    page.page.locator("#upload input[type=file]").set_input_files(tmp_path / "a.csv")
    page.page.get_by_role("button", name="Label the file").click()
    page.page.get_by_text("1 of 1 row labelled").wait_for()
    assert page.hosts <= {host_of(served[1]), "page"}
    assert page.problems == []


def test_the_browser_is_told_to_ask_no_other_host(visit):
    page = visit()
    blocked = page.page.evaluate(
        """() => fetch('http://127.0.0.1:9/').then(() => 'allowed', (error) => 'refused')
        .then((outcome) => new Promise((done) => setTimeout(() => done(outcome), 100)))"""
    )
    assert blocked == "refused"
    assert any("Content Security Policy" in problem for problem in page.problems)


@pytest.fixture
def outside(served):
    """Return a client of the playground that has not logged in."""
    with httpx.Client(base_url=served[1].rstrip("/"), trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def inside(outside):
    """Return a client of the playground that has logged in."""
    outside.post("/login", data={"key": KEY})
    return outside


ROUTES = """
import json
import gradio
from gradio.routes import App

app = App.create_app(gradio.Blocks())
print(json.dumps([(route.path, sorted(getattr(route, "methods", None) or ["GET"])) for route in app.routes]))
"""


def test_no_route_of_gradio_answers_before_the_login(outside):
    told = subprocess.run([sys.executable, "-c", ROUTES], capture_output=True, text=True, check=True).stdout
    routes = json.loads(told.splitlines()[-1])
    families = ("queue/join", "queue/data", "file={", "upload", "stream/", "heartbeat/", "call/", "proxy=", "config")
    assert all(any(family in path for path, _ in routes) for family in families)
    answers = {}
    for path, methods in routes:
        for method in methods:
            if path.rstrip("/") != "/login":  # the guard's own page
                answers[method, path] = outside.request(method, re.sub(r"{[^}]*}", "x", path)).status_code
    assert answers.pop(("GET", "/")) == answers.pop(("HEAD", "/")) == 303
    assert {403 if "proxy=" in path else 401 for _, path in answers} == set(answers.values())
    assert outside.get("/").headers["location"] == "login"


def test_a_visitor_logs_in_with_the_key_and_another_is_told_so(chromium, served):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(served[1])
    page.get_by_label("API key").fill("other")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("alert").filter(has_text="That is not the key of this server.").wait_for()
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("Message").wait_for()
    context.close()


def test_no_file_of_the_machine_and_no_other_address_is_handed_out(inside, desk_run):
    for wanted in ("/etc/passwd", str(desk_run.folder / "decision.json"), "pyproject.toml", "../../etc/passwd"):
        assert inside.get(f"/gradio_api/file={wanted}").status_code in (403, 404), wanted
    for fetching in ("file=http://127.0.0.1:9/x", "proxy=http://127.0.0.1:9/x", "file=https://a.example/x"):
        assert inside.get(f"/gradio_api/{fetching}").status_code == 403, fetching
    page = inside.get("/")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert KEY not in page.text


def test_the_key_and_the_events_stay_out_of_the_public_api(inside):
    described = inside.get("/gradio_api/info").text
    assert KEY not in described
    assert '"named_endpoints":{}' in described.replace(" ", "")
