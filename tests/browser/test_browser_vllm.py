"""The playground over real vLLM: an adapter beside a prompting strategy of the same weights, with exact prompts."""

from importlib.util import find_spec

import httpx
import pytest

from llmtl.pipeline.playground import playground_content
from llmtl.playground.cost import cost_view
from llmtl.report import wording
from tests.support.live_bundle import live_server
from tests.support.pages import APP, KEY, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed; install llmtl[cpu] or llmtl[gpu]"),
]
TEXT = "my card was declined at the shop"


@pytest.fixture(scope="module")
def live(chromium, llama_run, bundle_of, tmp_path_factory):
    """Return the addresses of endpoint and playground of a served adapter; skips where there is no browser."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with live_server(bundle_of(llama_run, "qlora"), log, key=KEY) as url:
        command = (APP, "--endpoint", f"{url}/v1", "--run", str(llama_run.folder), "--port", "0")
        with running(*command, says=r"Playground: (http\S+)") as match:
            yield f"{url}/v1", match.group(1), llama_run


def asked(endpoint, model):
    """Return label and prompt that vLLM gives for the text, asked without the playground."""
    answer = httpx.post(
        f"{endpoint}/chat/completions",
        json={"model": model, "messages": [{"role": "user", "content": TEXT}], "return_prompt_text": True},
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=60,
        trust_env=False,
    )
    body = answer.raise_for_status().json()
    return body["choices"][0]["message"]["content"], body["prompt_text"]


def test_an_adapter_and_a_prompt_answer_side_by_side_as_vllm_does(live, visit):
    endpoint, playground, _ = live
    page = visit(playground)
    page.page.get_by_label("Prompt with examples", exact=True).check()
    page.label(TEXT)
    page.page.locator(".lt-card .lt-label").nth(1).wait_for()
    cards = page.page.locator(".lt-card")
    assert cards.locator("h2").all_inner_texts() == ["Fine-tuning with QLoRA\nqlora", "Prompt with examples\nfew-shot"]
    prompts = []
    for at, model in enumerate(("front-desk", "front-desk/few-shot")):
        label, prompt = asked(endpoint, model)
        card = cards.nth(at)
        assert card.locator(".lt-label").inner_text() == label
        card.get_by_text("Exact prompt").click()
        assert card.locator("pre").inner_text() == prompt
        assert card.locator(".lt-bars tr").count() == 5
        prompts.append(prompt)
    assert "Say what the message is about." in prompts[0]
    assert len(prompts[1]) > len(prompts[0]) + 100  # four demonstrations
    page.keep("vllm-side-by-side")


def test_a_message_beyond_the_context_gets_the_servers_line(live, visit):
    page = visit(live[1])
    page.page.get_by_label("Message").fill("card " * 3900)
    page.page.keyboard.press("Enter")
    page.page.get_by_role("alert").wait_for()
    assert "token" in page.page.get_by_role("alert").inner_text()


def test_a_csv_comes_back_labelled_by_vllm(live, visit, tmp_path):
    page = visit(live[1])
    (tmp_path / "mail.csv").write_text("message\n" + f"{TEXT}\n" * 40)
    page.tab("Batch")
    page.page.locator("#upload input[type=file]").set_input_files(tmp_path / "mail.csv")
    page.page.get_by_role("button", name="Label the file").click()
    page.page.get_by_text("40 of 40 rows labelled").wait_for(timeout=60_000)
    label, _ = asked(live[0], "front-desk")
    assert page.page.locator(".lt-counts th").all_inner_texts() == [label]


def test_a_running_batch_can_be_stopped(live, visit, tmp_path):
    page = visit(live[1])
    (tmp_path / "long.csv").write_text("message\n" + "".join(f"{TEXT} number {n}\n" for n in range(5000)))
    page.tab("Batch")
    page.page.locator("#upload input[type=file]").set_input_files(tmp_path / "long.csv")
    start = page.page.get_by_role("button", name="Label the file")
    start.click()
    page.page.get_by_role("progressbar").wait_for()
    page.page.get_by_role("button", name="Stop").click()
    page.page.get_by_text("Stopped; nothing was written.").wait_for()
    assert start.is_enabled()
    page.page.wait_for_timeout(1500)
    assert page.page.get_by_role("progressbar").count() == 0


@pytest.mark.parametrize("power", [3, 6])
def test_the_slider_prices_the_winner_at_another_volume(live, visit, power):
    endpoint, playground, run = live
    content = playground_content(endpoint, run=run, api_key=KEY)
    prices = content.prices.model_copy(update={"requests_per_month": 10.0**power})
    expected = cost_view(content.costs, winner=content.report.decision.winner, prices=prices)
    page = visit(playground)
    page.tab("Decision")
    headline = page.page.locator("#costs .lt-headline:not(#errors-headline)")
    page.page.locator("#prices").get_by_label("Requests per month").fill(str(power))
    page.page.locator("#costs").get_by_text(f"{prices.requests:,.0f} requests, fitting included").wait_for()
    assert headline.inner_text() == expected.headline
    mine = next(row.priced for row in expected.rows if row.priced.name == expected.winner)
    assert page.page.locator("#costs .lt-winner .lt-month").inner_text() == wording.readable_usd(mine.month)
