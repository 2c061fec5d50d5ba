"""What holds a language model to the labels: the answers, their tokens, and the request that says so to vLLM.

Not covered: the probability of every label, which takes a request a branch (`llmtl.serving.task_api.scoring`).
"""

from collections.abc import Sequence
from typing import Any

from llmtl.engines.tokens import continuations, encode
from llmtl.engines.wording import TokenizerWording
from llmtl.serving.bundle.manifest import Bundle
from llmtl.task import Message

_TAIL = 4
"""The last tokens of a prompt that decide how an answer after it is split (as in `llmtl.engines.tokens`)."""


def answer_tokens(wording: TokenizerWording, prompts: Sequence[str], answers: Sequence[str]) -> tuple[int, ...]:
    """Return the token ids that the answers may have after any of the prompts, the end token included, sorted.

    Empty where answers are split differently after different prompts: then no one list of tokens allows exactly them.
    """
    endings = {
        tuple(ids[-_TAIL:]): prompt for prompt, ids in zip(prompts, encode(wording.tokenizer, prompts), strict=True)
    }
    found = {
        tuple(tuple(path) for path in continuations(wording.tokenizer, prompt, answers)) for prompt in endings.values()
    }
    if len(found) != 1:
        return ()
    [paths] = found
    return tuple(sorted({token for path in paths for token in path} | {wording.end_id}))


def constrained(bundle: Bundle, messages: Sequence[Message]) -> dict[str, Any]:
    """Return the body of a chat request to stock vLLM that can only be answered with a label.

    The choice alone would let the model spell a label in other tokens than those that were measured. The end of the
    answer is said, since it need not be the token that the checkpoint calls its end of sequence.
    """
    allowed = {"allowed_token_ids": list(bundle.answer_tokens)} if bundle.answer_tokens else {}
    ends = {"stop_token_ids": [bundle.end_token]} if bundle.end_token is not None else {}
    return {
        "model": bundle.winner.model,
        "messages": list(messages),
        "temperature": 0,
        "structured_outputs": {"choice": list(bundle.answers)},
        **allowed,
        **ends,
        "logprobs": True,
    }
