"""The `vllm` engine: vLLM offline, in this process, with its prefix cache.

Labels: every branch of the answer trie is one request for one token among the branch's children (`allowed_token_ids`
with processed log-probabilities, hence renormalised over them), for all prompts of a chunk at once. The structured
output `choice` would let other spellings of a label in, and `logprob_token_ids` counts before the mask. Not covered:
several GPUs, quantised weights.
"""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Self

import torch

from llmtl.engines.endings import Asked, Endings, json_grammar
from llmtl.engines.protocol import Generation, LabelScores, ModelSource, TextLoss
from llmtl.engines.tokenizer import TokenizerWording
from llmtl.engines.tokens import AnswerTries, PromptTokens, encode_plain, prompt_tokens, prompts_to_continue
from llmtl.engines.transformers.loading import load_tokenizer
from llmtl.engines.vllm.branches import Descent, path_to
from llmtl.engines.vllm.model import free_llm, load_llm, unwarned
from llmtl.errors import ModelError
from llmtl.progress import Advance, unwatched

_CHUNK = 256
"""Prompts under way at once: bounds the memory of scoring any number of them, and how long progress stands still."""

_Asked = tuple[PromptTokens, Descent]


class VllmEngine:
    """A LLaMA- or Mistral-family model run by vLLM; implements `llmtl.engines.Engine`. One lives at a time."""

    name = "vllm"
    remembers = True

    def __init__(self, llm: Any, tokenizer: Any, *, adapter: Any = None) -> None:
        self._llm = llm
        self._adapter = adapter
        self.tokenizer = tokenizer
        self.device = str(llm.llm_engine.vllm_config.device_config.device_type)
        self.context_length = int(llm.llm_engine.model_config.max_model_len)
        wording = TokenizerWording(tokenizer)
        self.render, self.count_tokens = wording.render, wording.count_tokens
        self.chat_template = wording.chat_template
        self.bos = wording.bos
        self.special_tokens = wording.special_tokens
        self.end_of_answer = wording.end_of_answer
        self._endings = Endings(tokenizer, wording.end_id)
        self._tries = AnswerTries(tokenizer, wording.end_id)

    @classmethod
    def load(cls, source: ModelSource) -> Self:
        """Load an engine from a folder or Hub name, with the source's LoRA adapter on it if there is one.

        Raises `ModelError` if the model cannot be loaded and `MissingPackageError` without vLLM.
        """
        tokenizer = load_tokenizer(source)
        llm = load_llm(source, dtype=source.precision("cuda" if torch.cuda.is_available() else "cpu"))
        if source.adapter is None:
            return cls(llm, tokenizer)
        from vllm.lora.request import LoRARequest

        return cls(llm, tokenizer, adapter=LoRARequest("adapter", 1, str(source.adapter)))

    def score(
        self, prompts: Sequence[str], answers: Sequence[str], *, advance: Advance = unwatched
    ) -> list[LabelScores]:
        """Score the answers, one `LabelScores` per prompt, in order; shared prefixes come from vLLM's prefix cache.

        Raises `ContextLengthError` if a prompt with its longest answer does not fit.
        """
        scores: list[LabelScores] = []
        for start in range(0, len(prompts), _CHUNK):
            chunk = prompts[start : start + _CHUNK]
            scores += self._score_chunk(chunk, answers)
            advance(len(chunk))
        return scores

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_tokens: int,
        schema: Mapping[str, Any] | None = None,
        stop: str | None = None,
        advance: Advance = unwatched,
    ) -> list[Generation]:
        """Write after each prompt, as `llmtl.engines.Engine.generate` says."""
        ids = prompts_to_continue(self.tokenizer, prompts, max_tokens=max_tokens, context_length=self.context_length)
        settings = self._writing(max_tokens, schema, stop)
        written: list[Generation] = []
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            began = perf_counter()
            outputs = self._run(chunk, [settings] * len(chunk))
            seconds = (perf_counter() - began) / len(chunk)
            for output in outputs:
                asked = Asked(len(output.prompt_token_ids), int(output.num_cached_tokens or 0), seconds)
                answer = output.outputs[0]
                logprobs = [step[token].logprob for token, step in zip(answer.token_ids, answer.logprobs, strict=True)]
                written.append(self._endings.read(answer.token_ids, logprobs, stop, asked))
            advance(len(chunk))
        return written

    def losses(self, texts: Sequence[str], *, advance: Advance = unwatched) -> list[TextLoss]:
        """Read the loss of each text, as `LossReader` says."""
        from vllm import SamplingParams

        # a request must write a token, for which the context needs room
        length = self.context_length - 1
        rows = [tuple(ids[:length]) for ids in encode_plain(self.tokenizer, texts)]
        settings = SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        found = [TextLoss(0.0, 0)] * len(rows)
        asked = [at for at, ids in enumerate(rows) if len(ids) > 1]  # vLLM refuses an empty prompt
        for start in range(0, len(asked), _CHUNK):
            chunk = asked[start : start + _CHUNK]
            outputs = self._run([rows[at] for at in chunk], [settings] * len(chunk))
            for at, output in zip(chunk, outputs, strict=True):
                known = zip(rows[at][1:], output.prompt_logprobs[1:], strict=True)
                nats = -sum(float(step[token].logprob) for token, step in known)
                found[at] = TextLoss(nats, len(rows[at]) - 1)
            advance(len(chunk))
        return found

    def close(self) -> None:
        """Free the model's memory; the engine cannot be used afterwards."""
        llm, self._llm = self._llm, None
        if llm is not None:
            free_llm(llm)

    def _score_chunk(self, prompts: Sequence[str], answers: Sequence[str]) -> list[LabelScores]:
        """Score one chunk of prompts: as many as are under way at once."""
        start = perf_counter()
        items = prompt_tokens(self.tokenizer, self._tries, prompts, answers=answers, context_length=self.context_length)
        asked = [(item, Descent(item.trie)) for item in items]
        # The first prompt goes alone, so that the shared prefix is in the cache when the others come.
        cached = self._ask_all(asked[:1]) + self._ask_all(asked[1:])
        seconds = (perf_counter() - start) / len(items)
        return [_scores(item, descent, tokens, seconds) for (item, descent), tokens in zip(asked, cached, strict=True)]

    def _ask_all(self, asked: Sequence[_Asked]) -> list[int]:
        """Ask the way down to every answer, and return how many tokens of each prompt were in the cache at first."""
        cached = [0] * len(asked)
        first = True
        while waiting := [(place, branch) for place, (_, way) in enumerate(asked) for branch in tuple(way.reached)]:
            questions = [(asked[place][0], branch) for place, branch in waiting]
            ids = [[*item.ids, *path_to(item.trie, branch)] for item, branch in questions]
            settings = [self._choosing(item.trie.branches[branch].children) for item, branch in questions]
            for (place, branch), output in zip(waiting, self._run(ids, settings), strict=True):
                item, way = asked[place]
                logprobs = output.outputs[0].logprobs[0]
                way.take(branch, [float(logprobs[child].logprob) for child in item.trie.branches[branch].children])
                if first:
                    cached[place] = int(output.num_cached_tokens or 0)
            first = False
        return cached

    def _run(self, ids: Sequence[Sequence[int]], settings: Sequence[Any]) -> list[Any]:
        """Run prompts of token ids through vLLM; one output per prompt, in order."""
        if self._llm is None:
            raise ModelError("This engine was closed; load it again.")
        if not ids:
            return []
        prompts = [{"prompt_token_ids": list(each)} for each in ids]
        with unwarned():
            outputs: list[Any] = self._llm.generate(prompts, list(settings), use_tqdm=False, lora_request=self._adapter)
        return outputs

    def _choosing(self, children: Sequence[int]) -> Any:
        """Make the settings of a request that must answer with one of `children`."""
        from vllm import SamplingParams

        return SamplingParams(
            temperature=0, max_tokens=1, allowed_token_ids=list(children), logprobs=len(children), detokenize=False
        )

    def _writing(self, max_tokens: int, schema: Mapping[str, Any] | None, stop: str | None) -> Any:
        """Make the settings of a request for text."""
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        held = None if schema is None else StructuredOutputsParams(grammar=json_grammar(schema))
        return SamplingParams(
            temperature=0,
            max_tokens=max_tokens,
            stop=stop,
            stop_token_ids=self._endings.tokens,
            structured_outputs=held,
            logprobs=0,  # those of the written tokens alone
            detokenize=stop is not None,  # vLLM looks for the stop in the text
        )


def _scores(item: PromptTokens, descent: Descent, cached: int, seconds: float) -> LabelScores:
    """Collect the scores of one prompt at the end of its walk down the trie."""
    choice, probabilities = descent.result()
    return LabelScores(
        choice=choice,
        probabilities=probabilities,
        prompt_tokens=len(item.ids),
        cached_tokens=cached,
        completion_tokens=item.trie.lengths[choice],
        seconds=seconds,
    )
