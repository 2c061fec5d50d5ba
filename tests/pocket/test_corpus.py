"""The pre-training text: the same for a seed on every machine, packed without loss, and free of recipe sentences."""

import re
from random import Random

import numpy as np
import pytest
from tokenizers import Tokenizer

from llmtl.pocket import resolve
from llmtl.pocket.corpus import ROW_LENGTHS, Corpus, plain_text, row_length, shares, task_style
from llmtl.pocket.documents import ALWAYS, NEVER, Encoder, RepeatStyle, classification_document, repeat_document
from llmtl.pocket.lexicon import gerund, load_lexicon, past, plural
from llmtl.pocket.messages import MessageStyle, WordSupply, message
from llmtl.pocket.tasks import TaskStyle, draw_task, easy_style, opaque_labels, turns
from llmtl.pocket.vocabulary import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    folder = resolve("pocket-llama")
    assert folder is not None
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def encoder(tokenizer: Tokenizer) -> Encoder:
    return Encoder(tokenizer)


@pytest.mark.parametrize("progress", [0.0, 0.45, 1.0])
def test_a_batch_is_the_same_for_the_same_seed_and_index(
    encoder: Encoder, tokenizer: Tokenizer, progress: float
) -> None:
    one = Corpus(encoder, 3).batch(5, progress)
    two = Corpus(Encoder(tokenizer), 3).batch(5, progress)
    assert np.array_equal(one.ids, two.ids)
    assert np.array_equal(one.weights, two.weights)
    assert not np.array_equal(one.ids, Corpus(encoder, 4).batch(5, progress).ids)
    assert not np.array_equal(one.ids, Corpus(encoder, 3).batch(6, progress).ids)


@pytest.mark.parametrize("progress", [start for start, _ in ROW_LENGTHS])
def test_rows_are_full_and_every_document_begins_with_its_mark(encoder: Encoder, progress: float) -> None:
    batch = Corpus(encoder, 0).batch(1, progress)
    assert batch.ids.shape[1] == row_length(progress) + 1
    assert (batch.documents < 0).mean() < 0.08
    starts = np.diff(batch.documents, axis=1, prepend=-1) > 0
    assert set(batch.ids[starts].tolist()) == {encoder.special["<|begin|>"]}


@pytest.mark.parametrize("progress", [0.0, 0.1, 0.3, 0.5, 0.6, 1.0])
def test_shares_add_up_to_one(progress: float) -> None:
    assert sum(shares(progress).values()) == pytest.approx(1.0)


def test_the_cached_encoder_agrees_with_the_tokenizer(encoder: Encoder, tokenizer: Tokenizer) -> None:
    texts = [part for document in plain_text(9, 150) for part in re.split(r"<\|\w+\|>", document) if part]
    texts += [
        "it's 3.50, isn't it?  Two  spaces\n\nlines",
        "naïve café — “quoted” 100%",
        "snake_case-kebab (x)",
    ]
    assert [encoder.encode(t) for t in texts] == [tokenizer.encode(t).ids for t in texts]


def test_the_queries_of_a_document_use_fresh_words() -> None:
    supply = WordSupply(Random(0))
    concept = load_lexicon().topics[0]
    dealt = [supply.take(concept, "things") for _ in concept.things]
    assert sorted(dealt) == sorted(concept.things)


def test_answers_are_marked_and_belong_to_the_label_list(encoder: Encoder, tokenizer: Tokenizer) -> None:
    style = TaskStyle(unlisted=0.0)
    document = classification_document(encoder, style, 400, Random(4))
    text = tokenizer.decode(document.ids, skip_special_tokens=False)
    listed = re.search(r"Labels: (.*?)<\|end\|>", text)
    assert listed is not None
    answers = re.findall(r"<\|assistant\|>(.*?)<\|end\|>", text)
    assert answers
    assert set(answers) <= set(listed.group(1).split(", "))
    marked = [i for i, w in zip(document.ids, document.weights, strict=True) if w == ALWAYS]
    assert tokenizer.decode(marked, skip_special_tokens=False) == "".join(f"{a}<|end|>" for a in answers)


def test_labels_of_a_task_differ_and_concepts_are_not_shared() -> None:
    rng = Random(1)
    for _ in range(300):
        task = draw_task(task_style(1.0, 1024), rng)
        labels = [c.label for c in task.classes]
        assert len(set(labels)) == len(labels) >= 2
        if not task.is_tone:
            keys = [k.key for c in task.classes for k in c.concepts]
            assert len(set(keys)) == len(keys)


def test_every_class_gets_turns() -> None:
    rng = Random(2)
    style = TaskStyle(n_classes=(4, 4))
    task = draw_task(style, rng)
    made = [label for _, (_, label) in zip(range(200), turns(task, style, rng), strict=False)]
    assert set(made) == {c.label for c in task.classes}


def test_easy_documents_name_opaque_labels_over_a_few_words() -> None:
    rng = Random(3)
    for _ in range(20):
        style = easy_style(TaskStyle(), rng)
        task = draw_task(style, rng)
        assert len(task.classes) <= 4
        assert style.messages.tight >= 1
        if style.messages.bare == 1.0 and style.messages.tight == 1:
            made = [text for _, (text, _) in zip(range(60), turns(task, style, rng), strict=False)]
            # One word a class, said one to three times over with one of three separators: at most 7 texts a class.
            assert len(set(made)) <= 7 * len(task.classes)


def test_a_tight_supply_deals_only_its_few_words() -> None:
    concept = load_lexicon().topics[0]
    supply = WordSupply(Random(0), tight=2)
    assert len({supply.take(concept, "things") for _ in range(100)}) == 2


def test_opaque_labels_differ_for_many_classes() -> None:
    rng = Random(0)
    for n in (2, 12, 77):
        for _ in range(30):
            assert len(set(opaque_labels(n, rng))) == n


@pytest.mark.parametrize(
    "style", [RepeatStyle(copies=1.0), RepeatStyle(copies=0.0, alphabet=200), RepeatStyle(bags=1.0)]
)
def test_only_second_occurrences_of_random_tokens_are_trained_on(encoder: Encoder, style: RepeatStyle) -> None:
    rng = Random(0)
    for _ in range(50):
        document = repeat_document(encoder, style, 200, rng)
        before: set[int] = set()
        for token, weight in zip(document.ids, document.weights, strict=True):
            assert weight != ALWAYS or token in before
            assert weight != NEVER or token != encoder.special["<|begin|>"]
            before.add(token)


def test_held_out_frames_are_used_only_on_demand() -> None:
    concept = load_lexicon().topics[3]
    texts = {
        held: " ".join(
            message(concept, WordSupply(Random(i)), MessageStyle(bare=0.0, held_out=held)).lower() for i in range(300)
        )
        for held in (False, True)
    }
    assert "long story short" in texts[True]
    assert "long story short" not in texts[False]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("parcel", "parcels"),
        ("delivery", "deliveries"),
        ("box", "boxes"),
        ("tray", "trays"),
        ("scissors", "scissors"),
    ],
)
def test_plural(word: str, expected: str) -> None:
    assert plural(word) == expected


@pytest.mark.parametrize(
    ("verb", "ing", "ed"),
    [
        ("ship", "shipping", "shipped"),
        ("cancel", "canceling", "canceled"),
        ("exchange", "exchanging", "exchanged"),
        ("send back", "sending back", None),
        ("apply", "applying", "applied"),
        ("tie", "tying", "tied"),
        ("repair", "repairing", "repaired"),
    ],
)
def test_verb_forms(verb: str, ing: str, ed: str | None) -> None:
    assert gerund(verb) == ing
    assert past(verb) == ed
