"""Draw how hard general English is to predict for a model before and after each tuning: one bar each, from zero."""

from collections.abc import Mapping

from markupsafe import Markup

from llmtl.measured.forgetting import Forgetting
from llmtl.numerals import with_minus
from llmtl.report import svg
from llmtl.report.forgetting_words import in_short, percent

_ROW, _BAR, _AXIS = 46.0, 16.0, 8.0
_ROOM = 62.0
"""Pixels to the right of the longest bar, for its number."""


def forgetting_bars(forgetting: Mapping[str, Forgetting], *, width: float, name: str) -> Markup | None:
    """Draw the cross-entropy before tuning, and below it that of each tuned model; None where nothing was measured."""
    if not forgetting:
        return None
    texts = {strategy: item.text for strategy, item in forgetting.items()}
    before = next(iter(texts.values())).before
    rows = [("before tuning", before, "", "role-any")]
    rows += [(strategy, text.after, _change(text.rise.value), "role-tuning") for strategy, text in texts.items()]
    scale = svg.Scale(0.0, max(value for _, value, _, _ in rows), 2.0, width - _ROOM - 40)
    drawn = [_bar(row, at, scale) for at, row in enumerate(rows)]
    height = _ROW * len(rows) + _AXIS
    return svg.picture(
        (width, height),
        name,
        svg.line((scale(before), 0), (scale(before), height), class_="target"),
        *drawn,
        title="General English before and after fine-tuning",
        description="; ".join(f"{strategy}: {in_short(text)}" for strategy, text in texts.items()),
    )


def _bar(row: tuple[str, float, str, str], at: int, scale: svg.Scale) -> Markup:
    label, value, change, role = row
    top = at * _ROW
    end = scale(value)
    return svg.group(
        svg.text((2.0, top + 14), label, class_="label halo"),
        svg.element("rect", x=2.0, y=top + 20, width=max(1.0, end - 2.0), height=_BAR, class_="solid"),
        svg.text((end + 6, top + 20 + _BAR - 3), f"{value:.2f}{f' ({change})' if change else ''}", class_="figure"),
        class_=role,
    )


def _change(rise: float) -> str:
    written = percent(abs(rise))
    return written if written == "0%" else with_minus(f"{'-' if rise < 0 else '+'}{written}")
