"""Draw the floors of the library as `docs/concepts/floors.svg`.

Run `python docs/draw_floors.py` after a folder came or went. The floors are those of the import contract in
`pyproject.toml`; a module imports only from floors below its own. What a box says comes from the first line of its
docstring. Standard library only.
"""

import ast
import sys
import textwrap
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "concepts" / "floors.svg"
WIDTH, MARGIN, GAP, ROW = 1120, 16, 10, 74
CHARACTER = 6.1
"""Width of a character of the small text, pixels."""
STYLE = """
  .page { fill: #ffffff } .floor { fill: #f3f5f8 } .box { fill: #ffffff; stroke: #8796a8 }
  text { font: 12px system-ui, sans-serif; fill: #1d2733 } .name { font-weight: 600; font-size: 14px }
  .number { fill: #6b7787 }
"""


@dataclass(frozen=True)
class Part:
    """A folder or a file of the library: its name, what it is for, and its size."""

    name: str
    purpose: str
    files: int
    lines: int


def floors(root: Path) -> list[list[str]]:
    """Return the names of the parts on each floor, the top floor first, as the import contract lists them."""
    document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = [each for each in document["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    layers = [layer.replace("|", ":").split(":") for layer in contract["layers"]]
    return [[name.strip().removeprefix("llmtl.") for name in layer] for layer in layers]


def part(root: Path, name: str) -> Part:
    """Return a part of the library by its name."""
    folder = root / "llmtl" / name
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    head = folder / "__init__.py" if folder.is_dir() else files[0]
    docstring = ast.get_docstring(ast.parse(head.read_text(encoding="utf-8"))) or ""
    purpose = " ".join(docstring.split("\n\n")[0].split()).replace("`", "")
    return Part(name, purpose, len(files), sum(each.read_text(encoding="utf-8").count("\n") for each in files))


def draw(root: Path) -> str:
    """Return the picture as SVG text."""
    rows = [[part(root, name) for name in names] for names in floors(root)]
    height = MARGIN + len(rows) * (ROW + GAP)
    drawn = [f'<rect class="page" width="{WIDTH}" height="{height}"/>']
    for index, row in enumerate(rows):
        drawn += _row(row, MARGIN + index * (ROW + GAP), number=len(rows) - 1 - index)
    inside = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="The floors of the library">\n<style>{STYLE}</style>\n{inside}\n</svg>\n'
    )


def _row(row: Sequence[Part], top: int, *, number: int) -> list[str]:
    wide = WIDTH - 2 * MARGIN
    drawn = [
        f'<rect class="floor" x="{MARGIN}" y="{top}" width="{wide}" height="{ROW}" rx="4"/>',
        f'<text class="number" x="{MARGIN + 8}" y="{top + ROW / 2 + 4}">{number}</text>',
    ]
    width = (wide - 34 - GAP * len(row)) / len(row)
    for place, each in enumerate(row):
        drawn += _box(each, MARGIN + 34 + place * (width + GAP), top + 6, width=width)
    return drawn


def _box(each: Part, left: float, top: float, *, width: float) -> list[str]:
    size = f"{each.files} file{'s' if each.files > 1 else ''}, {each.lines:,} lines"
    lines = textwrap.wrap(each.purpose, max(12, int((width - 16) / CHARACTER)))
    if len(lines) > 2:
        lines = [lines[0], f"{lines[1][:-1]}\u2026"]
    drawn = [f'<rect class="box" x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW - 12}" rx="3"/>']
    drawn.append(f'<text class="name" x="{left + 8:.1f}" y="{top + 17}">{escape(each.name)}</text>')
    if width > CHARACTER * (len(size) + len(each.name) * 1.4) + 24:
        drawn.append(
            f'<text class="number" x="{left + width - 8:.1f}" y="{top + 17}" text-anchor="end">{escape(size)}</text>'
        )
    for place, line in enumerate(lines):
        drawn.append(f'<text x="{left + 8:.1f}" y="{top + 34 + 15 * place}">{escape(line)}</text>')
    return drawn


def main() -> int:
    """Write the picture; return the exit code."""
    PICTURE.write_text(draw(ROOT), encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)}: {len(floors(ROOT))} floors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
