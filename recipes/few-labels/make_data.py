"""Writes the few-labels data: 24 messages to a school office, six for each of four desks.

The names of the desks say plainly what they are for. Every noun, fault and request below is used
once at most, so that hardly a content word of one message comes back in another.

Not covered: messages for two desks, and enough data to tell close strategies apart.

    python make_data.py [--out data.csv]
"""

import argparse
import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SEED = 20240518
MESSAGES_PER_DESK = 6


@dataclass(frozen=True)
class Desk:
    """One desk of the school office and the words that only it uses."""

    label: str
    faults: tuple[str, ...]  # whole clauses: something that has gone wrong
    wishes: tuple[str, ...]  # what the sender asks the office to do
    topics: tuple[str, ...]  # nouns, used after "the"


DESKS = (
    Desk(
        "lunches and canteen",
        (
            "the packed lunch of my son was left on the tray",
            "my daughter finds the soup far too greasy",
            "our twins say the cook ran out of noodles",
            "the snack at noon is always cold",
        ),
        (
            "leave nuts out of her meal",
            "dish up a vegetarian option for him",
            "top up the meal card",
            "serve the pasta without milk",
        ),
        ("canteen queue", "kitchen hatch", "cutlery", "lunch box", "menu of next week", "dessert"),
    ),
    Desk(
        "bus and travel",
        (
            "the minibus drove past the stop and left three pupils standing",
            "my daughter found no free seat on the morning ride",
            "the driver was speeding on the motorway",
            "that ferry to the island was overcrowded",
        ),
        (
            "pick up my nephew at the corner of our road",
            "buckle the little ones in properly",
            "drop the children nearer to the railway station",
            "pedal along with the cycling group",
        ),
        ("bus pass", "seat belt", "route", "tram fare", "bike rack", "timetable of line five"),
    ),
    Desk(
        "exams and marks",
        (
            "the examiner added up the score wrongly",
            "two questions on the test paper were unreadable",
            "my son failed although his answers match the textbook",
            "her essay was graded unfairly",
        ),
        (
            "let my niece resit the paper she missed",
            "tell us the pass mark in maths",
            "explain that poor grade in physics",
            "send a copy of his report",
        ),
        ("grade", "resit", "dictation", "dissertation", "final score", "multiple-choice sheet"),
    ),
    Desk(
        "places and enrolment",
        (
            "our flat lies just outside the catchment area",
            "we are still on the waiting list for autumn",
            "nobody confirmed that our daughter was admitted",
            "the transfer from her former school is pending",
        ),
        (
            "register my youngest for year one",
            "hold a place until we have moved house",
            "accept his birth certificate as a scan",
            "put our foster child on the class list",
        ),
        ("enrolment form", "open day", "register", "term date", "admission", "transfer certificate"),
    ),
)

# Slots: {f} fault clause, {w} wish, {t} and {u} topics. Each frame is used once.
FAULT_FRAMES = (
    "Dear school, {f}, and then we came across the {t}.",
    "Hi, this is Ada's father: {f}.",
    "I hear that {f}. Does the {t} play a part in it?",
    "Since {f}, what should a parent do?",
    "Not the first time: {f}. Mrs Aydin, 4b",
    "We were told that {f}, but who looks into it?",
    "Sorry for writing so early, yet {f}.",
    "Our problem is quickly told, {f}, and the {t} tells the same story.",
    "Only a short line from the Novaks: {f}.",
    "As every Monday, {f}. Please ring back.",
)
WISH_FRAMES = (
    "Hello! Would the office be so good as to {w}? The {t} is on my mind too.",
    "Good morning, we hope that you can {w} by Thursday.",
    "Could a colleague of yours {w}, please? Yours, the Lindqvists",
    "It would mean a lot to us if somebody were to {w}.",
    "My wife asked already, so again: do {w}, and mind the {t}.",
    "Whom must one ask in order to {w}?",
    "Grandma Ruth here. You promised to {w}, remember?",
    "Be so kind and {w} from now on. Thanks, Pavel",
    "Is it too late this term to {w}?",
    "Two requests: {w}, and send us word on the {t}.",
)
TOPIC_FRAMES = (
    "May I raise two points, the {t} and the {u}?",
    "Where do I find out more on the {t}, or else on the {u}?",
    "New parents here, we know neither the {t} nor the {u}.",
    "First the {t}, now the {u}: what has changed?",
)


def cut(items: Sequence[str], rng: random.Random) -> Iterator[str]:
    """The items in random order, to be taken one by one."""
    return iter(rng.sample(items, len(items)))


def fill(frame: str, **slots: Iterator[str]) -> str:
    """The frame with each slot it has taken from that slot's items."""
    used = {slot: next(items) for slot, items in slots.items() if "{" + slot + "}" in frame}
    return frame.format(**used)


def make_rows(seed: int = SEED) -> list[tuple[str, str]]:
    """All (text, label) rows in random order, six for each desk."""
    rng = random.Random(seed)
    fault_frames, wish_frames, topic_frames = (cut(frames, rng) for frames in (FAULT_FRAMES, WISH_FRAMES, TOPIC_FRAMES))
    rows = []
    for place, desk in enumerate(DESKS):
        faults, wishes, topics = (cut(items, rng) for items in (desk.faults, desk.wishes, desk.topics))
        fault_count = 3 - place % 2  # 3, 2, 3, 2: the frames of both kinds come out even
        frames = [next(fault_frames) for _ in range(fault_count)]
        frames += [next(wish_frames) for _ in range(MESSAGES_PER_DESK - 1 - fault_count)]
        frames.append(next(topic_frames))
        texts = [fill(frame, f=faults, w=wishes, t=topics, u=topics) for frame in frames]
        rows += [(text, desk.label) for text in texts]
    rng.shuffle(rows)
    return rows


def main() -> None:
    """Writes the CSV file, UTF-8 with Unix line ends."""
    parser = argparse.ArgumentParser(description="Write the few-labels messages as CSV.")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("data.csv"))
    out: Path = parser.parse_args().out
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label"))
        writer.writerows(make_rows())


if __name__ == "__main__":
    main()
