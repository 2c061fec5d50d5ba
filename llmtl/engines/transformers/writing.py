"""Write text with a model in this process: greedy decoding in batches by `transformers`, JSON held to a schema.

A prefix that all prompts of a call share is computed once. With a sliding window, only if everything fits the window:
padding stands between prefix and prompt, and the window of transformers counts it. Masks of allowed tokens come from
XGrammar (Dong et al. 2024, arXiv:2411.15100). The probability of each token is noted on the way: keeping all scores, as
`generate` can, would take steps x rows x vocabulary. Not covered: sampling, beams, several devices, continuous
batching: a batch lasts as long as its longest answer.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from transformers import DynamicCache, GenerationConfig, LogitsProcessor, LogitsProcessorList, PreTrainedModel

from llmtl.engines.endings import Asked, Endings, json_grammar
from llmtl.engines.protocol import Generation
from llmtl.engines.tokens import prompts_to_continue, shared_length
from llmtl.engines.transformers.memory import fewer_at_once
from llmtl.progress import Advance, unwatched

CACHE_TOKENS = {"cpu": 16_384, "cuda": 131_072}
"""Tokens of all rows of a batch together, answers included: bounds the key-value cache."""

MOST_ROWS = 64
"""Most rows of a batch: a larger one loses more by waiting for its longest answer than it gains."""

_LEAST_SHARED = 16
"""Shared prefixes shorter than this are computed again for each row: copying a cache costs as much."""


@dataclass(frozen=True)
class _Item:
    """One prompt waiting for its answer."""

    position: int
    ids: tuple[int, ...]


@dataclass(frozen=True)
class _Limits:
    """What the answers of a call must keep to; `grammar` is compiled, or None."""

    max_tokens: int
    grammar: Any
    stop: str | None


@dataclass(frozen=True)
class _Written:
    """The tokens written after one prompt with the log-probability of each, padding behind them."""

    ids: list[int]
    logprobs: list[float]


class _Noting(LogitsProcessor):
    """Notes the log-probability of the token that greedy decoding takes; it must be the last of the processors."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Note (B,) of the scores (B, vocabulary), which are -inf for what a grammar forbids; change nothing."""
        # the largest score is subtracted first, so that the probability of a near-certain token keeps its digits
        self.steps.append(-(scores - scores.max(dim=-1, keepdim=True).values).logsumexp(dim=-1))
        return scores


