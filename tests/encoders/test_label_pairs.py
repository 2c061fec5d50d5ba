"""Pairs for contrastive tuning: balanced, of different texts, the same for one seed."""

from collections import Counter
from itertools import pairwise

from llmtl.encoders.label_pairs import label_pairs, lone_labels

LABELS = ["a"] * 20 + ["b"] * 4 + ["c"]
TEXTS = [f"text {at}" for at in range(len(LABELS))]


def labels_of(pairs):
    assert all(LABELS[each.first] == LABELS[each.second] for each in pairs)
    return [LABELS[each.first] for each in pairs]


def test_every_label_gives_as_many_pairs_in_turns():
    pairs = label_pairs(TEXTS, LABELS, count=60, seed=0)
    found = labels_of(pairs)
    assert Counter(found) == {"a": 20, "b": 20, "c": 20}
    assert all(set(found[at : at + 3]) == {"a", "b", "c"} for at in range(0, 60, 3))
    assert set(Counter(each.first for each in pairs if LABELS[each.first] == "a").values()) == {1}


def test_a_pair_has_two_texts_where_its_label_has():
    pairs = label_pairs(TEXTS, LABELS, count=60, seed=0)
    assert all((each.first == each.second) is (LABELS[each.first] == "c") for each in pairs)
    assert lone_labels(TEXTS, LABELS) == ["c"]
    assert lone_labels(["same", "same", "x", "y"], ["a", "a", "b", "b"]) == ["a"]


def test_one_seed_draws_the_same_pairs_and_another_does_not():
    first, again, other = (label_pairs(TEXTS, LABELS, count=50, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_near_labels_follow_one_another():
    found = labels_of(label_pairs(TEXTS, LABELS, count=60, seed=0, near={"a": ["b"], "b": ["a"], "c": ["b"]}))
    assert all(second == ("a" if first == "b" else "b") for first, second in list(pairwise(found))[::2])


def test_without_two_texts_of_one_label_or_two_labels_there_are_no_pairs():
    assert label_pairs(["x", "y"], ["a", "b"], count=10, seed=0) == []
    assert label_pairs(["x", "y"], ["a", "a"], count=10, seed=0) == []
