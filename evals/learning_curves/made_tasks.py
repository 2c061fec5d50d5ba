"""Make classification tasks from a seed, for curves of language models; see the README.

Not covered: data with wrong labels, and messages that belong to two labels.
"""

import random

from llmtl.pocket.messages import MessageStyle
from llmtl.pocket.tasks import TaskStyle, draw_task, turns
from llmtl.task import Example, Task

PARTS, CONCEPTS = "made-up parts", "concepts"
BAYS = ("north", "south", "east", "west")
PARTS_PER_BAY = 60
SECOND_PART = 0.5
SYLLABLES = tuple(consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou")
FRAMES = (
    "the {a} {s} {w}",
    "{w} the {a} {s}, please have a look",
    "note for the fitters: the {a} {s} again",
    "we logged the {a} on the round, it {s}",
    "second call about the {a}, it {s} {w}",
    "operator says the {a} {s} {w}",
)
FAULTS = (
    "runs hot",
    "makes an odd noise",
    "sits askew",
    "slips",
    "rubs",
    "stops at random",
    "is worn",
    "jumps",
    "leaks",
)
TIMES = ("on the early shift", "after the break", "at start-up", "all week", "since the last stop", "during the night")
CONCEPT_STYLE = TaskStyle(
    messages=MessageStyle(bare=0.0, held_out=True),
    n_classes=(4, 5),
    spread=1.0,
    naming=(0.0, 0.0, 1.0),
    tone=0.0,
    domain=0.0,
    unlisted=0.0,
)
"""A label stands for one to three matters and names none of them; the frames are those never trained on."""


def parts(seed: int, count: int) -> tuple[Task, tuple[Example, ...]]:
    """Make fault notes that differ only in made-up names of parts: no model has seen one before.

    Each bay has its own parts; the r-th is named in proportion to 1/r, so that rare ones come late.
    """
    rng = random.Random(f"parts {seed}")
    names: dict[str, None] = {}
    while len(names) < PARTS_PER_BAY * len(BAYS):
        names["".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 3))))] = None
    listed = list(names)
    of_bay = {bay: listed[at * PARTS_PER_BAY :][:PARTS_PER_BAY] for at, bay in enumerate(BAYS)}
    weights = [1 / rank for rank in range(1, PARTS_PER_BAY + 1)]
    texts: dict[str, str] = {}
    while len(texts) < count:
        bay = rng.choice(BAYS)
        first, second = rng.choices(of_bay[bay], weights, k=2)
        named = f"{first} and the {second}" if second != first and rng.random() < SECOND_PART else first
        text = rng.choice(FRAMES).format(a=named, s=rng.choice(FAULTS), w=rng.choice(TIMES))
        texts.setdefault(text.strip(), bay)
    return Task("bay", BAYS, instruction="Name the bay that repairs the part."), _examples(texts)


def concepts(seed: int, count: int) -> tuple[Task, tuple[Example, ...]]:
    """Make messages of the kind that the pocket models were trained on, in sentence frames that they never saw."""
    rng = random.Random(f"concepts {seed}")
    drawn = draw_task(CONCEPT_STYLE, rng)
    texts: dict[str, str] = {}
    for text, label in turns(drawn, CONCEPT_STYLE, rng):
        texts.setdefault(text, label)
        if len(texts) == count:
            break
    labels = tuple(sorted({each.label for each in drawn.classes}))
    return Task("concepts", labels, instruction=drawn.instruction), _examples(texts)


def _examples(texts: dict[str, str]) -> tuple[Example, ...]:
    return tuple(Example(str(at), text, label) for at, (text, label) in enumerate(texts.items()))
