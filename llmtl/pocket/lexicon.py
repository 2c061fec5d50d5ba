"""Load the concepts, their words and the sentence frames that the pre-training text is made of.

Reads `lexicon.txt` and `frames.txt` beside this file and inflects their words by rule. Not covered:
irregular verbs (they get no past form), and different senses of one word.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
_VOWELS = "aeiou"
_IRREGULAR_PAST = frozenset(
    (
        "bring", "buy", "build", "break", "choose", "cut", "cost", "come", "catch", "do", "draw", "drink",
        "drive", "eat", "fall", "feel", "feed", "fight", "find", "fly", "forget", "freeze", "get", "give", "go",
        "grow", "hang", "hear", "hide", "hit", "hold", "hurt", "keep", "know", "lay", "lead", "leave", "lend",
        "let", "light", "lose", "make", "meet", "mow", "overpay", "pay", "prove", "put", "quit", "read",
        "rebuild", "resend", "resell", "reset", "rid", "ride", "ring", "rise", "run", "saw", "say", "see",
        "seek", "sell", "send", "set", "sew", "shake", "shine", "shoot", "show", "shrink", "shut", "sing",
        "sink", "sit", "sleep", "slide", "speak", "speed", "spend", "spill", "spin", "split", "spread", "stand",
        "steal", "stick", "sting", "strike", "swear", "sweep", "swim", "swing", "take", "teach", "tear", "tell",
        "think", "throw", "undo", "understand", "unwind", "wake", "wear", "weave", "win", "wind", "withdraw",
        "write", "be", "have", "bet", "bid", "bind", "bite", "bleed", "blow", "burn", "burst", "cast", "creep",
        "dig", "foresee", "forgive", "input", "mistake", "oversleep", "overtake", "retake", "rewrite", "redo",
        "retell",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Concept:
    """One concept: its names, and the words that speak of it."""

    key: str
    domain: str
    names: tuple[str, ...]
    things: tuple[str, ...]
    actions: tuple[str, ...]
    states: tuple[str, ...]


@dataclass(frozen=True)
class Lexicon:
    """All concepts: `topics` (what a message is about) and `tones` (how it is said)."""

    topics: tuple[Concept, ...]
    tones: tuple[Concept, ...]

    @property
    def domains(self) -> dict[str, tuple[Concept, ...]]:
        """Topics by domain, in file order."""
        names = dict.fromkeys(concept.domain for concept in self.topics)
        return {name: tuple(c for c in self.topics if c.domain == name) for name in names}


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the `[header]` blocks of a text file with their lines, without comments and empty lines."""
    header, lines = "", list[str]()
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip() if raw.lstrip().startswith("#") else raw.strip()
        if line.startswith("[") and line.endswith("]"):
            if header:
                yield header, lines
            header, lines = line[1:-1], []
        elif line:
            lines.append(line)
    if header:
        yield header, lines


def parse_concept(key: str, lines: list[str]) -> Concept:
    """Read the concept of one block. A line that is not `field: words` raises ValueError."""
    fields: dict[str, tuple[str, ...]] = {}
    for line in lines:
        name, colon, words = line.partition(":")
        if not colon:
            raise ValueError(f"The line {line!r} of concept {key!r} must be 'field: words'.")
        fields[name.strip()] = tuple(dict.fromkeys(w.strip() for w in words.split(",") if w.strip()))
    return Concept(
        key=key,
        domain=key.partition("/")[0],
        names=fields.get("names", ()),
        things=fields.get("things", ()),
        actions=fields.get("actions", ()),
        states=fields.get("states", ()),
    )


def usable(concept: Concept) -> bool:
    """Tell whether a concept has a name, and enough words for demonstrations and queries to differ."""
    return bool(concept.names) and len(concept.things) >= 3 and len(concept.actions) >= 2 and len(concept.states) >= 2


@cache
def load_lexicon() -> Lexicon:
    """Load the lexicon of the package."""
    text = (_HERE / "lexicon.txt").read_text(encoding="utf-8")
    concepts = [parse_concept(key, lines) for key, lines in blocks(text)]
    concepts = [concept for concept in concepts if usable(concept)]
    return Lexicon(
        topics=tuple(c for c in concepts if c.domain != "tone"),
        tones=tuple(c for c in concepts if c.domain == "tone"),
    )


@cache
def load_frames() -> dict[str, tuple[str, ...]]:
    """Load the sentence frames of the package by block name."""
    text = (_HERE / "frames.txt").read_text(encoding="utf-8")
    return {header: tuple(lines) for header, lines in blocks(text)}


@cache
def plural(thing: str) -> str:
    """Make the plural of a noun phrase, by rule, on its last word."""
    if thing.endswith(("s", "x", "z", "ch", "sh")):
        return thing if thing.endswith("s") and not thing.endswith("ss") else thing + "es"
    if thing.endswith("y") and len(thing) > 1 and thing[-2] not in _VOWELS:
        return thing[:-1] + "ies"
    return thing + "s"


def _doubles(verb: str) -> bool:
    """Tell whether the last consonant doubles: short verbs that end consonant-vowel-consonant, as in "ship"."""
    if len(verb) < 3 or len(verb) > 5 or verb[-1] in _VOWELS + "wxy":
        return False
    vowels = sum(letter in _VOWELS for letter in verb)
    return vowels == 1 and verb[-2] in _VOWELS


@cache
def gerund(action: str) -> str:
    """Make the -ing form of a verb phrase, by rule, on its first word."""
    verb, _, rest = action.partition(" ")
    if verb.endswith("ie"):
        verb = verb[:-2] + "ying"
    elif verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and len(verb) > 2:
        verb = verb[:-1] + "ing"
    else:
        verb = verb + (verb[-1] if _doubles(verb) else "") + "ing"
    return f"{verb} {rest}".strip()


@cache
def past(action: str) -> str | None:
    """Make the -ed form of a verb phrase, by rule, on its first word; None for an irregular verb."""
    verb, _, rest = action.partition(" ")
    if verb in _IRREGULAR_PAST:
        return None
    if verb.endswith("e"):
        verb += "d"
    elif verb.endswith("y") and len(verb) > 1 and verb[-2] not in _VOWELS:
        verb = verb[:-1] + "ied"
    else:
        verb = verb + (verb[-1] if _doubles(verb) else "") + "ed"
    return f"{verb} {rest}".strip()
