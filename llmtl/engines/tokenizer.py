"""What a tokenizer alone knows about wording: the chat template, the control tokens, the end of an answer.

Serving words prompts with the tokenizer and no weights; the engine uses the same class, so that both word alike. Not
covered: the wording itself (`llmtl.prompting.template`), tokens (`llmtl.engines.tokens`).
"""

from collections.abc import Sequence
from typing import Any, cast

from jinja2 import TemplateError

from llmtl.engines.template_trial import require_bounded
from llmtl.engines.tokens import encode
from llmtl.errors import ModelError
from llmtl.values import Message

FIXED_DATE = "26 Jul 2024"
"""LLaMA 3 templates state today's date unless given one; a fixed one (their default) keeps prompts reproducible."""

_IN_TEMPLATES = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)
"""What the code of a template raises; it runs in Jinja's sandbox."""


class TokenizerWording:
    """A tokenizer as `llmtl.prompting.template.PromptModel`.

    Raises `ModelError` for a tokenizer without an end-of-sequence token, or whose chat template never ends.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.chat_template: str | None = tokenizer.chat_template
        if self.chat_template is not None:
            require_bounded(self.chat_template, _words(tokenizer))
        self.bos = str(tokenizer.bos_token or "")
        self.special_tokens = _special_tokens(tokenizer)
        self.end_of_answer = self._end_of_answer()

    @property
    def end_id(self) -> int:
        """The id of the token that ends an answer."""
        return int(self.tokenizer.convert_tokens_to_ids(self.end_of_answer))

    def render(self, messages: Sequence[Message]) -> str:
        """Write the conversation as prompt text with the chat template, generation prompt included.

        Raises `ModelError` if there is no chat template, or if it rejects the conversation.
        """
        return self._render(messages, add_generation_prompt=True)

    def count_tokens(self, text: str) -> int:
        """Count the tokens of `text` as it stands (no special token added)."""
        return len(encode(self.tokenizer, [text])[0])

    def _render(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        """Fill the chat template with the conversation."""
        if self.chat_template is None:
            raise ModelError("This model has no chat template; word its prompts as plain text.")
        try:
            rendered = self.tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=add_generation_prompt, date_string=FIXED_DATE
            )
        except (TemplateError, *_IN_TEMPLATES) as error:
            reason = str(error).strip().rstrip(".") or type(error).__name__
            raise ModelError(
                f"The model's chat template rejects this conversation ({reason}); correct it, or take another model."
            ) from error
        return cast("str", rendered)

    def _end_of_answer(self) -> str:
        """Find the special token after an assistant's words in the chat template; by default, end of sequence."""
        if self.chat_template is not None:
            word = "answer"
            turns: list[Message] = [{"role": "user", "content": "?"}, {"role": "assistant", "content": word}]
            rest = self._render(turns, add_generation_prompt=False).rpartition(word)[2].lstrip()
            following = [token for token in self.special_tokens if rest.startswith(token)]
            if following:
                return max(following, key=len)
        if not self.tokenizer.eos_token:
            raise ModelError("The tokenizer has no end-of-sequence token; add 'eos_token' to tokenizer_config.json.")
        return str(self.tokenizer.eos_token)


def _special_tokens(tokenizer: Any) -> tuple[str, ...]:
    """Collect the texts of all control tokens, sorted."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(added | {str(token) for token in tokenizer.all_special_tokens}))


def _words(tokenizer: Any) -> dict[str, str]:
    """Collect the special tokens that a chat template knows by name."""
    return {name: str(value) for name, value in tokenizer.special_tokens_map.items() if isinstance(value, str)}
