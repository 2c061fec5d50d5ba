"""Whether prompts fit the model's context, before any of them is run.

Not covered: counting tokens (the engine) and wording prompts (`llmtl.prompting.template`); both come in as one
callable.
"""

from collections.abc import Callable, Sequence
from statistics import median

from llmtl.checks.finding import Finding, Level
from llmtl.errors import ContextLengthError
from llmtl.task import Example

FEWEST_DEMONSTRATIONS = 4
"""The smallest few-shot prompt that is tried."""


def check_context(
    examples: Sequence[Example],
    count_prompt_tokens: Callable[[str], int],
    *,
    answer_tokens: int,
    context_length: int,
) -> list[Finding]:
    """Warn when some examples leave no room for 4 demonstrations of median length.

    `count_prompt_tokens(text)` is the length of the whole zero-shot prompt for an input; `answer_tokens` that of the
    longest answer with its end token. A demonstration is taken to cost what its text adds to an empty prompt, plus the
    answer. Raises `ContextLengthError` when the longest zero-shot prompt does not fit, with the share of such examples.
    """
    lengths = [count_prompt_tokens(example.text) + answer_tokens for example in examples]
    _require_fit(examples, lengths, context_length)
    empty = count_prompt_tokens("")
    demonstrations = FEWEST_DEMONSTRATIONS * (median(lengths) - empty)
    long = [position for position, length in enumerate(lengths) if length + demonstrations > context_length]
    if not long:
        return []
    long.sort(key=lambda position: -lengths[position])
    return [
        Finding(
            "truncation",
            Level.WARNING,
            f"About {len(long) / len(examples):.1%} of the examples leave no room for {FEWEST_DEMONSTRATIONS} "
            f"demonstrations in the model's context of {context_length:,} tokens; few-shot strategies may fail on "
            "them.",
            tuple(examples[position].id for position in long),
        )
    ]


def _require_fit(examples: Sequence[Example], lengths: Sequence[int], context_length: int) -> None:
    longest = max(range(len(lengths)), key=lengths.__getitem__)
    if lengths[longest] <= context_length:
        return
    count = sum(length > context_length for length in lengths)
    raise ContextLengthError(
        f"Example '{examples[longest].id}' needs {lengths[longest]:,} tokens with instruction and answer, and "
        f"the model's context has {context_length:,} ({count:,} of {len(lengths):,} examples, "
        f"{count / len(lengths):.1%}, do not fit); shorten or remove them, shorten the instruction, or use a model "
        "with a longer context."
    )
