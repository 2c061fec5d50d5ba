"""Write the table of strategies into the README from what each strategy says about itself.

Run `python docs/write_tables.py` after a strategy came or went; a test holds that the README is current.
"""

import sys
from pathlib import Path

from llmtl.strategies.table import OWN

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- strategies -->\n", "<!-- /strategies -->"


def strategies_table() -> str:
    """Return one row per strategy of llmtl, cheapest first."""
    rows = [
        f"| {each.facts.title} (`{each.facts.name}`) | {each.facts.role.value} | {each.facts.summary} |" for each in OWN
    ]
    return "\n".join(["| strategy | role | what it is |", "|---|---|---|", *rows]) + "\n"


def written(text: str) -> str:
    """Return the README's text with the table as it should be."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}{strategies_table()}{END}{rest.split(END)[1]}"


def main() -> int:
    """Write the README; return the exit code."""
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
