"""Build the trie of a closed set of answers: which tokens may follow which, and how answers get their probability.

A node with one child costs nothing: there is nothing to decide. Only tokens that lead to a node with several
children are ever given to a model. Not covered: how text becomes tokens (`llmtl.engines.tokens`), running a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from llmtl.errors import ModelError

ROOT = -1


@dataclass(frozen=True)
class Branch:
    """A node with several children.

    `node` is its index among the trie's `tokens`, or `ROOT`. `children` are the token ids allowed next, `following`
    what each leads to: the index of the next branch, or `~answer` (negative) when only one answer is left.
    """

    node: int
    children: tuple[int, ...]
    following: tuple[int, ...]


@dataclass(frozen=True)
class Trie:
    """The answers as a tree, cut down to what a model has to see.

    `tokens`: the T token ids that lead to branches, parents first. `parents`: for each its parent's index, or `ROOT`.
    `depths`: for each its distance from the prompt, from 1. `branches`: the decisions, the first one reached first.
    `lengths`: for each answer its number of tokens, the end token included.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    depths: tuple[int, ...]
    branches: tuple[Branch, ...]
    lengths: tuple[int, ...]

    @cached_property
    def ancestors(self) -> NDArray[np.bool_]:
        """A (T, T) array that says which tokens each token may look at: its ancestors and itself."""
        seen = np.eye(len(self.tokens), dtype=np.bool_)
        for index, parent in enumerate(self.parents):
            if parent != ROOT:
                seen[index] |= seen[parent]
        return seen

    @cached_property
    def edges(self) -> tuple[list[int], list[int]]:
        """For each of the E edges, in the order of `branches`: the index of its branch, and its token id."""
        branches = [index for index, branch in enumerate(self.branches) for _ in branch.children]
        return branches, [child for branch in self.branches for child in branch.children]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The index of each branch's first edge."""
        sizes = [len(branch.children) for branch in self.branches]
        return np.cumsum([0, *sizes], dtype=np.int64)[:-1]

    @cached_property
    def membership(self) -> NDArray[np.float64]:
        """An (A, E) array with 1 where an answer's path takes an edge."""
        taken = np.zeros((len(self.lengths), len(self.edges[0])))
        paths: dict[int, list[int]] = {0: []}
        for index, branch in enumerate(self.branches):
            for child, target in enumerate(branch.following):
                path = [*paths[index], int(self.starts[index]) + child]
                if target >= 0:
                    paths[target] = path
                else:
                    taken[~target, path] = 1.0
        return taken

    def renormalise(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn (N, E) logits of the edges into (N, E) log-probabilities: a softmax over the edges of each branch."""
        owner = self.edges[0]
        # `owner` (E) repeats each branch's maximum and total for its edges, which stand side by side in `edges`
        shifted = logits - np.maximum.reduceat(logits, self.starts, axis=1)[:, owner]
        totals = np.add.reduceat(np.exp(shifted), self.starts, axis=1)
        return np.asarray(shifted - np.log(totals)[:, owner], dtype=np.float64)

    def probabilities(self, logprobs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn (N, E) log-probabilities of the edges into (N, A) probabilities of the answers; rows sum to 1."""
        # (N, E) @ (E, A): the log-probabilities along each answer's path, added up
        products = np.exp(logprobs @ self.membership.T)
        return np.asarray(products / products.sum(axis=1, keepdims=True), dtype=np.float64)

    def greedy(self, logprobs: NDArray[np.float64]) -> list[int]:
        """Follow the best edge of every branch, for each row of (N, E) log-probabilities, to one answer per row."""
        # one (N, children) array per branch
        parts = np.split(logprobs, self.starts[1:], axis=1) if self.branches else []
        best = [part.argmax(axis=1) for part in parts]
        choices = []
        for row in range(len(logprobs)):
            position = 0 if self.branches else ~0
            while position >= 0:
                position = self.branches[position].following[int(best[position][row])]
            choices.append(~position)
        return choices


def build_trie(paths: Sequence[Sequence[int]], end: int) -> Trie:
    """Build the trie of A token paths, each closed by the token id `end`, so that a path may be a prefix of another.

    Raises `ModelError` if two paths are the same.
    """
    closed = [(*path, end) for path in paths]
    if len(set(closed)) < len(closed):
        raise ModelError("Two labels become the same tokens for this model; rename one of them.")
    tokens: list[int] = []
    parents: list[int] = []
    depths: list[int] = []
    branches: list[Branch] = []

    def visit(members: list[int], depth: int, parent: int, run: list[int]) -> int:
        """Add `members`, equal in their first `depth` tokens, and return where they lead; `run` is yet to be added."""
        if len(members) == 1:
            return ~members[0]
        children = list(dict.fromkeys(closed[member][depth] for member in members))
        if len(children) == 1:
            return visit(members, depth + 1, parent, [*run, children[0]])
        for offset, token in enumerate(run):
            tokens.append(token)
            parents.append(parent)
            depths.append(depth - len(run) + offset + 1)
            parent = len(tokens) - 1
        index = len(branches)
        branches.append(Branch(parent, tuple(children), ()))
        groups = ([member for member in members if closed[member][depth] == child] for child in children)
        following = [visit(group, depth + 1, parent, [child]) for group, child in zip(groups, children, strict=True)]
        branches[index] = Branch(parent, tuple(children), tuple(following))
        return index

    if closed:
        visit(list(range(len(closed))), 0, ROOT, [])
    return Trie(tuple(tokens), tuple(parents), tuple(depths), tuple(branches), tuple(len(path) for path in closed))
