"""Walk one prompt down the answer trie with one request per branch, as vLLM needs it.

A branch is asked after its parent, whose prompt is then in vLLM's prefix cache, and not at all if it cannot matter. Not
covered: asking (`engine.py`), engines that see the whole trie at once (`transformers/attention.py`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmtl.engines.trie import ROOT, Trie

NEGLIGIBLE = 1e-6
"""A branch reached with less probability is not asked: its labels share it evenly, each off by less than this."""


class Descent:
    """What is known of one prompt's answers so far.

    `edges` has the log-probabilities of the trie's edges up to a constant for each branch; they are equal where nothing
    was asked. `reached` maps the branches to ask next to the log-probability of getting there.
    """

    def __init__(self, trie: Trie) -> None:
        self.trie = trie
        self.edges: NDArray[np.float64] = np.zeros(len(trie.edges[1]))
        self.reached = {0: 0.0} if trie.branches else {}

    def take(self, branch: int, logprobs: Sequence[float]) -> None:
        """Store the log-probabilities of a branch's children, and what to ask next."""
        start = int(self.trie.starts[branch])
        self.edges[start : start + len(logprobs)] = logprobs
        arrived = self.reached.pop(branch)
        for target, logprob in zip(self.trie.branches[branch].following, logprobs, strict=True):
            if target >= 0 and arrived + logprob > np.log(NEGLIGIBLE):
                self.reached[target] = arrived + logprob

    def result(self) -> tuple[int, tuple[float, ...]]:
        """Compute the greedy choice and the probability of every answer."""
        if not self.trie.branches:
            return 0, (1.0,)
        logprobs = self.trie.renormalise(self.edges[None, :])
        [choice], [row] = self.trie.greedy(logprobs), self.trie.probabilities(logprobs).tolist()
        return choice, tuple(row)


def path_to(trie: Trie, branch: int) -> list[int]:
    """List the answer tokens from the prompt to a branch."""
    node, path = trie.branches[branch].node, list[int]()
    while node != ROOT:
        path.append(trie.tokens[node])
        node = trie.parents[node]
    return path[::-1]
