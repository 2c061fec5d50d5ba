"""The `transformers` engine: label scoring in one forward pass per batch, with a shared prefix computed once.

Every prompt is followed by the tree of all answer tokens, so that one pass yields the probability of every label. Not
covered: writing text (`llmtl.engines.transformers.writing`), several GPUs, quantised weights.
"""

import gc
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any, Self

import torch
from transformers import PreTrainedModel

from llmtl.engines.protocol import Generation, LabelScores, ModelSource, TextLoss
from llmtl.engines.tokenizer import TokenizerWording
from llmtl.engines.tokens import AnswerTries, PromptTokens, prompt_tokens, shared_length
from llmtl.engines.transformers.attention import Prefix, TreeForward
from llmtl.engines.transformers.embeddings import Floats, embed_texts
from llmtl.engines.transformers.loading import load_model, load_tokenizer
from llmtl.engines.transformers.losses import read_losses
from llmtl.engines.transformers.memory import fewer_at_once
from llmtl.engines.transformers.states import States, read_states, read_states_at
from llmtl.engines.transformers.writing import Writer
from llmtl.progress import Advance, unwatched

TOKEN_BUDGET = {"cpu": 512, "cuda": 4096}
"""Tokens of one forward pass, without the prefix. On 2 CPU cores 512 was the fastest of 256, 512 and 1024."""

_MASK_CELLS = 2**26
"""Cells of one attention mask (64 MiB as booleans): bounds a batch behind a long prefix."""

_CHUNK = 512
"""Prompts held as tokens at once: bounds the memory of scoring any number of them."""

_KEPT_PREFIXES, _KEPT_TOKENS = 8, 2048
"""Prefixes kept beside the one in use, and their tokens together: prompts of several orders of labels take turns."""

_WORTH_EXTENDING = 16
"""Tokens by which single prompts must go on alike for a longer prefix: extending it takes a pass of its own."""


