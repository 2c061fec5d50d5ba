"""Writes the contract clauses as JSON Lines with the places of their spans, from clauses with marks in the text.

`marked.txt` and `marked_test.txt` have one clause per line: `The tenant shall [obligation: pay] [amount: £1,150].`
The order of lines is kept.

Not covered: spans inside spans, and clauses that have square brackets of their own.

    python make_data.py [data|test] [--out data.jsonl]
"""

import argparse
import json
import re
from pathlib import Path
from typing import TypedDict

MARKED = {"data": "marked.txt", "test": "marked_test.txt"}
MARK = re.compile(r"\[(party|date|amount|obligation): ([^][]+)\]")


class Entity(TypedDict):
    """A span: its type, its text and its place in characters of the clause, the end after the last one."""

    type: str
    text: str
    start: int
    end: int


def read_clause(line: str) -> tuple[str, list[Entity]]:
    """The clause without its marks, and the spans that were marked."""
    text, entities, done = "", list[Entity](), 0
    for mark in MARK.finditer(line):
        text += line[done : mark.start()]
        entities.append({"type": mark[1], "text": mark[2], "start": len(text), "end": len(text) + len(mark[2])})
        text, done = text + mark[2], mark.end()
    text += line[done:]
    if "[" in text or "]" in text:
        raise SystemExit(f"This clause has a bracket that is not a mark: {line}")
    return text, entities


def main() -> None:
    """Writes the JSON Lines file, UTF-8 with Unix line ends."""
    parser = argparse.ArgumentParser(description="Write the contract clauses as JSON Lines.")
    parser.add_argument("part", nargs="?", choices=list(MARKED), default="data")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    here = Path(__file__).parent
    out: Path = chosen.out or here / f"{chosen.part}.jsonl"
    lines = (here / MARKED[chosen.part]).read_text(encoding="utf-8").splitlines()
    rows = ({"text": text, "entities": entities} for text, entities in map(read_clause, lines))
    out.write_bytes("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8"))


if __name__ == "__main__":
    main()
