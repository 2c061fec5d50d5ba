"""How answers are held to a form and where they end: JSON grammars, and from tokens to text, for every engine.

Not covered: masks of allowed tokens, which XGrammar makes of a grammar for one tokenizer; making the model write
(`llmtl.engines.transformers.generation`, `llmtl.engines.vllm.engine`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmtl.engines.protocol import Generation
from llmtl.errors import ModelError


def json_grammar(schema: Mapping[str, Any]) -> str:
    """Return the grammar of JSON that follows `schema` with `json.dumps`'s separators.

    Not left to vLLM: with its `disable_any_whitespace` there is no space after a comma or colon, without it any. Raises
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

    def read(self, ids: Sequence[int], stop: str | None, asked: "Asked") -> Generation:
        """Return what the token `ids` written after a prompt say, up to the first ending; what follows is padding.

        The text `stop` ends an answer, too, where a model knows no token for that; it is no part of the answer.
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
        )


@dataclass(frozen=True)
class Asked:
    """The prompt behind which something was written: its tokens, those from a cache, and the seconds spent on it."""

    prompt_tokens: int
    cached_tokens: int
    seconds: float
