"""Make classification documents: an instruction, a label list, and turns of message and label.

Turn k of a document is a k-shot example, turn 0 a zero-shot one. Label names are natural, a convention of the
document, or opaque, so that neither the names nor the demonstrations alone are always enough. Not covered:
several labels for one message, and label noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from llmtl.pocket.lexicon import Concept, load_frames, load_lexicon
from llmtl.pocket.messages import MessageStyle, WordSupply, message

Naming = Literal["natural", "convention", "opaque"]
_SYLLABLES = tuple(c + v for c in "bdfgklmnprstvz" for v in "aeiou")


_DEFAULT_MESSAGES = MessageStyle()
_GROUP_WORDS = ("class", "group", "queue", "team", "label", "type", "desk")


@dataclass(frozen=True)
class TaskStyle:
    """The curriculum of classification documents.

    n_classes: smallest and largest number of classes. spread: chance that a class covers several concepts.
    naming: weights of natural, convention and opaque label names. tone, domain: shares of such tasks.
    canonical: chance that a natural label is the first name of its concept. spelled: chance of labels that are not
    in plain lower case. easy: share of documents in the style of `easy_style`.
    related: chance that the classes are drawn from few domains. unlisted: chance of no "Labels:" line.
    """

    messages: MessageStyle = _DEFAULT_MESSAGES
    n_classes: tuple[int, int] = (2, 8)
    spread: float = 0.25
    naming: tuple[float, float, float] = (0.35, 0.2, 0.45)
    tone: float = 0.06
    domain: float = 0.06
    related: float = 0.35
    unlisted: float = 0.12
    canonical: float = 0.3
    spelled: float = 0.5
    easy: float = 0.0


@dataclass(frozen=True)
class LabelClass:
    """One class: its label and the concepts of its messages."""

    label: str
    concepts: tuple[Concept, ...]


@dataclass(frozen=True)
class ClassificationTask:
    """A task drawn for one document."""

    instruction: str
    classes: tuple[LabelClass, ...]
    is_tone: bool
    listed: bool

    @property
    def system(self) -> str:
        """Write the system message as `llmtl.prompting.template` words it."""
        if not self.listed:
            return self.instruction
        return f"{self.instruction}\nLabels: {', '.join(c.label for c in self.classes)}"


def easy_style(style: TaskStyle, rng: Random) -> TaskStyle:
    """Ease a style: opaque labels can often be copied from a message with the same word, one to eight per concept."""
    messages = replace(style.messages, bare=rng.choice((1.0, 1.0, 0.3)), tight=rng.choice((1, 2, 3, 5, 8)))
    return replace(
        style,
        messages=messages,
        n_classes=(2, rng.choice((2, 3, 4))),
        naming=(0.0, 0.0, 1.0),
        spread=0.0,
        tone=0.0,
        domain=0.0,
        unlisted=0.3,
    )


def opaque_labels(n: int, rng: Random) -> list[str]:
    """Make up `n` different labels that say nothing about their class."""
    kind = rng.random()
    made: dict[str, None] = {}
    start = rng.randrange(1, 9)
    while len(made) < n:
        i = start + len(made)
        if kind < 0.4:
            label = rng.choice(_words())
        elif kind < 0.5 and n <= 26:
            label = rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        elif kind < 0.6:
            label = rng.choice(("{}", "{}", "{}")).format(rng.randrange(1, 100))
        elif kind < 0.7:
            label = rng.choice("ABCDEFGHKLMNPQRSTUVWXYZ") + str(rng.randrange(1, 10 if n < 20 else 99))
        elif kind < 0.78:
            number = chr(64 + i) if i < 27 and start % 2 else str(i)
            label = f"{_GROUP_WORDS[start % 7]} {number}"
        elif kind < 0.9:
            label = "".join(rng.choice(_SYLLABLES) for _ in range(rng.choice((2, 3))))
        else:
            label = f"{rng.choice(_words())} {rng.choice(_words())}"
        made[label] = None
    return list(made)


_WORDS: list[str] = []


def _words() -> list[str]:
    """List single words of the lexicon, as labels that mean something else."""
    if not _WORDS:
        lexicon = load_lexicon()
        found = {w for c in lexicon.topics + lexicon.tones for w in c.names + c.things if " " not in w}
        _WORDS.extend(sorted(found))
    return _WORDS


def styled(label: str, style: int) -> str:
    """Write the label in a usual spelling: plain, snake_case, Capitalised, kebab-case, UPPER or Title Case."""
    if style == 1:
        return label.replace(" ", "_")
    if style == 2:
        return label.capitalize()
    if style == 3:
        return label.replace(" ", "-")
    if style == 4:
        return label.upper().replace(" ", "_")
    if style == 5:
        return label.title()
    return label


def _pick_concepts(n: int, style: TaskStyle, rng: Random) -> list[Concept]:
    lexicon = load_lexicon()
    if rng.random() >= style.related:
        return rng.sample(lexicon.topics, n)
    domains = list(lexicon.domains.values())
    rng.shuffle(domains)
    pool: list[Concept] = []
    for concepts in domains:
        pool.extend(concepts)
        if len(pool) >= n:
            return rng.sample(pool, n)
    return rng.sample(lexicon.topics, n)


def _groups(style: TaskStyle, rng: Random) -> list[tuple[Concept, ...]]:
    """Draw the concepts of each class."""
    low, high = style.n_classes
    n = rng.randint(low, high)
    if high > 12 and rng.random() < 0.85:
        n = min(n, rng.randint(2, 12))
    sizes = [rng.choice((1, 2, 2, 3)) for _ in range(n)] if rng.random() < style.spread and n <= 12 else [1] * n
    concepts = _pick_concepts(sum(sizes), style, rng)
    groups = []
    for size in sizes:
        groups.append(tuple(concepts[:size]))
        concepts = concepts[size:]
    return groups


def _special_groups(style: TaskStyle, rng: Random) -> tuple[list[tuple[Concept, ...]], list[str], bool] | None:
    """Draw a tone or domain task: groups, natural labels, and whether it is a tone task; None for a topic task."""
    lexicon = load_lexicon()
    draw = rng.random()
    if draw < style.tone:
        n = rng.randint(2, min(4, len(lexicon.tones)))
        tones = rng.sample(lexicon.tones, n)
        return [(t,) for t in tones], [rng.choice(t.names) for t in tones], True
    if draw < style.tone + style.domain:
        by_domain = lexicon.domains
        low, high = style.n_classes
        names = rng.sample(sorted(by_domain), rng.randint(low, min(high, 10)))
        return [by_domain[name] for name in names], names, False
    return None


def draw_task(style: TaskStyle, rng: Random) -> ClassificationTask:
    """Draw a task whose labels differ from each other."""
    special = _special_groups(style, rng)
    if special is None:
        groups = _groups(style, rng)
        named = [group[0] if rng.random() < 0.5 else rng.choice(group) for group in groups]
        labels = [c.names[0] if rng.random() < style.canonical else rng.choice(c.names) for c in named]
        is_tone = False
    else:
        groups, labels, is_tone = special
    naming: Naming = rng.choices(("natural", "convention", "opaque"), style.naming)[0]
    if naming == "convention" and len(groups) < 8 and special is None and all(len(g) == 1 for g in groups):
        extra = rng.sample(load_lexicon().topics, len(groups))
        taken = {c.key for g in groups for c in g}
        groups = [(*g, e) if e.key not in taken else g for g, e in zip(groups, extra, strict=True)]
    if naming == "opaque" or len(set(labels)) < len(labels):
        if rng.random() < 0.3 and len(set(labels)) == len(labels):
            shift = rng.randrange(1, len(labels))
            labels = labels[shift:] + labels[:shift]
        else:
            labels = opaque_labels(len(groups), rng)
    spelling = rng.choice((1, 1, 2, 3, 4, 5)) if rng.random() < style.spelled else 0
    labels = [styled(label, spelling) for label in labels]
    if len(set(labels)) < len(labels):
        return draw_task(style, rng)
    classes = [LabelClass(label, group) for label, group in zip(labels, groups, strict=True)]
    rng.shuffle(classes)
    frames = load_frames()
    kind = "instruction tone" if is_tone and rng.random() < 0.7 else "instruction"
    return ClassificationTask(
        instruction=rng.choice(frames[kind]),
        classes=tuple(classes),
        is_tone=is_tone,
        listed=rng.random() >= style.unlisted,
    )


def turns(task: ClassificationTask, style: TaskStyle, rng: Random) -> Iterator[tuple[str, str]]:
    """Yield endless (message, label) turns of a task: rounds over the classes half of the time, else at random."""
    supply = WordSupply(rng, repeat=style.messages.repeat, tight=style.messages.tight)
    topics = load_lexicon().topics
    in_rounds = rng.random() < 0.5
    deck: list[LabelClass] = []
    while True:
        if in_rounds:
            if not deck:
                deck = list(task.classes)
                rng.shuffle(deck)
            chosen = deck.pop()
        else:
            chosen = rng.choice(task.classes)
        concept = rng.choice(chosen.concepts)
        if task.is_tone:
            text = message(rng.choice(topics), supply, style.messages, tone=concept)
        else:
            text = message(concept, supply, style.messages)
        if text.strip():
            yield text, chosen.label