class Writer:
    """Writes greedily with one model; `end` is the token that ends an answer."""

    def __init__(self, model: PreTrainedModel, tokenizer: Any, *, end: int) -> None:
        # otherwise the checkpoint's generation_config.json (temperature, penalties) would fill in the blanks
        model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
        self._model = model
        self._tokenizer = tokenizer
        self._end = end
        self._endings = Endings(tokenizer, end)
        self._context_length = int(model.config.max_position_embeddings)
        self._window: int | None = getattr(model.config, "sliding_window", None)
        self._cells = CACHE_TOKENS.get(model.device.type, CACHE_TOKENS["cpu"])
        self._compiler: Any = None

    def write(
        self,
        prompts: Sequence[str],
        *,
        max_tokens: int,
        schema: Mapping[str, Any] | None = None,
        stop: str | None = None,
        advance: Advance = unwatched,
    ) -> list[Generation]:
        """Write after each prompt, as `llmtl.engines.Engine.generate` says.

        Raises `ContextLengthError` if a prompt with `max_tokens` does not fit, and `ModelError` if one prompt
        alone exhausts the memory.
        """
        found = prompts_to_continue(
            self._tokenizer, prompts, max_tokens=max_tokens, context_length=self._context_length
        )
        items = [_Item(position, ids) for position, ids in enumerate(found)]
        start = perf_counter()
        shared = self._shared(items, max_tokens)
        prefix = self._prefill(items[0].ids[:shared]) if shared else None
        overhead = (perf_counter() - start) / max(1, len(items))
        results: dict[int, Generation] = {}
        limits = _Limits(max_tokens, self._grammar(schema), stop)
        for batch, rows, seconds in self._batches(items, prefix, limits):
            for item, row in zip(batch, rows, strict=True):
                cached = shared if item.position else 0
                asked = Asked(len(item.ids), cached, overhead + seconds / len(batch))
                results[item.position] = self._endings.read(row.ids, row.logprobs, stop, asked)
            advance(len(batch))
        return [results[position] for position in range(len(items))]

    def _shared(self, items: Sequence[_Item], max_tokens: int) -> int:
        """Count the tokens at the start of all prompts to compute once; 0 where that would not be exact."""
        if len(items) < 2:
            return 0
        longest = max(len(item.ids) for item in items)
        if self._window is not None and longest + max_tokens > self._window:
            return 0
        # a token must be left to predict from
        shared = min(shared_length([item.ids for item in items]), min(len(item.ids) for item in items) - 1)
        return shared if shared >= _LEAST_SHARED else 0

    @torch.inference_mode()
    def _prefill(self, ids: Sequence[int]) -> DynamicCache:
        """Compute the keys and values of a prefix, (1, heads, P, head size) for each layer."""
        cache = DynamicCache(config=self._model.config)
        tokens = torch.tensor([list(ids)], device=self._model.device)
        self._model.base_model(input_ids=tokens, past_key_values=cache, use_cache=True)
        return cache

    def _grammar(self, schema: Mapping[str, Any] | None) -> Any:
        """Compile the grammar of JSON that follows `schema` with `json.dumps`'s separators; None without a schema."""
        if schema is None:
            return None
        import xgrammar

        if self._compiler is None:
            info = xgrammar.TokenizerInfo.from_huggingface(
                self._tokenizer, vocab_size=int(self._model.config.vocab_size), stop_token_ids=[self._end]
            )
            self._compiler = xgrammar.GrammarCompiler(info)
        return self._compiler.compile_grammar(json_grammar(schema))

    def _batches(
        self, items: Sequence[_Item], prefix: DynamicCache | None, limits: _Limits
    ) -> Iterator[tuple[list[_Item], list[_Written], float]]:
        """Yield batches, what was written after each prompt, and seconds; longest first: memory runs out early."""
        waiting = sorted(items, key=lambda item: -len(item.ids))
        while waiting:
            size = max(1, min(MOST_ROWS, self._cells // (len(waiting[0].ids) + limits.max_tokens)))
            start = perf_counter()
            try:
                rows = self._write_batch(waiting[:size], prefix, limits)
            except RuntimeError as error:
                self._spend_less(error, waiting[:size], limits.max_tokens)
                continue
            yield waiting[:size], rows, perf_counter() - start
            waiting = waiting[size:]

    @torch.inference_mode()
    def _write_batch(self, batch: Sequence[_Item], prefix: DynamicCache | None, limits: _Limits) -> list[_Written]:
        """Write after B prompts; one row per prompt, with padding behind the end of its answer."""
        cache = None
        shared = prefix.get_seq_length() if prefix is not None else 0
        if prefix is not None:
            # `generate` writes into the cache: copy it, and repeat its one row to (B, heads, P, head size)
            cache = deepcopy(prefix)
            cache.batch_repeat_interleave(len(batch))
        width = max(len(item.ids) for item in batch)
        # Rows and mask are (B, width). Padding stands before each prompt's own tokens, so that all rows end together,
        # and behind the shared prefix, whose keys and values the cache holds already.
        padding = [[self._end] * (width - len(item.ids)) for item in batch]
        rows = [[*item.ids[:shared], *pad, *item.ids[shared:]] for item, pad in zip(batch, padding, strict=True)]
        mask = [[1] * shared + [0] * len(pad) + [1] * (width - shared - len(pad)) for pad in padding]
        noting = _Noting()
        written: Any = self._model.generate(  # type: ignore[operator]
            input_ids=torch.tensor(rows, device=self._model.device),
            attention_mask=torch.tensor(mask, device=self._model.device),
            past_key_values=cache,
            logits_processor=LogitsProcessorList([*_held_to(limits.grammar), noting]),
            generation_config=self._settings(limits),
            tokenizer=self._tokenizer if limits.stop else None,
        )
        # (B, width + written): the prompt comes back in front of what was written
        logprobs = torch.stack(noting.steps, dim=1)  # (B, written)
        return list(map(_Written, written[:, width:].tolist(), logprobs.tolist()))

    def _settings(self, limits: _Limits) -> GenerationConfig:
        """Set greedy decoding, with both endings of an answer."""
        return GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=limits.max_tokens,
            do_sample=False,
            num_beams=1,
            eos_token_id=self._endings.tokens,
            pad_token_id=self._end,
            stop_strings=limits.stop,
        )

    def _spend_less(self, error: RuntimeError, batch: Sequence[_Item], max_tokens: int) -> None:
        """Halve the batch after running out of memory; re-raise any other error."""
        tokens = len(batch[0].ids) + max_tokens
        self._cells = fewer_at_once(error, len(batch), tokens=tokens) * tokens


def _held_to(grammar: Any) -> list[Any]:
    """Make the processor that masks the tokens that `grammar` forbids, if there is one; it serves a single batch."""
    if grammar is None:
        return []
    from xgrammar.contrib import hf

    return [hf.LogitsProcessor(grammar)]
