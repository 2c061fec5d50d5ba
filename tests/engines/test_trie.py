"""The answer trie, by hand-made token paths."""

import numpy as np
import pytest
from scipy.special import log_softmax

from llmtl.engines.trie import ROOT, build_trie
from llmtl.errors import ModelError

END = 99


def test_single_token_answers_need_no_token_to_be_computed():
    trie = build_trie([[1], [2], [3]], END)
    assert trie.tokens == ()
    assert [(branch.node, branch.children) for branch in trie.branches] == [(ROOT, (1, 2, 3))]
    assert trie.lengths == (2, 2, 2)


def test_tails_without_a_choice_are_cut_off():
    trie = build_trie([[1, 5, 6, 7], [2, 8, 9]], END)
    assert trie.tokens == ()


def test_a_shared_start_is_walked_to_its_branch():
    trie = build_trie([[1, 2, 3, 4], [1, 2, 5, 4]], END)
    assert (trie.tokens, trie.parents, trie.depths) == ((1, 2), (ROOT, 0), (1, 2))
    assert [(branch.node, branch.children) for branch in trie.branches] == [(1, (3, 5))]
    assert trie.ancestors.tolist() == [[True, False], [True, True]]


def test_a_prefix_of_another_answer_is_told_apart_by_the_end():
    trie = build_trie([[1], [1, 2], [3]], END)
    assert trie.tokens == (1,)
    assert [(branch.node, branch.children) for branch in trie.branches] == [(ROOT, (1, 3)), (0, (END, 2))]
    edges = np.log([[0.7, 0.3, 0.4, 0.6]])
    assert trie.probabilities(edges)[0] == pytest.approx([0.28, 0.42, 0.3])


def test_greedy_follows_branches_even_where_the_product_says_otherwise():
    trie = build_trie([[1, 4], [1, 5], [1, 6], [2]], END)
    edges = np.log([[0.55, 0.45, 0.3, 0.36, 0.34], [0.45, 0.55, 0.3, 0.36, 0.34]])
    assert trie.probabilities(edges)[0] == pytest.approx([0.165, 0.198, 0.187, 0.45])
    assert trie.probabilities(edges).argmax(axis=1).tolist() == [3, 3]
    assert trie.greedy(edges) == [1, 3]


def test_renormalising_is_a_softmax_over_each_branch():
    trie = build_trie([[1], [1, 2], [3], [1, 2, 4]], END)
    logits = np.random.default_rng(0).normal(0, 300, size=(5, len(trie.edges[0])))
    ends = [*trie.starts[1:].tolist(), logits.shape[1]]
    expected = [log_softmax(logits[:, a:b], axis=1) for a, b in zip(trie.starts, ends, strict=True)]
    assert trie.renormalise(logits) == pytest.approx(np.concatenate(expected, axis=1))


def test_one_branch_of_the_tree_does_not_see_another():
    trie = build_trie([[1, 2, 3], [1, 2, 4], [5, 6, 3], [5, 6, 4]], END)
    seen = trie.ancestors
    for index in range(len(trie.tokens)):
        chain, node = set(), index
        while node != ROOT:
            chain.add(node)
            node = trie.parents[node]
        assert set(np.flatnonzero(seen[index])) == chain
    assert sorted(trie.depths) == [1, 1, 2, 2]


def test_the_same_path_twice_is_an_error():
    with pytest.raises(ModelError, match="rename one"):
        build_trie([[1, 2], [1, 2]], END)
