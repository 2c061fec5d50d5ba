import re
from dataclasses import replace

import pytest

from llmtl.report import palette, svg
from llmtl.report.html import render_html
from llmtl.strategy import LOOKS, Role
from tests.support.report_factory import make_content


def luminance(colour):
    """Return the relative luminance of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("role", Role)
def test_marks_stand_out_from_the_page_and_the_winners_band(role, dark):
    look = LOOKS[role]
    for ground in ("page", "band"):  # 4:1 is above the 3:1 that WCAG 1.4.11 asks of graphics
        assert contrast((look.colour, look.dark_colour)[dark], palette.COLOURS[ground][dark]) > 4


def test_every_colour_that_a_sheet_uses_is_in_the_palette_or_set_in_the_sheet():
    page = render_html(make_content())
    style = page[page.index("<style>") : page.index("</style>")]
    used = set(re.findall(r"var\(--([\w-]+)\)", style))
    assert used - set(palette.COLOURS) == {"tone", "mark", "share"}


def test_every_role_has_its_colours_on_the_page_light_dark_and_printed():
    page = render_html(make_content())
    for role, look in LOOKS.items():
        assert page.count(f"--{role.value}: {look.colour};") == 2  # light and print
        assert page.count(f"--{role.value}: {look.dark_colour};") == 1
        assert f".role-{role.value} {{ --mark: var(--{role.value}); }}" in page


def test_a_frozen_model_with_a_head_is_drawn_and_named_like_any_other_strategy():
    content = make_content()
    results = tuple(
        replace(each, name="linear-probe", role=Role.FEATURES) if each.name == "few-shot" else each
        for each in content.decision.strategies
    )
    assert "role-features" not in render_html(content).split("<body>")[1]
    body = render_html(replace(content, decision=replace(content.decision, strategies=results))).split("<body>")[1]
    key = body[body.index('<p class="key"') : body.index('<span class="apart">')]
    assert re.findall("</svg> ([a-z]+)", key) == ["baseline", "prompting", "features", "tuning"]
    mark = str(svg.mark(Role.FEATURES, (7, 7), size=5))
    assert f'class="mark role-features" width="14" height="14" aria-hidden="true">{mark}' in body
    assert "linear-probe</span> <small>features</small>" in body
