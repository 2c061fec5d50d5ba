"""Whether the answers are known before they are asked for: texts shared between parts, label names inside texts.

Not covered: paraphrases, and leaks through columns that are no input.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from llmtl.checks.finding import Finding, Level
from llmtl.data.near_duplicates import canonical, neighbours_in
from llmtl.data.table import quoted
from llmtl.numerals import DIFFERS, IS, some_of
from llmtl.task import Example, Split

NEAR_COPIES = "near_copies"
"""The code of the finding that test inputs nearly equal one that is learned from."""
NAMED_SHARE = 0.5
"""A label is suspicious when at least this share of its own texts name it."""
BUT_FOR_NUMBERS = 0.1
"""From this share on, test texts that equal a learned one but for numbers say that texts come from templates (our
choice)."""
FEWEST_TEXTS = 4
"""Labels with fewer texts say too little about how often a text names its label."""


def check_leakage(split: Split, *, threshold: float) -> list[Finding]:
    """Find leaks: a stop where a dev or test text equals one learned from, a warning where one nearly does.

    Dev is compared with train, test with train and dev. `threshold` is the Jaccard similarity from which texts count as
    near-duplicates.
    """
    return [
        *_shared("dev", split.dev, "train", split.train, threshold=threshold),
        *_shared("test", split.test, "train or dev", (*split.train, *split.dev), threshold=threshold),
    ]


def check_templates(split: Split) -> list[Finding]:
    """Warn where a tenth of the test texts differ from texts that are learned from in nothing but their numbers.

    Short texts of one template can be less alike than near-duplicates are, above all without spaces between words.
    """
    learned = {_without_numbers(example.key) for example in (*split.train, *split.dev)}
    same = [example.id for example in split.test if _without_numbers(example.key) in learned]
    if len(same) < max(1, BUT_FOR_NUMBERS * len(split.test)):
        return []
    return [
        Finding(
            "templates",
            Level.WARNING,
            f"{some_of(len(same), len(split.test), 'test text', DIFFERS)} from one that is learned from in numbers "
            "only, as texts of a template do: scores say little of texts in other words; add such texts.",
            tuple(same),
        )
    ]


def _without_numbers(text: str) -> str:
    """Return a canonical text with `0` for each run of digits, of any script."""
    return re.sub(r"\d+", "0", canonical(text))


def _shared(
    name: str, examples: Sequence[Example], other_name: str, others: Sequence[Example], *, threshold: float
) -> Iterable[Finding]:
    near = neighbours_in([example.key for example in examples], [example.key for example in others], threshold)
    equal, similar = list[str](), list[str]()
    for example, position in zip(examples, near, strict=True):
        if position is not None:
            same = canonical(example.key) == canonical(others[position].key)
            (equal if same else similar).append(example.id)
    if equal:
        yield Finding(
            "leakage",
            Level.STOP,
            f"{some_of(len(equal), len(examples), f'{name} text', IS)} also in {other_name}; remove the copies "
            "from one side.",
            tuple(equal),
        )
    if similar:
        yield Finding(
            "leakage",
            Level.WARNING,
            f"{some_of(len(similar), len(examples), f'{name} text', ('nearly equals', 'nearly equal'))} one in "
            f"{other_name}, so scores may be too high; keep them on one side.",
            tuple(similar),
            code=NEAR_COPIES if name == "test" else "",
        )


def check_label_names(examples: Sequence[Example]) -> list[Finding]:
    """Warn of the labels whose own texts mostly name them, at least twice as often as other texts.

    Names are compared as whole words after `canonical`, with `_` and `-` read as spaces. Such a text may come from a
    template or a header that new inputs will lack.
    """
    texts: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        texts[example.reference].append(example)
    words = {example.id: _words(example.text) for example in examples}
    naming: dict[str, list[str]] = {}
    for label, own in texts.items():
        name = _words(label)
        if len(own) < FEWEST_TEXTS or not name.strip():
            continue
        inside = {example.id for example in examples if name in words[example.id]}
        own_naming = [example.id for example in own if example.id in inside]
        share = len(own_naming) / len(own)
        elsewhere = (len(inside) - len(own_naming)) / max(1, len(examples) - len(own))
        if share >= NAMED_SHARE and share >= 2 * elsewhere:
            naming[label] = own_naming
    if not naming:
        return []
    return [
        Finding(
            "label-in-text",
            Level.WARNING,
            f"Most texts of {quoted(sorted(naming), 5)} contain the label's own name; make sure that new inputs will "
            "too, or remove it from the texts.",
            tuple(id_ for label in sorted(naming) for id_ in naming[label]),
        )
    ]


def _words(text: str) -> str:
    """Return the words of a text, canonical, between single spaces and with one at either end."""
    words = re.findall(r"[^\W_]+", canonical(text))
    return f" {' '.join(words)} "