class TransformersEngine:
    """A LLaMA- or Mistral-family model, in evaluation mode, held in this process; implements `llmtl.engines.Engine`.

    Keeps the key-value caches of a few prompt prefixes from call to call.
    """

    name = "transformers"
    remembers = False

    def __init__(self, model: PreTrainedModel, tokenizer: Any, *, token_budget: int | None = None) -> None:
        self._model: PreTrainedModel | None = model
        self.tokenizer = tokenizer
        self.device = model.device.type
        self.context_length = int(model.config.max_position_embeddings)
        self.layers = int(model.config.num_hidden_layers) + 1
        wording = TokenizerWording(tokenizer)
        self.render, self.count_tokens = wording.render, wording.count_tokens
        self.chat_template = wording.chat_template
        self.bos = wording.bos
        self.special_tokens = wording.special_tokens
        self.end_of_answer = wording.end_of_answer
        self._forward = TreeForward(model)
        self._tries = AnswerTries(tokenizer, wording.end_id)
        self._writer = Writer(model, tokenizer, end=wording.end_id)
        self._budget = token_budget or TOKEN_BUDGET.get(self.device, TOKEN_BUDGET["cpu"])
        self._prefix = Prefix()
        self._kept: list[Prefix] = []
        self._recent: deque[tuple[int, ...]] = deque(maxlen=_KEPT_PREFIXES)

    @classmethod
    def load(cls, source: ModelSource, *, device: str | None = None, token_budget: int | None = None) -> Self:
        """Load an engine from a folder or Hub name, with the source's LoRA adapter on it if there is one.

        `device` defaults to the GPU if there is one. `token_budget` bounds the tokens of a forward pass. Raises
        `ModelError` if the model cannot be loaded.
        """
        model = load_model(source, device or ("cuda" if torch.cuda.is_available() else "cpu"))
        return cls(model, load_tokenizer(source), token_budget=token_budget)

    def score(
        self, prompts: Sequence[str], answers: Sequence[str], *, advance: Advance = unwatched
    ) -> list[LabelScores]:
        """Score the answers, one `LabelScores` per prompt, in order; a prefix that prompts share is computed once.

        Raises `ContextLengthError` if a prompt with its longest answer does not fit, and `ModelError` if one prompt
        alone exhausts the memory.
        """
        scores: list[LabelScores] = []
        for start in range(0, len(prompts), _CHUNK):
            scores += self._score_chunk(prompts[start : start + _CHUNK], answers, advance)
        return scores

    def _score_chunk(self, prompts: Sequence[str], answers: Sequence[str], advance: Advance) -> list[LabelScores]:
        """Score one chunk of prompts: as many as are held as tokens at once."""
        start = perf_counter()
        items = prompt_tokens(self.tokenizer, self._tries, prompts, answers=answers, context_length=self.context_length)
        known = self._share_prefix([item.ids for item in items])
        shared = len(self._prefix.ids)
        overhead = (perf_counter() - start) / len(items)
        results: dict[int, LabelScores] = {}
        for batch, probabilities, choices, seconds in self._batches(items):
            for item, row, choice in zip(batch, probabilities, choices, strict=True):
                results[item.position] = LabelScores(
                    choice=choice,
                    probabilities=tuple(row),
                    prompt_tokens=len(item.ids),
                    cached_tokens=known if item.position == 0 else shared,
                    completion_tokens=item.trie.lengths[choice],
                    seconds=overhead + seconds / len(batch),
                )
            advance(len(batch))
        return [results[position] for position in range(len(items))]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_tokens: int,
        schema: Mapping[str, Any] | None = None,
        stop: str | None = None,
        advance: Advance = unwatched,
    ) -> list[Generation]:
        """Write greedily after each prompt; one `Generation` per prompt, in order (see `generation.py`)."""
        return self._writer.write(prompts, max_tokens=max_tokens, schema=schema, stop=stop, advance=advance)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Turn each text into one vector, (N, width): the mean of its last hidden states."""
        return embed_texts(self._model, self.tokenizer, texts, context_length=self.context_length)

    def losses(self, texts: Sequence[str], *, advance: Advance = unwatched) -> list[TextLoss]:
        """Read the loss of each text, as `LossReader` says."""
        length = self.context_length
        return read_losses(self._model, self.tokenizer, texts, context_length=length, advance=advance)

    def states(self, prompts: Sequence[str], *, head: str = "") -> States:
        """Read the hidden states of each prompt, (N, layers, 2, width), as `StateReader` says."""
        return read_states(self._forward, self.tokenizer, prompts, head=head, context_length=self.context_length)

    def states_at(
        self, prompts: Sequence[str], characters: Sequence[Sequence[int]], *, layers: Sequence[int]
    ) -> list[States]:
        """Read each prompt's states at some characters, (characters, layers, width), as `StateReader` says."""
        forward, limit = self._forward, self.context_length
        return read_states_at(forward, self.tokenizer, prompts, characters, layers=layers, context_length=limit)

    def close(self) -> None:
        """Free the model's memory; the engine cannot be used afterwards."""
        self._model = None
        del self._forward, self._writer
        self._prefix, self._kept = Prefix(), []
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def _share_prefix(self, prompts: Sequence[tuple[int, ...]]) -> int:
        """Keep the prefix that these prompts share, and return how many of its tokens were known before.

        A single prompt does not say what later ones will share; what it has in common with the last few does.
        """
        self._take_up(prompts[0])
        known = shared_length([self._prefix.ids, prompts[0]])
        wanted = shared_length(prompts)
        if len(prompts) == 1:
            alike = max((shared_length([each, prompts[0]]) for each in self._recent), default=0)
            wanted = alike if alike >= known + _WORTH_EXTENDING else known
        wanted = min(wanted, min(map(len, prompts)) - 1)  # a token must be left to predict from
        known = min(known, wanted)
        if known < len(self._prefix.ids):
            self._keep(self._prefix)
        self._prefix = self._prefix.first(known)
        self._recent.append(prompts[-1])
        if wanted > known:
            try:
                # keys and values of `prompts[0][:known]` are kept; only the tokens after them are computed
                self._prefix = self._forward.extend(self._prefix, prompts[0][known:wanted])
            except RuntimeError as error:
                fewer_at_once(error, 1, tokens=wanted)  # raises: a prefix is computed by itself
        return known

    def _take_up(self, prompt: tuple[int, ...]) -> None:
        """Put the kept prefix that `prompt` follows the furthest in use, and keep the one that was."""
        best = max((self._prefix, *self._kept), key=lambda prefix: shared_length([prefix.ids, prompt]))
        if best is not self._prefix:
            self._kept = [prefix for prefix in self._kept if prefix is not best]
            self._keep(self._prefix)
            self._prefix = best

    def _keep(self, prefix: Prefix) -> None:
        """Keep a prefix, and let the ones that were not used for longest go."""
        self._kept += [prefix] if prefix.ids else []
        while len(self._kept) > _KEPT_PREFIXES or sum(len(each.ids) for each in self._kept) > _KEPT_TOKENS:
            del self._kept[0]

    def _batches(
        self, items: Sequence[PromptTokens]
    ) -> Iterator[tuple[list[PromptTokens], list[list[float]], list[int], float]]:
        """Yield scored batches: items, probabilities, choices, seconds; longest first: memory runs out early."""
        by_trie: dict[int, list[PromptTokens]] = defaultdict(list)
        for item in items:
            by_trie[id(item.trie)].append(item)
        for group in by_trie.values():
            waiting = sorted(group, key=lambda item: -len(item.ids))
            while waiting:
                size = self._batch_size(waiting[0])
                start = perf_counter()
                try:
                    probabilities, choices = self._score_batch(waiting[:size])
                except RuntimeError as error:
                    self._spend_less(error, waiting[:size])
                    continue
                yield waiting[:size], probabilities, choices, perf_counter() - start
                waiting = waiting[size:]

    def _batch_size(self, longest: PromptTokens) -> int:
        """Compute how many prompts no longer than `longest` one forward pass may take."""
        # Q tokens per prompt, laid end to end: a mask of (n Q, P + n Q) cells, and n Q is at most the budget
        queries = len(longest.ids) - len(self._prefix.ids) + len(longest.trie.tokens)
        return max(1, min(self._budget // queries, _MASK_CELLS // (queries * (self._budget + len(self._prefix.ids)))))

    def _score_batch(self, batch: Sequence[PromptTokens]) -> tuple[list[list[float]], list[int]]:
        """Score B items of the same trie: the probabilities (B, A) and the greedy choice of each."""
        trie = batch[0].trie
        if not trie.branches:
            return [[1.0] for _ in batch], [0 for _ in batch]
        suffixes = [item.ids[len(self._prefix.ids) :] for item in batch]
        # (B, E) logits in the model's precision; the softmax over each branch is taken in float64
        logprobs = trie.renormalise(self._forward.edge_logits(self._prefix, suffixes, trie).double().cpu().numpy())
        return trie.probabilities(logprobs).tolist(), trie.greedy(logprobs)

    def _spend_less(self, error: RuntimeError, batch: Sequence[PromptTokens]) -> None:
        """Halve the token budget after running out of memory; re-raise any other error."""
        queries = len(batch[0].ids) - len(self._prefix.ids) + len(batch[0].trie.tokens)
        self._budget = fewer_at_once(error, len(batch), tokens=len(batch[0].ids)) * queries
