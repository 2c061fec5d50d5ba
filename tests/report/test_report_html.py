import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from llmtl.report import write_html
from llmtl.report.folding import folded
from llmtl.report.html import render_html
from llmtl.task import Example
from tests.support.report_factory import VARIANTS, hostile, make_content, only_baselines

VOID = {"meta", "link", "input", "br", "wbr", "hr", "img"}
SECTIONS = [
    "verdict",
    "why",
    "scores",
    "strategies",
    "mistakes",
    "examples",
    "cost",
    "transfer",
    "fitting",
    "comparisons",
    "checks",
    "skipped",
    "measured",
    "provenance",
    "glossary",
]
OPEN = ["why", "scores", "strategies"]


class Page(HTMLParser):
    """Every start tag, attribute and text; raises on tags that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.inside = [], [], [], {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.inside.setdefault(self.open[-1] if self.open else "", []).append(data)
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join("".join(self.texts).split())

    def attributes(self, *names):
        return [attributes[name] for _, attributes in self.tags for name in names if name in attributes]


@pytest.fixture(scope="module")
def pages():
    return {name: render_html(make()) for name, make in VARIANTS.items()}


@pytest.mark.parametrize("variant", VARIANTS)
def test_page_is_well_formed_and_its_references_resolve(pages, variant):
    page = Page(pages[variant])
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    targets = [href[1:] for href in page.attributes("href") if href.startswith("#")]
    described = [name for value in page.attributes("aria-labelledby", "aria-controls") for name in value.split()]
    assert targets
    assert described
    assert set(targets) | set(described) <= set(ids)


@pytest.mark.parametrize("variant", VARIANTS)
def test_page_asks_nothing_of_the_network(pages, variant):
    page = Page(pages[variant])
    assert not page.attributes("src", "srcset", "action", "formaction", "poster", "xlink:href")
    assert {href[:1] for href in page.attributes("href")} <= {"#", "d"}
    assert "@import" not in pages[variant]
    assert "url(" not in pages[variant]
    if variant != "hostile":
        assert "://" not in pages[variant]


@pytest.mark.parametrize("variant", VARIANTS)
def test_pictures_are_described_and_tables_captioned(pages, variant):
    tags = [tag for tag, _ in Page(pages[variant]).tags]
    pictures = [attributes for tag, attributes in Page(pages[variant]).tags if tag == "svg" and "role" in attributes]
    assert len(pictures) >= 4
    assert all("aria-labelledby" in attributes for attributes in pictures)
    assert tags.count("desc") == len(pictures)
    assert tags.count("caption") == tags.count("table")


def test_all_sections_appear_in_order(pages):
    ids = [value for value in Page(pages["adopt"]).attributes("id") if value in SECTIONS]
    assert ids == SECTIONS


def test_all_but_the_verdict_why_scores_and_strategies_is_folded_under_its_title(pages):
    page = pages["adopt"]
    parts = re.findall(r'<section id="([\w-]+)"[^>]*><details class="part"><summary><h2', page)
    assert [name for name in SECTIONS[1:] if name not in OPEN] == parts


def test_who_reads_for_two_minutes_finds_no_p_value_and_three_reasons_at_most(pages):
    page = pages["adopt"]
    top = page[page.index('<header class="verdict') : page.index("<details>")]
    assert 0 < top.split("<aside")[0].count("<li>") <= 3
    assert not re.search(r"\bp [=<]", top.replace("(p = 0.021 before and 0.063 after correction)", ""))


def test_sections_without_anything_to_show_are_left_out(pages):
    ids = Page(pages["only-baselines"]).attributes("id")
    assert "comparisons" not in ids
    assert "fitting" not in ids
    assert "mistakes" in ids


def test_texts_from_outside_never_become_markup(pages):
    page = Page(pages["hostile"])
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.text.count("<script>alert('x')</script>") > 20
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_only_the_pages_own_script_is_admitted(pages):
    page = Page(pages["hostile"])
    script = "".join(page.inside["script"])
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_everything_is_readable_without_script(pages):
    hidden = [(tag, attributes) for tag, attributes in Page(pages["adopt"]).tags if "hidden" in attributes]
    assert {(tag, attributes["class"]) for tag, attributes in hidden} == {("form", "filter"), ("span", "hint")}


def test_banner_says_verdict_score_target_cost_and_latency(pages):
    text = Page(pages["adopt"]).text
    banner = text[text.index("Verdict for") : text.index("Why On test")]
    assert "adopt Use qlora: right 96 times in 100, above your target of 85" in banner
    for figure in (
        "0.958 95% interval 0.90\u20130.98, 96 examples",
        "Met 0.85 accuracy",
        "$0.0011",
        "13 ms",
        "p95 18 ms",
    ):
        assert figure in banner


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("few-rows", "Too close to call. For now, use qlora: right 92 times in 100"),
        ("tie", "Use zero-shot, in a tie: right 70 times in 100, short of your target of 85"),
        ("only-baselines", "Use tfidf: right 55 times in 100, short of your target of 85"),
    ],
)
def test_verdicts_read_as_a_person_would_say_them(pages, variant, words):
    assert "".join(Page(pages[variant]).inside["h1"]) == words


def test_confusion_is_a_table_of_counts_for_few_labels_and_a_heat_map_for_many(pages):
    few, many = (Page(pages[name]) for name in ("adopt", "many-labels"))
    assert "confusion" in few.attributes("class")
    assert "heat" not in few.attributes("class")
    assert "confusion" not in many.attributes("class")
    assert "heat" in many.attributes("class")
    assert "The 10 of 77 labels with the lowest F1 on test." in many.text
    assert "All 77 labels" in many.text
    assert " is taken for " in many.text


def test_ineligible_strategy_says_why_and_a_failure_is_counted(pages):
    text = Page(pages["failures"]).text
    assert (
        "Could not be chosen knn-few-shot it takes 94 ms at the 95th percentile, and decision.max_p95_ms is 50" in text
    )
    assert "(failed)" in text


def test_written_file_is_the_page_even_with_text_that_utf8_cannot_hold(tmp_path):
    content = make_content()
    broken = (Example("test-0", "half a pair: \ud83d", content.test_examples[0].reference), *content.test_examples[1:])
    path = tmp_path / "report.html"
    write_html(replace(content, test_examples=broken), path)
    assert Page(path.read_text(encoding="utf-8")).text.startswith(
        "Use qlora: right 96 times in 100, above your target of 85: customer messages"
    )


def test_pages_stay_small(pages):
    assert max(len(page) for page in pages.values()) < 400_000


def test_missing_details_and_tests_are_tolerated():
    content = only_baselines()
    unopened = tuple(replace(result, test=None) for result in content.decision.strategies)
    bare = replace(
        content,
        decision=replace(content.decision, strategies=unopened, changes=()),
        summary=replace(content.summary, reasons=(), would_change=()),
        evaluations=(),
        fit_findings={"qlora": ()},
        findings=(),
        skipped={},
        provenance={},
    )
    text = Page(render_html(bare)).text
    assert "Accuracy on dev" in text
    assert "The checks found nothing to report." in text
    assert "Every strategy of the recipe ran." in text


def test_break_even_is_told_once():
    told = make_content().summary.would_change[0]
    assert Page(render_html(make_content())).text.count("41,200 requests") == told.count("41,200 requests") == 1
    silent = Page(render_html(make_content(would_change=(), changes=()))).text
    assert "Above 41,200 requests in all, qlora costs less than few-shot." in silent


def test_hostile_variant_really_tries():
    assert "<script>" in hostile().task.labels[0]
    assert re.search(r"\[red\]", hostile().summary.reason)


def test_a_folded_section_says_what_it_holds_itself_or_by_its_name():
    own = folded('<section id="mistakes" data-gist="type by type"><h2>Wrong</h2><p>much</p></section>')
    assert '<summary><h2>Wrong</h2> <span class="gist">type by type</span></summary><p>much</p></details>' in own
    assert '<span class="gist">and why</span>' in folded('<section id="skipped"><h2>Left</h2><p>all</p></section>')
    assert "gist" not in folded('<section id="other"><h2>More</h2><p>all</p></section>')
