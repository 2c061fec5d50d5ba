"""Hold answers to a form and find their end, for every engine: JSON grammars, and tokens back to text.

Not covered: masks of allowed tokens, which XGrammar makes of a grammar for one tokenizer; making the model write
(`llmtl.engines.transformers.writing`, `llmtl.engines.vllm.engine`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from llmtl.engines.protocol import Generation
from llmtl.errors import ModelError


def json_grammar(schema: Mapping[str, Any]) -> str:
    """Build the grammar of JSON that follows `schema`, with the separators of `json.dumps`.

    vLLM does not do this: with `disable_any_whitespace` it puts no space after a comma or colon, without it any. Raises
    `ModelError` for a schema that XGrammar cannot use.
    """
    import xgrammar

    try:
        return str(xgrammar.Grammar.from_json_schema(json.dumps(schema), any_whitespace=False))
    except RuntimeError as error:
        raise ModelError(f"The JSON schema cannot be used for decoding ({error}); make it simpler.") from error


class Endings:
    """What ends an answer of one tokenizer: the token `end`, and the checkpoint's end of sequence.

    `tokens` are both, sorted.
    """

    def __init__(self, tokenizer: Any, end: int) -> None:
        self._tokenizer = tokenizer
        self.tokens = sorted({end, tokenizer.eos_token_id} - {None})

    def read(self, ids: Sequence[int], logprobs: Sequence[float], stop: str | None, asked: "Asked") -> Generation:
        """Decode the token `ids` written after a prompt, up to the first ending; the rest is padding.

        The text `stop` also ends an answer, where a model has no token for that; it is not part of the answer.
        `logprobs` are the tokens' log-probabilities, of which those up to the end are added.
        """
        length = next((place for place, token in enumerate(ids) if token in self.tokens), len(ids))
        text = str(
            self._tokenizer.decode(list(ids[:length]), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )
        stopped = stop is not None and stop in text
        ended = length < len(ids) and not stopped
        return Generation(
            text=text.partition(stop)[0] if stop and stopped else text,
            finished=stopped or ended,
            prompt_tokens=asked.prompt_tokens,
            cached_tokens=asked.cached_tokens,
            completion_tokens=length + ended,
            seconds=asked.seconds,
            logprob=fsum(logprobs[: length + ended]),
        )


@dataclass(frozen=True)
class Asked:
    """The prompt of an answer: its tokens, how many came from a cache, and the seconds spent on it."""

    prompt_tokens: int
    cached_tokens: int
    seconds: float
