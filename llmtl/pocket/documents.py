"""Make documents as token ids: classification, extraction, statements, and random sequences that repeat.

Each token carries a weight class: `NEVER` (no loss: noise that nobody can predict), `SOMETIMES` (ordinary text) or
`ALWAYS` (answers and second copies). Not covered: the order and packing of documents, see `corpus`.
"""

import re
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from llmtl.pocket.lexicon import Concept, load_frames, load_lexicon
from llmtl.pocket.messages import WordSupply, fill, finish, message
from llmtl.pocket.span_documents import draw_types, extraction_system, extraction_turns
from llmtl.pocket.tasks import TaskStyle, draw_task, easy_style, turns
from llmtl.pocket.vocabulary import ASSISTANT, BOS, END, SPECIAL_TOKENS, SYSTEM, USER, special_ids

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NEVER, SOMETIMES, ALWAYS = 0, 1, 2
_FIRST_WORD = 300  # the first ids are special tokens, bytes and the commonest pairs
# The word pattern of GPT-2 (Radford et al. 2019) as the `re` module writes it.
_PIECES = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


@dataclass
class Encoder:
    """Turns text into ids through a cache of words: the same ids as the tokenizer, several times faster."""

    tokenizer: "Tokenizer"
    _cache: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look the special tokens up once."""
        self.special: dict[str, int] = special_ids(self.tokenizer)
        self.size = self.tokenizer.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """Encode a text without special tokens."""
        ids: list[int] = []
        cache = self._cache
        for piece in _PIECES.findall(text):
            known = cache.get(piece)
            if known is None:
                known = self.tokenizer.encode(piece, add_special_tokens=False).ids
                if len(cache) < 200_000:
                    cache[piece] = known
            ids.extend(known)
        return ids


@dataclass
class Document:
    """Token ids with the weight class of each."""

    ids: list[int] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)

    def add(self, ids: list[int], weight: int) -> None:
        """Append ids of one weight class."""
        self.ids.extend(ids)
        self.weights.extend([weight] * len(ids))


def turn_ids(encoder: Encoder, user: str, answer: str) -> tuple[list[int], list[int]]:
    """Encode a user turn up to the assistant's mark, and the answer with its end."""
    s = encoder.special
    asked = [s[USER], *encoder.encode(user), s[END], s[ASSISTANT]]
    return asked, [*encoder.encode(answer), s[END]]


def classification_document(
    encoder: Encoder, style: TaskStyle, room: int, rng: Random, *, max_turns: int = 40
) -> Document:
    """Make a classification document of at most `room` tokens; empty if not one turn fits."""
    if rng.random() < style.easy:
        style = easy_style(style, rng)
    task = draw_task(style, rng)
    s = encoder.special
    document = Document()
    document.add([s[BOS], s[SYSTEM], *encoder.encode(task.system), s[END]], SOMETIMES)
    n_turns = rng.choice((1, 2, 3, 5)) if rng.random() < 0.2 else max_turns
    made = 0
    for user, label in turns(task, style, rng):
        asked, answer = turn_ids(encoder, user, label)
        if made == n_turns or len(document.ids) + len(asked) + len(answer) > room:
            break
        document.add(asked, SOMETIMES)
        document.add(answer, ALWAYS)
        made += 1
    return document if made else Document()


def dictionary_document(encoder: Encoder, style: TaskStyle, room: int, rng: Random, *, max_turns: int = 40) -> Document:
    """Make turns that name the concept of a message by its first name, over the whole lexicon, without a label list.

    They teach which words belong together, which all other documents build on.
    """
    lexicon = load_lexicon()
    supply = WordSupply(rng)
    document = Document()
    document.add([encoder.special[BOS]], SOMETIMES)
    if rng.random() < 0.3:
        instruction = rng.choice(load_frames()["instruction"])
        s = encoder.special
        document.add([s[SYSTEM], *encoder.encode(instruction), s[END]], SOMETIMES)
    for made in range(max_turns):
        concept = rng.choice(lexicon.topics)
        user = rng.choice(concept.names) if rng.random() < 0.1 else message(concept, supply, style.messages)
        asked, answer = turn_ids(encoder, user, concept.names[0])
        if len(document.ids) + len(asked) + len(answer) > room:
            return document if made else Document()
        document.add(asked, SOMETIMES)
        document.add(answer, ALWAYS)
    return document


def extraction_document(encoder: Encoder, room: int, rng: Random) -> Document:
    """Make an extraction document of at most `room` tokens; empty if not one turn fits."""
    types = draw_types(rng)
    s = encoder.special
    document = Document()
    document.add([s[BOS], s[SYSTEM], *encoder.encode(extraction_system(types, rng)), s[END]], SOMETIMES)
    n_turns, made = rng.choice((1, 2, 4, 8, 16)), 0
    for user, answer in extraction_turns(types, rng):
        asked, answered = turn_ids(encoder, user, answer)
        if made == n_turns or len(document.ids) + len(asked) + len(answered) > room:
            break
        document.add(asked, SOMETIMES)
        document.add(answered, ALWAYS)
        made += 1
    return document if made else Document()


