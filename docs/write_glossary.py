"""Write docs/reference/glossary.md: the words of a report, from where the report has them, and all metrics.

Run `python docs/write_glossary.py` after a word or a metric came or went; a test holds that the page is current.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from llmtl.kinds.table import KINDS
from llmtl.report import wording
from llmtl.report.glossary import F1, WORDS

PAGE = Path(__file__).parent / "reference" / "glossary.md"
INTRODUCTION = """# Glossary

`python docs/write_glossary.py` writes this page; the first part is what every report explains.
"""
FURTHER = (
    ("Bundle", "the folder from which a winner is served: weights or counts, the wording, recorded test inputs."),
    ("Cascade", "two strategies as one: the cheap one answers what it is sure of, the better one the rest."),
    ("Draw", "one throw of what chance decides in a strategy: a training seed, the examples shown, a reply."),
    ("Expected regret", "by how much a strategy is expected to fall short of the best one, seen with its cost."),
    ("Kind", "of a task: one label, several labels, spans, text, or a ranking."),
    ("Parity check", "recorded test inputs sent through a new server, which has to answer as was measured."),
    ("Race", "scoring block by block and leaving out whoever is shown to be out of reach."),
    ("Run", "one decision, and the folder that holds everything of it."),
    ("Simpler rival", "the best of the strategies that tune less than the choice."),
)


def page() -> str:
    """Return the page."""
    words = _listed(WORDS)
    further = _listed(FURTHER)
    rows = [
        f"| {kind.name} | {wording.capital(wording.metric_name(metric))} (`{metric}`) | {kind.meanings[metric]} |"
        for kind in KINDS
        for metric in kind.metrics
    ]
    table = "\n".join(["| kind | metric | what it measures |", "|---|---|---|", *rows])
    parts = [INTRODUCTION, words, "## More words of llmtl\n", further, "## Metrics\n"]
    return "\n".join([*parts, f"{F1[0]}: {F1[1]} The first metric of a kind is its default.\n", f"{table}\n"])


def _listed(words: Iterable[tuple[str, str]]) -> str:
    return "".join(f"- **{word}**: {meaning}\n" for word, meaning in words)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit()
