"""Write messages about a concept, from frames and words.

Within one document a `WordSupply` deals the words of a concept without repeating one before all were used, so that
the words of a query are usually not among those of the demonstrations. Not covered: grammar beyond a frame (an
article may be wrong, as it may be in real mail), and spelling noise other than dropped or doubled letters.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from llmtl.pocket import fillers
from llmtl.pocket.lexicon import Concept, gerund, load_frames, past, plural

_SLOT = re.compile(r"\{(\w+)\}")
_FORMS: dict[str, tuple[str, Callable[[str], str]]] = {
    "thing": ("things", str),
    "things": ("things", plural),
    "action": ("actions", str),
    "acting": ("actions", gerund),
    "state": ("states", str),
}
_SPACE_BEFORE = re.compile(r" ([,.:;?!])")


@dataclass(frozen=True)
class MessageStyle:
    """How hard messages are: the curriculum of one document.

    bare: share of messages that are only one to three content words.
    plain: share of the others that are a single core sentence.
    repeat: chance that a word is drawn afresh, and so may repeat an earlier one of the document.
    noise: chance that a message carries a spelling slip.
    tight: if not 0, how many words a concept has in one document.
    held_out: take the core sentence from the frames that are never trained on.
    """

    bare: float = 0.1
    plain: float = 0.4
    repeat: float = 0.1
    noise: float = 0.05
    held_out: bool = False
    tight: int = 0


@dataclass
class WordSupply:
    """Deals the words of concepts, each word once per round."""

    rng: Random
    repeat: float = 0.0
    tight: int = 0
    _decks: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def take(self, concept: Concept, kind: str) -> str:
        """Deal a word of `concept`; `kind` is `things`, `actions` or `states`."""
        if self.tight:
            return self.rng.choice(self._few(concept))
        words: tuple[str, ...] = getattr(concept, kind)
        if self.rng.random() < self.repeat:
            return words[int(self.rng.random() * min(3, len(words)))]
        deck = self._decks.setdefault((concept.key, kind), [])
        if not deck:
            deck.extend(words)
            self.rng.shuffle(deck)
        return deck.pop()

    def _few(self, concept: Concept) -> list[str]:
        """Choose the `tight` words of a concept for this document."""
        deck = self._decks.setdefault((concept.key, "few"), [])
        if not deck:
            words = concept.things + concept.actions + concept.states
            deck.extend(self.rng.sample(words, min(self.tight, len(words))))
        return deck


def fill(frame: str, concept: Concept, supply: WordSupply) -> str:
    """Fill the slots of a frame from `concept` and the neutral fillers."""

    def word(match: re.Match[str]) -> str:
        slot = match.group(1)
        if slot == "acted":
            return _past_of(concept, supply)
        if slot in _FORMS:
            kind, inflect = _FORMS[slot]
            return inflect(supply.take(concept, kind))
        return fillers.draw(slot, supply.rng)

    return _SLOT.sub(word, frame)


def _past_of(concept: Concept, supply: WordSupply) -> str:
    for _ in range(3):
        form = past(supply.take(concept, "actions"))
        if form is not None:
            return form
    return "mentioned"


def bare(concept: Concept, supply: WordSupply) -> str:
    """Write one to three content words of `concept` without a frame."""
    rng = supply.rng
    words = [
        supply.take(concept, rng.choice(("things", "things", "actions", "states")))
        for _ in range(rng.choice((1, 1, 2, 2, 3, 3)))
    ]
    return rng.choice((" ", ", ", " and ")).join(words)


def _sentence(text: str, rng: Random) -> str:
    return text if text[-1] in ".?!," else text + rng.choice((".", ".", ".", "", "!", "?"))


def message(concept: Concept, supply: WordSupply, style: MessageStyle, *, tone: Concept | None = None) -> str:
    """Write a message about `concept`, 1-25 words; with `tone` also a sentence that shows it."""
    rng = supply.rng
    frames = load_frames()
    core = frames["core held-out" if style.held_out else "core"]
    if tone is None and rng.random() < style.bare:
        return bare(concept, supply)
    parts = [_sentence(fill(rng.choice(core), concept, supply), rng)]
    if tone is not None:
        parts.insert(rng.randrange(2), fill(rng.choice(frames["tone"]), tone, supply))
        if rng.random() < style.bare:
            parts = [parts[0] if parts[0][-2:] == " ." else parts[-1]]
    if rng.random() >= style.plain:
        parts = _surround(parts, concept, supply)
    return finish(" ".join(parts), rng, style.noise)


def _surround(parts: list[str], concept: Concept, supply: WordSupply) -> list[str]:
    rng, frames = supply.rng, load_frames()
    kinds = rng.choice(
        (
            ("opening",),
            ("closing",),
            ("aside",),
            ("core",),
            ("opening", "closing"),
            ("opening", "aside"),
            ("opening", "core"),
            ("aside", "closing"),
        )
    )
    for kind in kinds:
        text = fill(rng.choice(frames[kind]), concept, supply)
        if kind == "opening":
            parts = [text, *parts]
        elif kind == "core":
            parts = [*parts, _sentence(text, rng)]
        elif kind == "aside":
            parts = [*parts, text] if rng.random() < 0.5 else [text, *parts]
        else:
            parts = [*parts, text]
    return parts


def finish(text: str, rng: Random, noise: float = 0.0) -> str:
    """Give a text the spaces, the case and the occasional slip of typed mail."""
    text = _SPACE_BEFORE.sub(r"\1", text)
    if rng.random() < 0.15:
        text = text.rstrip(".")
    if rng.random() < noise:
        text = slip(text, rng)
    shape = rng.random()
    if shape < 0.55:
        text = re.sub(r"(^|[.?!] )([a-z])", lambda m: m.group(1) + m.group(2).upper(), text)
        text = re.sub(r"\bi\b", "I", text)
    elif shape < 0.6:
        text = re.sub(r"[,.?!]", "", text)
    return text


def slip(text: str, rng: Random) -> str:
    """Drop one letter of a text, double it, or swap it with its neighbour."""
    at = rng.randrange(len(text))
    change = rng.randrange(3)
    if change == 0:
        return text[:at] + text[at + 1 :] if len(text) > 2 else text
    if change == 1:
        return text[:at] + text[at] + text[at:]
    return text[:at] + text[at + 1 : at + 2] + text[at] + text[at + 2 :]
