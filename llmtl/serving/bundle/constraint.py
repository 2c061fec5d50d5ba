"""What holds a language model to the task's answers: their tokens, a grammar, and the request that says so to vLLM.

Not covered: the probability of every label, which takes one request per branch (`llmtl.serving.task_api.scoring`).
"""

from collections.abc import Sequence
from typing import Any

from llmtl.engines.endings import json_grammar
from llmtl.engines.tokenizer import TokenizerWording
from llmtl.engines.tokens import continuations, encode
from llmtl.errors import BundleError
from llmtl.prompting.template import Template
from llmtl.serving.bundle.manifest import Bundle, Output
from llmtl.serving.bundle.source import MeasuredStrategy
from llmtl.task import Message

_TAIL = 4
"""The last tokens of a prompt that decide how an answer after it is split (as in `llmtl.engines.tokens`)."""


def answer_tokens(wording: TokenizerWording, prompts: Sequence[str], answers: Sequence[str]) -> tuple[int, ...]:
    """List the token ids that the answers may have after any of the prompts, the end token included, sorted.

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


def output_of(template: Template, measured: MeasuredStrategy) -> Output:
    """Describe the form of the answers as they were measured.

    Raises `BundleError` where the run does not say how long an answer may be.
    """
    if template.task.kind.one_label:
        return Output()
    max_tokens = measured.prompt.max_tokens
    if max_tokens is None:
        raise BundleError(f"The run does not say how long answers of '{measured.name}' may be; run the recipe again.")
    schema = template.schema()
    if schema is None:
        return Output("text", max_tokens=max_tokens, stop=template.stop)
    return Output("json", schema=dict(schema), grammar=json_grammar(schema), max_tokens=max_tokens)


def decoding(bundle: Bundle) -> dict[str, Any]:
    """Write the fields of a request that make vLLM decode as measured.

    For labels, the allowed tokens beside the choice keep the model from spelling a label in other tokens. The end of
    the answer is said, since it need not be what the checkpoint calls its end of sequence.
    """
    output = bundle.output
    fields: dict[str, Any] = {"temperature": 0}
    if output.form == "label":
        fields["structured_outputs"] = {"choice": list(bundle.answers)}
        if bundle.answer_tokens:
            fields["allowed_token_ids"] = list(bundle.answer_tokens)
    if output.grammar is not None:
        fields["structured_outputs"] = {"grammar": output.grammar}
    if bundle.end_token is not None:
        fields["stop_token_ids"] = [bundle.end_token]
    if output.max_tokens is not None:
        fields["max_tokens"] = output.max_tokens
    if output.stop is not None:
        fields["stop"] = [output.stop]
    return fields


def constrained(bundle: Bundle, messages: Sequence[Message]) -> dict[str, Any]:
    """Write the body of a chat request to stock vLLM that can only be answered in the task's form."""
    told = {"logprobs": True} if bundle.output.form == "label" else {}
    return {"model": bundle.winner.model, "messages": list(messages), **decoding(bundle), **told}
