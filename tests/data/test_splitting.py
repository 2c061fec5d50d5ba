import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from llmtl.answers import write_ranking
from llmtl.data import Cleaning, DataConfig, LoadedData, load_examples, split_examples, subsample
from llmtl.data.near_duplicates import clusters, neighbours_in
from llmtl.errors import DataError
from llmtl.kinds.text_retrieval import RETRIEVAL
from llmtl.task import Example, Split, references

CONFIG = DataConfig(path="any.csv")
BANKING77 = Path(__file__).parents[3] / "shared" / "data" / "banking77"


def loaded(examples, test=None) -> LoadedData:
    labels = tuple(sorted({example.reference for example in examples}))
    return LoadedData(tuple(examples), test, labels, Cleaning(len(examples)))


def word(source: random.Random) -> str:
    return "".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=9))


def random_examples(count: int, *, weights: list[float], seed: int, families: float = 0.0) -> list[Example]:
    """Return examples of random words; a share `families` of them are near-copies of the one before."""
    source = random.Random(seed)
    examples: list[Example] = []
    for number in range(count):
        if examples and source.random() < families:
            text = f"{examples[-1].text} {number % 10}"
        else:
            text = " ".join(word(source) for _ in range(5))
        label = source.choices([f"label {n}" for n in range(len(weights))], weights)[0]
        examples.append(Example(str(number), text, label))
    return examples


def parts(split: Split) -> list[tuple[Example, ...]]:
    return [split.train, split.dev, split.test]


@pytest.mark.parametrize("seed", range(5))
def test_every_example_lands_once_and_no_cluster_crosses(seed):
    examples = random_examples(300, weights=[5, 3, 1], seed=seed, families=0.4)
    split = split_examples(loaded(examples), CONFIG, seed=seed)
    assert sorted(each.id for part in parts(split) for each in part) == sorted(each.id for each in examples)
    number = dict(zip([each.id for each in examples], clusters([each.text for each in examples], 0.8), strict=True))
    held = [{number[each.id] for each in part} for part in parts(split)]
    assert sum(len(part) for part in held) == len(set.union(*held)) < 250
    assert set(neighbours_in([e.text for e in split.test], [e.text for e in (*split.train, *split.dev)], 0.8)) == {None}


@pytest.mark.parametrize("seed", range(5))
def test_labels_keep_their_proportions_to_the_nearest_example(seed):
    split = split_examples(loaded(random_examples(400, weights=[6, 3, 1], seed=seed)), CONFIG, seed=seed)
    total = Counter(references([each for part in parts(split) for each in part]))
    for part, fraction in zip(parts(split), CONFIG.fractions, strict=True):
        counts = Counter(references(part))
        assert len(part) == pytest.approx(400 * fraction, abs=1.5)
        assert all(counts[label] == pytest.approx(fraction * total[label], abs=1.01) for label in total)


def test_clustered_data_stay_near_their_proportions():
    examples = random_examples(600, weights=[1, 1], seed=3, families=0.5)
    split = split_examples(loaded(examples), CONFIG)
    assert [len(part) / 600 for part in parts(split)] == pytest.approx(CONFIG.fractions, abs=0.02)


def test_row_order_does_not_matter_and_the_seed_does():
    examples = random_examples(120, weights=[2, 1], seed=1, families=0.3)
    split = split_examples(loaded(examples), CONFIG, seed=4)
    shuffled = random.Random(9).sample(examples, k=120)
    assert split_examples(loaded(shuffled), CONFIG, seed=4) == split
    assert split_examples(loaded(examples), CONFIG, seed=5) != split


def test_labels_are_mixed_within_a_part():
    examples = sorted(random_examples(200, weights=[1, 1], seed=1), key=lambda example: example.reference)
    order = references(split_examples(loaded(examples), CONFIG).train)
    assert sum(one != two for one, two in pairwise(order)) > 25


@pytest.mark.parametrize("classes", [2, 3, 4, 6])
def test_two_dozen_examples_give_every_label_to_every_part(classes):
    examples = [Example(str(n), f"{word(random.Random(n))} {n}", f"label {n % classes}") for n in range(24)]
    split = split_examples(loaded(examples), CONFIG)
    for part in parts(split):
        assert len(set(references(part))) == classes
    assert len(split.train) in range(8, 15)


@pytest.mark.parametrize("seed", range(10))
def test_train_has_every_label_and_pairs_do_not_starve_dev(seed):
    examples = [Example(str(n), word(random.Random(n)), f"label {n // 2}") for n in range(60)]
    split = split_examples(loaded(examples), CONFIG, seed=seed)
    assert set(references(split.train)) == set(references(examples))
    assert len(split.dev) >= 6


