"""The loss over all pairs of a batch, against its definition written out."""

import numpy as np
import pytest
import torch

from llmtl.encoders.contrastive import pair_columns, pair_loss
from llmtl.encoders.label_pairs import Pair


def test_the_loss_is_the_mean_square_of_both_sorts_of_cosines():
    drawn = np.random.default_rng(0).normal(size=(2, 4, 5))
    labels = [0, 1, 0, 2]
    loss = pair_loss(lambda column: {"sentence_embedding": column})
    found = loss([torch.tensor(each) for each in drawn], torch.tensor(labels))
    vectors = drawn.reshape(8, 5)
    both = labels * 2
    same, other = [], []
    for at in range(8):
        for to in range(8):
            cosine = vectors[at] @ vectors[to] / np.linalg.norm(vectors[at]) / np.linalg.norm(vectors[to])
            if at != to:
                (same if both[at] == both[to] else other).append(cosine)
    expected = np.mean((1 - np.array(same)) ** 2) + np.mean(np.array(other) ** 2)
    assert float(found) == pytest.approx(expected)


def test_a_batch_of_one_label_has_no_others():
    loss = pair_loss(lambda column: {"sentence_embedding": column})
    assert float(loss([torch.eye(2), torch.eye(2)], torch.tensor([0, 0]))) == pytest.approx(8 / 12)


def test_both_texts_of_a_pair_have_the_number_of_their_label():
    columns = pair_columns(["x", "y", "z"], ["b", "a", "b"], [Pair(0, 2), Pair(1, 1)])
    assert columns == {"first": ["x", "y"], "second": ["z", "y"], "label": [1, 0]}
