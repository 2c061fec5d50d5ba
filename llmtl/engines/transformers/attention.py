"""Run one forward pass over prompts that share a prefix, each followed by the same tree of answer tokens.

Sizes: B prompts, P prefix tokens, T tree tokens and E edges of the trie, Q packed tokens (suffixes and trees of all B
prompts end to end). All prompts attend to one stored key-value cache of the prefix; a sliding window is part of the
mask. Tree attention as in SpecInfer (Miao et al., 2024, arXiv:2305.09781). Not covered: generation, several devices,
attention other than causal or one sliding window for all layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from llmtl.engines.trie import Trie

_PREFILL_TOKENS = 1024
"""Tokens of a prefix computed at once: bounds the attention mask of a long one."""

_NO_TREE = Trie((), (), (), (), ())

_LOGIT_CELLS = 2**25
"""Rows times vocabulary of one language-model-head product: 128 MiB in float32, also for large vocabularies."""


@dataclass(frozen=True)
class Prefix:
    """The tokens at the start of several prompts, and for each layer their keys and values, (1, heads, P, width)."""

    ids: tuple[int, ...] = ()
    layers: tuple[tuple[Tensor, Tensor], ...] = ()

    def first(self, length: int) -> "Prefix":
        """Cut the prefix to its first `length` tokens."""
        if length == len(self.ids):
            return self
        cut = tuple((keys[:, :, :length], values[:, :, :length]) for keys, values in self.layers)
        return Prefix(self.ids[:length], cut if length else ())


class TreeForward:
    """A causal language model of the LLaMA or Mistral family, run on prompts with a tree of answers behind each."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._body = model.base_model
        self._head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
        self._vocabulary = int(model.config.vocab_size)
        self._window: int | None = getattr(model.config, "sliding_window", None)
        self._device = model.device

    @torch.inference_mode()
    def extend(self, prefix: Prefix, ids: Sequence[int]) -> Prefix:
        """Append `ids` to the prefix; only they are computed."""
        cache = DynamicCache(prefix.layers or None)
        done = len(prefix.ids)
        for start in range(0, len(ids), _PREFILL_TOKENS):
            # chunk and queries (1, C), keys (1, done + C): a chunk sees all before it, and itself causally
            chunk = torch.tensor([ids[start : start + _PREFILL_TOKENS]], device=self._device)
            queries = torch.arange(done, done + chunk.shape[1], device=self._device)[None]
            keys = torch.arange(done + chunk.shape[1], device=self._device)[None]
            mask = self._in_reach(queries, keys) & (keys[:, None, :] <= queries[:, :, None])
            self._run(chunk, queries, mask, cache)
            done += chunk.shape[1]
        layers = tuple((cast("Tensor", keys), cast("Tensor", values)) for keys, values, _ in cache)
        return Prefix((*prefix.ids, *ids), layers)

    @torch.inference_mode()
    def edge_logits(self, prefix: Prefix, suffixes: Sequence[Sequence[int]], trie: Trie) -> Tensor:
        """Compute (B, E) logits of the trie's edges after prefix and suffix; suffixes must not be empty.

        All prompts are laid end to end in one sequence, each behind a wall that attention does not cross: nothing is
        padded, and the prefix's keys and values are not copied for each prompt.
        """
        lengths = torch.tensor([len(suffix) for suffix in suffixes], device=self._device)
        # (1, Q): suffix 0, tree, suffix 1, tree, ...
        ids = torch.tensor([[token for suffix in suffixes for token in (*suffix, *trie.tokens)]], device=self._device)
        positions, mask = self._layout(len(prefix.ids), lengths, trie)
        hidden = self._run(ids, positions[None], mask[None], DynamicCache(prefix.layers or None))
        # (B): where each prompt's suffix begins among the Q tokens
        starts = torch.cumsum(lengths + len(trie.tokens), 0) - lengths - len(trie.tokens)
        # A branch at the root (node -1) is decided by the suffix's last token, one behind a tree token by that token.
        nodes = torch.tensor([branch.node for branch in trie.branches], device=self._device)
        # (1, Q, width) -> (B, branches, width)
        return self._edges(hidden[0, (starts + lengths)[:, None] + nodes[None]], trie)

    def extended(self, ids: Sequence[int]) -> Prefix:
        """Make a prefix of `ids`, which may be none."""
        return self.extend(Prefix(), ids) if ids else Prefix()

    @torch.inference_mode()
    def states(
        self, prefix: Prefix, suffixes: Sequence[Sequence[int]], starts: Sequence[int]
    ) -> list[NDArray[np.float16]]:
        """Compute the hidden states of all layers behind each suffix, (layers, 2, width), the embeddings first.

        The first of the two is the suffix's last token, the second the mean of its tokens from its place in `starts`
        on. Suffixes lie end to end as in `edge_logits`.
        """
        found, first = [], 0
        layers = torch.cat(self._every_layer(prefix, suffixes))  # layers times (1, Q, width) -> (layers, Q, width)
        for suffix, start in zip(suffixes, starts, strict=True):
            last = first + len(suffix)
            mean = layers[:, first + start : last].float().mean(dim=1)
            found.append(_halved(torch.stack([layers[:, last - 1].float(), mean], dim=1)))  # (layers, 2, width)
            first = last
        return found

    @torch.inference_mode()
    def states_at(
        self,
        prefix: Prefix,
        suffixes: Sequence[Sequence[int]],
        places: Sequence[Sequence[int]],
        layers: Sequence[int],
    ) -> list[NDArray[np.float16]]:
        """Take the hidden states of some layers at `places` of each suffix, (places, layers, width)."""
        every = self._every_layer(prefix, suffixes)
        found, first = [], 0
        for suffix, wanted in zip(suffixes, places, strict=True):
            at = torch.tensor([first + place for place in wanted], dtype=torch.long, device=self._device)
            found.append(_halved(torch.stack([every[layer][0, at].float() for layer in layers], dim=1)))
            first += len(suffix)
        return found

    def _every_layer(self, prefix: Prefix, suffixes: Sequence[Sequence[int]]) -> tuple[Tensor, ...]:
        """Compute the states of suffixes laid end to end, (1, Q, width) for each layer, the embeddings first."""
        lengths = torch.tensor([len(suffix) for suffix in suffixes], device=self._device)
        ids = torch.tensor([[token for suffix in suffixes for token in suffix]], device=self._device)  # (1, Q)
        positions, mask = self._layout(len(prefix.ids), lengths, _NO_TREE)
        cache = DynamicCache(prefix.layers or None)
        output = self._call(ids, positions[None], mask[None], cache, every_layer=True)
        return cast("tuple[Tensor, ...]", output.hidden_states)

    def _edges(self, hidden: Tensor, trie: Trie) -> Tensor:
        """Compute (B, E) logits from (B, branches, width) states, for the trie's tokens only."""
        branches, tokens = (torch.tensor(each, device=self._device) for each in trie.edges)
        # the U different token ids among the edges, and for each edge its column among them (E)
        asked, columns = torch.unique(tokens, return_inverse=True)
        step = max(1, _LOGIT_CELLS // (self._vocabulary * hidden.shape[1]))
        parts = (hidden[start : start + step] for start in range(0, hidden.shape[0], step))
        if type(self._head) is torch.nn.Linear:
            # (U, width) rows of the head instead of (vocabulary, width); the product is (B, branches, U)
            weight = self._head.weight[asked]
            bias = None if self._head.bias is None else self._head.bias[asked]
            return torch.nn.functional.linear(hidden, weight, bias)[:, branches, columns]
        # an adapter on the head: only the head itself can compute its logits, (step, branches, vocabulary) at a time
        return torch.cat([self._head(part)[:, branches, tokens] for part in parts])

    def _layout(self, shared: int, lengths: Tensor, trie: Trie) -> tuple[Tensor, Tensor]:
        """Lay out all prompts' suffix and tree tokens: their positions (Q), and what each may attend to (Q, P + Q)."""
        device, count = self._device, len(trie.tokens)
        sizes = lengths + count
        # each (Q): the token's prompt, its place behind the prefix within that prompt, and its index in the tree
        rows = torch.repeat_interleave(torch.arange(len(lengths), device=device), sizes)
        places = torch.arange(len(rows), device=device) - (torch.cumsum(sizes, 0) - sizes)[rows]
        nodes = places - lengths[rows]  # negative for a suffix token
        # Entry 0 of `depths` (T + 1) and `family` (T + 1, T + 1) stands for every suffix token.
        depths = torch.tensor((0, *trie.depths), device=device)[nodes.clamp(min=-1) + 1]
        # tree tokens of one depth share a position: each is a different continuation of the same prompt
        positions = shared + torch.where(nodes < 0, places, lengths[rows] + depths - 1)
        family = torch.zeros(count + 1, count + 1, dtype=torch.bool, device=device)
        family[1:, 1:] = torch.from_numpy(trie.ancestors).to(device)
        # (Q, Q), rows are queries: tree tokens see their ancestors and themselves; all see the suffix before them
        related = family[nodes.clamp(min=-1) + 1][:, nodes.clamp(min=-1) + 1]
        earlier = (nodes < 0)[None, :] & (places[None, :] <= places[:, None])
        own = (rows[:, None] == rows[None, :]) & (earlier | related)
        # (Q, P + Q): every token sees the whole prefix, and none sees another prompt
        mask = torch.cat([torch.ones(len(rows), shared, dtype=torch.bool, device=device), own], dim=1)
        keys = torch.cat([torch.arange(shared, device=device), positions])
        return positions, mask & self._in_reach(positions[None], keys[None])[0]

    def _in_reach(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Mask keys outside the sliding window: (B, Q) query and (B, K) key positions to (B, Q, K)."""
        distance = queries[:, :, None] - keys[:, None, :]
        return distance < (self._window or torch.iinfo(distance.dtype).max)

    def _run(self, ids: Tensor, positions: Tensor, mask: Tensor, cache: DynamicCache) -> Tensor:
        """Run the model on (B, Q) ids to its last hidden states (B, Q, width); the cache grows by Q tokens."""
        return cast("Tensor", self._call(ids, positions, mask, cache).last_hidden_state)

    def _call(
        self, ids: Tensor, positions: Tensor, mask: Tensor, cache: DynamicCache, *, every_layer: bool = False
    ) -> Any:
        """Run the model; `every_layer` keeps the states between its layers, too."""
        return self._body(
            input_ids=ids,
            position_ids=positions,
            attention_mask=mask[:, None],  # (B, 1, Q, K): transformers uses a four-dimensional mask as it is
            past_key_values=cache,
            use_cache=True,
            output_hidden_states=every_layer,
        )


def _halved(states: Tensor) -> NDArray[np.float16]:
    """Bring states to float16; what that cannot hold is cut to its largest value, so that nothing becomes infinite."""
    largest = torch.finfo(torch.float16).max
    return states.clamp(-largest, largest).half().cpu().numpy()
