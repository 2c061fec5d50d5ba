"""The table of what a model would have cost from scratch beside what adapting it took."""

from dataclasses import replace

import pytest

from llmtl.costs import PriceConfig
from llmtl.decision.transferred import transferred
from llmtl.findings import PreTrained
from llmtl.report.html import render_html
from llmtl.report.markdown_text import markdown
from llmtl.report.pre_training_words import basis, rows
from llmtl.report.view import build_view
from tests.support.report_factory import make_content


@pytest.fixture
def content():
    made = make_content()
    findings = {**made.fit_findings}
    findings["qlora"] = (*findings["qlora"], PreTrained("smollm2", 134_515_008))
    return replace(made, fit_findings=findings, prices=PriceConfig(gpu="h100"))


def test_the_estimate_stands_beside_what_was_measured(content):
    [found] = build_view(content).transfer.costs
    dev = next(each for each in content.evaluations if each.strategy == "qlora" and each.split == "dev")
    assert (found.seconds, found.device) == (dev.train_seconds, dev.device)
    assert found.usd == pytest.approx(dev.train_seconds / 3600 * content.prices.usd_per_cpu_hour)
    [(name, scratch, adapting)] = rows([found])
    assert name == "qlora"
    assert scratch == "about 1,100 GPU-hours, $4,500"
    assert adapting.startswith("no GPU: ")
    assert "135 million weights and 2 trillion tokens (the card of SmolLM2-135M)" in basis([found])
    [on_gpu] = rows([replace(found, device="cuda", seconds=7200.0, usd=7.9)])
    assert on_gpu[2] == "2 GPU-hours, $7.90"


def test_both_reports_say_what_is_estimated_and_what_was_measured(content):
    for page in (render_html(content), markdown(content)):
        assert "about 1,100 GPU-hours" in page
        assert "What training from scratch takes is estimated" in page
        assert "Adapting was measured" in page


def test_without_prices_or_a_model_there_is_no_table(content):
    assert transferred(content.decision, content.evaluations, content.fit_findings).costs == ()
    assert "from scratch (estimated)" not in markdown(make_content())