def test_a_label_with_one_cluster_is_in_train():
    same = "please tell me where the parcel is that i ordered on monday"
    rare = [Example(f"r{n}", f"{same} {n}", "rare") for n in range(4)]
    examples = [*random_examples(60, weights=[1, 1], seed=2), *rare]
    split = split_examples(loaded(examples), CONFIG)
    assert {each.id for each in split.train} >= {each.id for each in rare}


def test_a_cluster_larger_than_dev_and_test_goes_to_train():
    same = "please tell me where the parcel is that i ordered on monday morning in paris"
    family = [Example(f"f{n}", f"{same} {n}", "ab"[n % 2]) for n in range(45)]
    others = [Example(str(n), word(random.Random(n)), "ab"[n % 2]) for n in range(55)]
    split = split_examples(loaded([*family, *others]), CONFIG)
    assert {each.id for each in split.train} >= {each.id for each in family}
    assert [len(part) for part in parts(split)] == pytest.approx([50, 20, 30], abs=1)


def test_a_separate_test_set_is_kept_whole():
    examples = random_examples(100, weights=[1, 1], seed=5)
    test = tuple(random_examples(40, weights=[1, 1], seed=6))
    split = split_examples(loaded(examples, test), CONFIG.model_copy(update={"test_path": "test.csv"}))
    assert set(split.test) == set(test)
    assert len(split.train) == pytest.approx(80, abs=1)
    assert len(split.dev) == pytest.approx(20, abs=1)


def test_a_label_with_one_example_stops():
    examples = [*random_examples(30, weights=[1, 1], seed=1), Example("x", "alone here", "lonely")]
    with pytest.raises(DataError, match="Too few examples to split for 'lonely'"):
        split_examples(loaded(examples), CONFIG)


def test_too_few_clusters_stop():
    examples = [Example(str(n), word(random.Random(n)), "ab"[n % 2]) for n in range(4)]
    with pytest.raises(DataError, match="too few for train, dev and test"):
        split_examples(loaded(examples), CONFIG)


def test_subsamples_are_stratified_nested_and_ordered():
    split = split_examples(loaded(random_examples(500, weights=[7, 2, 1], seed=1)), CONFIG)
    small, large = subsample(split, dev=20, test=30), subsample(split, dev=40, test=60)
    assert small.train == split.train
    assert (len(small.dev), len(small.test)) == (20, 30)
    assert set(small.test) < set(large.test) < set(split.test)
    assert [each for each in split.test if each in set(small.test)] == list(small.test)
    whole, part = Counter(references(split.test)), Counter(references(large.test))
    assert all(part[label] == pytest.approx(60 * count / len(split.test), abs=1) for label, count in whole.items())
    assert subsample(split, test=30, seed=1).test != small.test
    assert subsample(split, test=10**6) == split


def test_a_small_train_sample_keeps_every_label():
    examples = random_examples(500, weights=[60, 30, 1], seed=1)
    train = subsample(split_examples(loaded(examples), CONFIG), train=6).train
    assert len(train) == 6
    assert len(set(references(train))) == 3


@pytest.mark.slow
@pytest.mark.skipif(not BANKING77.is_dir(), reason="the real data are not here")
def test_real_messages_split_within_one_example_a_label():
    config = DataConfig(path=str(BANKING77 / "train.csv"), label="category")
    data = load_examples(config)
    assert len(data.labels) == 77
    assert (len(data.examples), len(data.cleaning.duplicates)) == (9999, 4)
    split = split_examples(data, config, seed=1)
    total = Counter(references(data.examples))
    assert [len(part) for part in parts(split)] == pytest.approx([5000, 2000, 3000], abs=5)
    for part, fraction in zip(parts(split), config.fractions, strict=True):
        counts = Counter(references(part))
        assert all(counts[label] == pytest.approx(fraction * total[label], abs=2) for label in total)
    assert set(neighbours_in([e.text for e in split.test], [e.text for e in split.train], 0.8)) == {None}


def test_queries_for_what_several_search_are_in_every_part_in_proportion():
    source = random.Random(3)
    made = [(" ".join(word(source) for _ in range(5)), write_ranking([f"class {n % 6}"])) for n in range(120)]
    alone = [(" ".join(word(source) for _ in range(5)), write_ranking([f"text {n}"])) for n in range(60)]
    examples = [Example(str(at), text, reference) for at, (text, reference) in enumerate([*made, *alone])]
    split = split_examples(replace(loaded(examples), kind=RETRIEVAL), CONFIG, seed=1)
    for part, share in zip(parts(split), CONFIG.fractions, strict=True):
        counts = Counter(each.reference for each in part if "class" in each.reference)
        assert set(counts.values()) == {round(20 * share)}
        assert len(counts) == 6
        assert sum("text" in each.reference for each in part) == pytest.approx(60 * share, abs=1)
