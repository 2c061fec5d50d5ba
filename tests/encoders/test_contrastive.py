"""The loss over texts with labels, against its definition written out, and how texts are embedded for it."""

import numpy as np
import pytest
import torch

from llmtl.encoders.contrastive import embedded, label_loss, labelled_columns
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.label_pairs import Pair
from llmtl.encoders.sentence import SentenceEncoder


class Lookup(torch.nn.Module):
    """A model whose features are vectors."""

    def forward(self, features):
        return {"sentence_embedding": features["vectors"]}


def loss_of(vectors, labels, temperature):
    loss = label_loss(temperature)(Lookup())
    return float(loss([{"vectors": torch.tensor(vectors)}], torch.tensor(labels)))


def test_the_loss_is_equation_2_of_supervised_contrastive_learning():
    vectors, labels = np.random.default_rng(0).normal(size=(7, 5)), [0, 1, 0, 2, 1, 0, 3]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    each = []
    for at in range(7):
        same = [to for to in range(7) if to != at and labels[to] == labels[at]]
        scores = {to: unit[at] @ unit[to] / 0.1 for to in range(7) if to != at}
        total = np.log(np.exp(list(scores.values())).sum())
        if same:
            each.append(np.mean([total - scores[to] for to in same]))
    assert len(each) == 5  # labels 2 and 3 have one text: told apart from, and drawn to none
    assert loss_of(vectors, labels, 0.1) == pytest.approx(np.mean(each))


def test_a_batch_without_two_texts_of_one_label_has_no_loss():
    assert loss_of(np.eye(3), [0, 1, 2], 0.05) == 0


def test_the_texts_of_a_pair_follow_each_other_with_the_number_of_their_label():
    columns = labelled_columns(["x", "y", "z"], ["b", "a", "b"], [Pair(0, 2), Pair(1, 1)])
    assert columns == {"text": ["x", "z", "y", "y"], "label": [1, 1, 0, 0]}


def test_vectors_do_not_depend_on_what_is_padded_together(tiny_encoder):
    model = SentenceEncoder.load(EncoderSource(str(tiny_encoder))).model
    texts = [("where is my parcel " * (1 + at % 5)).strip() for at in range(20)]
    with torch.no_grad():
        found = embedded(model, model.preprocess(texts))
        whole = torch.nn.functional.normalize(model(model.preprocess(texts))["sentence_embedding"])
    torch.testing.assert_close(found, whole, atol=1e-6, rtol=1e-5)
