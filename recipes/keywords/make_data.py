"""Writes the keywords data: 400 fault notes from a plant, each with the bay that repairs the machine.

Which bay it is depends on nothing but the part or fault code named in the note: each bay looks after
one kind of machine, with six parts and codes of its own. The rest of a note is the same for all
bays. A model that has not seen the plant's list has no head start, and counting words is enough.

Not covered: notes that name parts of two bays, misspelled parts.

    python make_data.py [--out data.csv]
"""

import argparse
import csv
import random
from collections.abc import Callable, Sequence
from pathlib import Path

SEED = 20240519
NOTES_PER_BAY = 80
# Notes that name a second part or code of the same bay.
SECOND_PART_SHARE = 0.75

PARTS = {
    "north bay": ("heddle", "treadle", "bobbin", "pirn", "creel", "k17"),
    "south bay": ("platen", "tympan", "frisket", "squeegee", "quoin", "d08"),
    "east bay": ("impeller", "volute", "spigot", "eductor", "flapper", "r55"),
    "west bay": ("pinion", "sprocket", "spline", "trunnion", "pawl", "t12"),
    "yard": ("winch", "jib", "shackle", "derrick", "hawser", "m03"),
}

# Slots: {a} part or code, {s} what is wrong, {w} when, {d} what was done.
FRAMES = (
    "{a}: {s} {w}, {d}",
    "{w} the panel showed {a}, {s}, {d}",
    "note for the fitters, {a} again, {s}, {d}",
    "{s} at {a} {w}",
    "found trouble at {a} {w}, {s}",
    "operator says {s} near {a}, {d}",
    "{w}: {s}, most likely {a}, {d}",
    "please see to {a}, {s} {w}",
    "second call about {a}, {s}, {d}",
    "on the round {w} we logged {a}, {s}",
)
FAULTS = (
    "odd noise", "too much play", "runs hot", "slips under load", "worn edge", "hairline gap",
    "sits askew", "jerky motion", "trembles at speed", "slow to start", "stuck halfway", "rubs",
    "grease gone", "bolt missing", "out of true", "stops at random",
)  # fmt: skip
TIMES = (
    "on the early shift", "after the break", "at start-up", "near the end of the run", "at dusk",
    "on tuesday", "during the night run", "since the last stop", "before handover", "at ten past six",
    "all week", "twice this month",
)  # fmt: skip
DEEDS = (
    "machine left running", "line halted", "tagged and left", "cleaned, no change", "needs a look",
    "tightened by hand", "waiting for you", "speed lowered", "cover taken off", "reset once, came back",
    "no spare on the shelf", "not urgent",
)  # fmt: skip

Deck = Callable[[], str]


def deck(items: Sequence[str], rng: random.Random) -> Deck:
    """A function that deals the items in random order and reshuffles when all have been dealt."""
    left: list[str] = []

    def deal() -> str:
        if not left:
            left.extend(rng.sample(list(items), len(items)))
        return left.pop()

    return deal


def name_parts(parts: Deck, rng: random.Random) -> str:
    """One part or code, or two different ones joined by a plain word."""
    first = parts()
    if rng.random() >= SECOND_PART_SHARE:
        return first
    second = parts()
    return first if second == first else f"{first} {rng.choice(('and', 'or', 'with'))} {second}"


def make_rows(seed: int = SEED) -> list[tuple[str, str]]:
    """All (text, label) rows in random order, no text twice."""
    rng = random.Random(seed)
    shared = {slot: deck(items, rng) for slot, items in (("s", FAULTS), ("w", TIMES), ("d", DEEDS))}
    frames = deck(FRAMES, rng)
    texts: dict[str, str] = {}
    for count, (bay, names) in enumerate(PARTS.items(), start=1):
        parts = deck(names, rng)
        while len(texts) < count * NOTES_PER_BAY:
            slots = {slot: deal() for slot, deal in shared.items()}
            texts[frames().format(a=name_parts(parts, rng), **slots)] = bay
    rows = list(texts.items())
    rng.shuffle(rows)
    return rows


def main() -> None:
    """Writes the CSV file, UTF-8 with Unix line ends."""
    parser = argparse.ArgumentParser(description="Write the keywords notes as CSV.")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("data.csv"))
    out: Path = parser.parse_args().out
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label"))
        writer.writerows(make_rows())


if __name__ == "__main__":
    main()
