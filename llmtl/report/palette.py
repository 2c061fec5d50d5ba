"""The colours of the report and the playground, on a light and on a dark page, as custom properties of CSS.

Roles bring theirs along (`llmtl.strategy.LOOKS`). Not covered: which element has which colour (`charts.css` and the
style sheets of the page and the playground).
"""

from collections.abc import Mapping
from importlib.resources import files

from llmtl.strategy import LOOKS

COLOURS: Mapping[str, tuple[str, str]] = {
    "page": ("#ffffff", "#14171b"),
    "soft": ("#f5f6f8", "#1c2026"),
    "ink": ("#16191d", "#e8eaed"),
    "muted": ("#5a626d", "#a0a8b3"),
    "rule": ("#e1e4e8", "#30363e"),
    "grid": ("#eceef1", "#262b32"),
    "accent": ("#0b62a8", "#6cb6f0"),
    "right": ("0 114 178", "86 180 233"),
    "wrong": ("213 94 0", "240 140 74"),
    "strong-ink": ("#ffffff", "#0d1013"),
    "good": ("#0a6b4b", "#4cc79a"),
    "bad": ("#a8430a", "#f0a070"),
    "band": ("#eef5fb", "#1a2733"),
    "adopt": ("#0b62a8", "#6cb6f0"),
    "tie": ("#3d5a80", "#9db8d9"),
    "baseline-verdict": ("#59616c", "#a9b1bc"),
    "inconclusive": ("#8a5a00", "#e0b25a"),
    **{role.value: (look.colour, look.dark_colour) for role, look in LOOKS.items()},
}
"""Light and dark by name; `right` and `wrong` are red, green and blue, because cells of tables thin them."""


def properties(*, dark: bool = False) -> str:
    """Write the colours as declarations of CSS: `--page: #ffffff; --soft: #f5f6f8; ...`."""
    return " ".join(f"--{name}: {pair[dark]};" for name, pair in COLOURS.items())


def chart_rules() -> str:
    """Write the style sheet of all charts, with one rule per role."""
    roles = "".join(f".role-{role.value} {{ --mark: var(--{role.value}); }}\n" for role in LOOKS)
    return files("llmtl.report").joinpath("charts.css").read_text(encoding="utf-8") + roles
