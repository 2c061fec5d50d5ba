"""The report in a real browser: how long it is, and that a phone need not scroll it sideways."""

import pytest


@pytest.fixture
def opened(chromium, desk_run):
    """Return a function that opens the report at a width, in a light page."""
    pages = []

    def at(width):
        pages.append(chromium.new_page(viewport={"width": width, "height": 900}))
        pages[-1].goto(desk_run.report.as_uri())
        return pages[-1]

    yield at
    for page in pages:
        page.close()


def test_a_desktop_shows_the_report_within_six_thousand_pixels(opened):
    page = opened(1280)
    assert page.evaluate("document.documentElement.scrollHeight") < 6000
    assert page.locator("details.part[open]").count() == 0


def test_a_phone_scrolls_nothing_sideways_folded_or_open(opened):
    page = opened(390)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_link_to_a_folded_part_opens_it_and_print_opens_all(opened):
    page = opened(1280)
    page.locator(".contents a[href='#comparisons']").click()
    page.locator("#comparisons > details[open]").wait_for()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.part:not([open])").count() == 0
