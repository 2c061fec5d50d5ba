"""The general texts: what is measured is never trained on, and the first few are of many kinds."""

from collections import Counter

import pytest

from llmtl.general.samples import measured_hash, passages, rehearsed, zero_shot_tasks


def test_passages_are_two_hundred_short_ones_and_none_comes_twice():
    assert len(passages()) == len(set(passages())) == 200
    assert all(25 <= len(text.split()) <= 60 for text in (*passages(), *rehearsed()))


def test_nothing_that_is_trained_on_is_measured_on():
    sentences = [
        {part.strip() for part in text.replace("\n", " ").split(". ")}
        for text in (passages(), rehearsed())
        for text in [" ".join(text)]
    ]
    assert not sentences[0] & sentences[1]
    asked = {text for task in zero_shot_tasks() for text, _ in task.items}
    assert not asked & {part for text in rehearsed() for part in text.split("\n")}


@pytest.mark.parametrize("task", zero_shot_tasks(), ids=lambda task: task.name)
def test_a_task_has_sixty_items_with_every_label_as_often_in_the_first_half_too(task):
    assert len({text for text, _ in task.items}) == 60
    assert {label for _, label in task.items} == set(task.labels)
    assert len(set(Counter(label for _, label in task.items).values())) == 1
    assert max(Counter(label for _, label in task.items[:30]).values()) <= 16


def test_the_hash_is_of_the_files():
    assert len(measured_hash()) == 64
