"""Properties of balanced, interleaved demonstrations and of stratified samples, over many random label mixes."""

import itertools
import json
import random
from collections import Counter

import pytest
from sklearn.model_selection import train_test_split

from llmtl.answers import Span, write_spans
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.prompting.demonstrations import interleaved, stratified
from llmtl.task import Example

LABELS = ("a", "b", "c", "d", "e")


def mixed(seed):
    """Return 5 to 60 examples with random label shares; some labels may be missing."""
    draw = random.Random(seed)
    weights = [draw.choice([0, 1, 1, 5]) for _ in LABELS[1:]] + [1]
    chosen = draw.choices(LABELS, weights, k=draw.randint(5, 60))
    return tuple(Example(str(position), f"text {position}", label) for position, label in enumerate(chosen))


@pytest.mark.parametrize("seed", range(40))
def test_labels_take_turns(seed):
    examples = mixed(seed)
    available = Counter(example.reference for example in examples)
    chosen = interleaved(examples, LABELS, count=random.Random(seed).randint(1, 40), seed=seed)
    shown = Counter(example.reference for example in chosen)
    most = max(shown.values())
    for label in available:
        assert shown[label] >= min(most - 1, available[label]), "a label is behind although it has examples left"
    for position, (one, next_one) in enumerate(itertools.pairwise(chosen)):
        if one.reference == next_one.reference:
            left = available - Counter(example.reference for example in chosen[: position + 1])
            assert set(left) == {one.reference}, "grouped although another label has examples left"


@pytest.mark.parametrize("seed", range(20))
def test_examples_are_real_and_never_repeated(seed):
    examples = mixed(seed)
    chosen = interleaved(examples, LABELS, count=1000, seed=seed)
    assert sorted(example.id for example in chosen) == sorted(example.id for example in examples)


def test_fewer_are_the_beginning_of_more():
    examples = mixed(3)
    sixteen = interleaved(examples, LABELS, count=16, seed=5)
    assert [interleaved(examples, LABELS, count=count, seed=5) for count in (4, 8)] == [sixteen[:4], sixteen[:8]]


def test_a_seed_repeats_and_seeds_differ():
    examples = mixed(3)
    draws = [interleaved(examples, LABELS, count=8, seed=seed) for seed in (0, 0, 1, 2)]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3


def test_with_more_labels_than_shots_the_draw_decides_which_are_shown():
    labels = tuple(f"label {number}" for number in range(20))
    examples = tuple(Example(str(number), "text", labels[number % 20]) for number in range(60))
    shown = [{each.reference for each in interleaved(examples, labels, count=4, seed=seed)} for seed in range(30)]
    assert all(len(labels) == 4 for labels in shown)
    assert set.union(*shown) == set(labels)


def test_no_cycle_tells_the_next_label():
    examples = tuple(Example(str(number), "text", LABELS[number % 5]) for number in range(100))
    chosen = [example.reference for example in interleaved(examples, LABELS, count=40, seed=0)]
    assert len({tuple(chosen[start : start + 5]) for start in range(0, 40, 5)}) > 1


@pytest.mark.parametrize("seed", range(10))
def test_a_stratified_sample_keeps_the_shares(seed):
    examples = mixed(seed) * 4
    count = len(examples) // 3
    shares = Counter(example.reference for example in examples)
    sample = Counter(example.reference for example in stratified(examples, count=count, seed=seed))
    assert sum(sample.values()) == count
    for label, total in shares.items():
        assert abs(sample[label] - total * count / len(examples)) <= 1


def test_a_stratified_sample_has_the_shares_of_scikit_learn():
    examples = tuple(Example(str(number), "text", "abcc"[number % 4]) for number in range(40))
    truth = [example.reference for example in examples]
    _, expected = train_test_split(truth, test_size=20, stratify=truth, random_state=0)
    assert Counter(each.reference for each in stratified(examples, count=20, seed=0)) == Counter(expected)


def test_a_sample_keeps_the_order_and_small_sets_whole():
    examples = mixed(1)
    assert stratified(examples, count=len(examples), seed=0) == examples
    positions = [examples.index(each) for each in stratified(examples, count=4, seed=0)]
    assert positions == sorted(positions)


def test_which_of_many_equal_labels_are_sampled_depends_on_the_seed():
    examples = tuple(Example(str(number), "text", f"label {number}") for number in range(50))
    samples = {stratified(examples, count=10, seed=seed) for seed in range(5)}
    assert len(samples) == 5


@pytest.mark.parametrize("kind", ["label_sets", "span_types", "texts"])
def test_sets_of_labels_and_of_span_types_take_turns_like_labels(kind):
    write, of = {
        "label_sets": (json.dumps, MULTI_LABEL),
        "span_types": (lambda labels: write_spans(Span(0, 1, each, "x") for each in labels), EXTRACTION),
        "texts": (lambda labels: f"say {labels}", GENERATION),
    }[kind]
    sets = [["a"]] * 12 + [["b"]] * 4 + [["a", "b"]] * 4 + [[]] * 4
    examples = tuple(Example(str(position), "text", write(each)) for position, each in enumerate(sets))
    chosen = interleaved(examples, (), count=8, seed=1, kind=of)
    assert set(Counter(example.reference for example in chosen).values()) == {2}
    sample = stratified(examples, count=12, seed=1, kind=of)
    assert Counter(example.reference for example in sample)[write(["a"])] == 6


def test_texts_are_drawn_at_random_and_each_once():
    examples = tuple(Example(str(position), "text", f"answer {position}") for position in range(40))
    draws = [interleaved(examples, (), count=40, seed=seed, kind=GENERATION) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    assert {example.id for example in draws[0]} == {example.id for example in examples}