def statement(concept: Concept, supply: WordSupply) -> str:
    """Write one sentence that relates words of a concept to each other or to its name."""
    rng = supply.rng
    frame = rng.choice(load_frames()["statement"])
    other = rng.choice(load_lexicon().domains[concept.domain]) if concept.domain != "tone" else concept
    names = list(concept.names)
    rng.shuffle(names)
    while "{name}" in frame:
        frame = frame.replace("{name}", names[0], 1)
        names = names[1:] + names[:1]
    frame = frame.replace("{name2}", rng.choice(other.names)).replace("{domain}", concept.domain)
    return finish(fill(frame, concept, supply), rng)


def statement_document(encoder: Encoder, room: int, rng: Random) -> Document:
    """Make plain text of 1-6 statements about one concept, at most `room` tokens."""
    lexicon = load_lexicon()
    concept = rng.choice(lexicon.topics + lexicon.tones)
    supply = WordSupply(rng)
    s = encoder.special
    document = Document()
    document.add([s[BOS]], SOMETIMES)
    text = " ".join(statement(concept, supply) for _ in range(rng.randint(1, 6)))
    document.add([*encoder.encode(text), s[END]], SOMETIMES)
    return document if len(document.ids) <= room else Document()


@dataclass(frozen=True)
class RepeatStyle:
    """The curriculum of repeat documents: the shares of plain copies and of bags, and how many tokens they use.

    A small alphabet at first: induction then appears within 1.5 million tokens instead of not within 8 million.
    """

    copies: float = 0.35
    bags: float = 0.0
    alphabet: int = 1_000_000


def repeat_document(encoder: Encoder, style: RepeatStyle, room: int, rng: Random) -> Document:
    """Make random tokens that come again: copied once, as key and value pairs in new order, or as such turns.

    Predicting the second copy needs induction heads (Olsson et al. 2022), which label copying builds on.
    """
    high = encoder.size - 1
    low = _FIRST_WORD if style.alphabet < high - _FIRST_WORD else len(SPECIAL_TOKENS)
    high = min(high, low + style.alphabet)
    document = Document()
    document.add([encoder.special[BOS]], SOMETIMES)
    if rng.random() < style.bags:
        _add_bags(document, encoder, (low, high), room, rng)
        return document
    kind = rng.random()
    if kind < style.copies:
        n = rng.randint(4, max(4, min(96, (room - 1) // 2)))
        copy = [rng.randint(low, high) for _ in range(n)]
        document.add(copy, NEVER)
        document.add(copy[:1], NEVER)
        document.add(copy[1:], ALWAYS)
    else:
        as_turns = kind > style.copies + (1 - style.copies) * 0.4
        _add_pairs(document, encoder, (low, high), room, rng, as_turns=as_turns)
    return document if len(document.ids) <= room else Document()


def _add_bags(document: Document, encoder: Encoder, span: tuple[int, int], room: int, rng: Random) -> None:
    """Add turns of 2-4 classes of random tokens: a message holds 1-3 tokens of its class, and often others."""
    s = encoder.special
    bags = [[rng.randint(*span) for _ in range(rng.randint(1, 5))] for _ in range(rng.randint(2, 4))]
    labels = [rng.randint(*span) for _ in bags]
    n_noise = rng.choice((0, 0, 1, 2, 4))
    seen: set[int] = set()
    for _ in range(40):
        at = rng.randrange(len(bags))
        keys = rng.sample(bags[at], min(len(bags[at]), rng.randint(1, 3)))
        tokens = keys + [rng.randint(*span) for _ in range(rng.randint(0, n_noise))]
        rng.shuffle(tokens)
        if len(document.ids) + len(tokens) + 5 > room:
            return
        known = any(key in seen for key in keys)
        seen.update(keys)
        document.add([s[USER], *tokens, s[END], s[ASSISTANT]], NEVER)
        document.add([labels[at]], ALWAYS if known else NEVER)
        document.add([s[END]], NEVER)


def _add_pairs(
    document: Document,
    encoder: Encoder,
    span: tuple[int, int],
    room: int,
    rng: Random,
    *,
    as_turns: bool,
) -> None:
    """Add pairs of a random key and value, dealt again and again in a new order."""
    s = encoder.special
    n = rng.randint(2, 8)
    values = [rng.randint(*span) for _ in range(rng.randint(2, n))]
    pairs = [(rng.randint(*span), values[i % len(values)]) for i in range(n)]
    length = min(room, rng.choice((60, 120, 240)))
    seen: set[int] = set()
    while True:
        rng.shuffle(pairs)
        for key, value in pairs:
            if len(document.ids) + (6 if as_turns else 2) > length:
                return
            weight = ALWAYS if key in seen else NEVER
            seen.add(key)
            if as_turns:
                document.add([s[USER], key, s[END], s[ASSISTANT]], NEVER)
                document.add([value], weight)
                document.add([s[END]], NEVER)
            else:
                document.add([key], NEVER)
                document.add([value], weight)
