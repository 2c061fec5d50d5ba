"""Make extraction documents: typed spans copied out of a message as a JSON list.

Not covered: nested or overlapping spans.
"""

import json
import re
from collections.abc import Iterator
from random import Random

from llmtl.pocket import fillers
from llmtl.pocket.lexicon import Concept, load_frames, load_lexicon

_SLOT = re.compile(r"\{(\w+)\}")
_TYPE_NAMES = {
    "who": ("person", "name", "who", "contact"),
    "place": ("city", "place", "town", "location"),
    "day": ("date", "day", "when"),
    "time": ("time", "hour"),
    "amount": ("amount", "price", "money", "sum"),
    "code": ("code", "reference", "order number", "case"),
    "company": ("company", "organisation", "firm"),
    "email": ("email", "mail address"),
    "phone": ("phone", "phone number"),
    "thing": ("item", "product", "thing", "object"),
}


def draw_types(rng: Random) -> dict[str, str]:
    """Draw the type name of each slot that a document asks for."""
    slots = rng.sample(sorted(_TYPE_NAMES), rng.randint(1, 4))
    style = rng.randrange(4)
    names = {slot: rng.choice(_TYPE_NAMES[slot]) for slot in slots}
    return {
        s: n.upper().replace(" ", "_") if style == 1 else n.replace(" ", "_") if style == 2 else n
        for s, n in names.items()
    }


def extraction_system(types: dict[str, str], rng: Random) -> str:
    """Write the system message as `llmtl.prompting.template` words it."""
    return f"{rng.choice(load_frames()['instruction extraction'])}\nTypes: {', '.join(types.values())}"


def extraction_turns(types: dict[str, str], rng: Random) -> Iterator[tuple[str, str]]:
    """Yield endless (message, JSON answer) turns; spans come in the order of the message."""
    frames = load_frames()["extract"]
    wanted = [f for f in frames if any("{" + slot + "}" in f for slot in types)]
    concept: Concept = rng.choice(load_lexicon().topics)
    while True:
        spans: list[dict[str, str]] = []

        def value(match: re.Match[str]) -> str:
            slot = match.group(1)
            text = rng.choice(concept.things) if slot == "thing" else fillers.draw(slot, rng)
            if slot in types:
                spans.append({"type": types[slot], "text": text})  # noqa: B023
            return text

        chosen = [rng.choice(wanted if rng.random() < 0.8 else frames) for _ in range(rng.choice((1, 1, 2)))]
        text = _SLOT.sub(value, " ".join(chosen))
        text = re.sub(r" ([.,:])", r"\1", text)
        yield (
            text[0].upper() + text[1:] if not spans or not text.startswith(spans[0]["text"]) else text,
            json.dumps(spans),
        )
