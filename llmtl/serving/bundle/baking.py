"""The chat template of a bundle: the task's wording in front of the model's own chat template.

Stock vLLM renders it, so that a client sends the input alone and the model sees the prompt that was measured. What
`Template` writes is taken from it as finished text; only breaking control texts in the input is said again, in Jinja.
With the variable `raw` the model's own template remains, for conversations that are already worded.
Not covered: demonstrations retrieved for an input; a bundle that retrieves bakes the wording without any.
"""

import json
from collections.abc import Sequence

from llmtl.engines.tokenizer import FIXED_DATE, TokenizerWording
from llmtl.errors import BundleError
from llmtl.prompting.template import Template
from llmtl.serving.bundle.manifest import RAW
from llmtl.task import Example, Message

_INPUT = "THE-INPUT-GOES-HERE"
_ONE_MESSAGE = "This model takes exactly one message, of role 'user' and with text as content: the input."


def bake(template: Template, demonstrations: Sequence[Example], own: str | None) -> str:
    """Write the chat template that words an input as `template` does, demonstrations included.

    `own` is the model's chat template, or None for a base model, whose prompt is plain text.
    """
    if own is None:
        return _head(template) + _plain(template, demonstrations)
    turns = template.messages(_INPUT, demonstrations)
    before = turns[-1]["content"].removesuffix(_INPUT)
    assignments = (
        f"{{%- set messages = {_turns(turns[:-1], before)} -%}}\n"
        "{%- set add_generation_prompt = true -%}\n"
        "{%- set tools = none -%}\n"
        "{%- endif -%}\n"
        f"{{%- if not {RAW} or date_string is not defined -%}}\n"
        f"{{%- set date_string = {_literal(FIXED_DATE)} -%}}\n"
        # the line break after this block is dropped by `trim_blocks`, and the model's own template starts a line
        "{%- endif %}\n"
    )
    return _head(template) + assignments + own


def verify_baked(
    baked: str, wording: TokenizerWording, template: Template, texts: Sequence[str], shown: Sequence[Example]
) -> None:
    """Check that `baked` renders every text as `template` words it; raises `BundleError` otherwise."""
    for text in texts:
        turns = [{"role": "user", "content": text}]
        rendered = wording.tokenizer.apply_chat_template(
            turns, chat_template=baked, tokenize=False, add_generation_prompt=True
        )
        if rendered != template.prompt(text, shown):
            raise BundleError(
                f"The chat template for serving words the input {text[:60]!r} otherwise than it was measured; report "
                "this model's chat template to llmtl, and export another strategy meanwhile."
            )


def hostile_texts(template: Template) -> tuple[str, ...]:
    """Make texts full of control texts: each alone, doubled, one inside another, and those that overlap."""
    markers = [marker for marker, _ in template.replacements]
    nested = [f"{marker[:half]}{marker}{marker[half:]}" for marker in markers for half in (1, len(marker) // 2)]
    overlapping = [marker[:-1] + marker * 2 + marker[1:] for marker in markers]
    return ("", " \r\n ", "".join(markers), "{{ messages }}{% raw %}", *nested[:100], *overlapping[:100])


def _head(template: Template) -> str:
    """Return the beginning: what is refused, and the client's text with its control texts broken.

    Breaking repeats as often as a marker is long: each pass breaks every occurrence but those that overlapped a broken
    one, and of those the first starts at least one character later.
    """
    pairs = ",\n  ".join(f"({_literal(marker)}, {_literal(harmless)})" for marker, harmless in template.replacements)
    return (
        "{#- Written by llmtl: the task's wording, then the model's own chat template. -#}\n"
        f"{{%- if not {RAW} -%}}\n"
        "{%- if messages | length != 1 or messages[0]['role'] != 'user' or messages[0]['content'] is not string -%}\n"
        f"{{{{- raise_exception({_literal(_ONE_MESSAGE)}) -}}}}\n"
        "{%- endif -%}\n"
        "{%- set llmtl = namespace(text=messages[0]['content']) -%}\n"
        f"{{%- for marker, harmless in [\n  {pairs}\n] -%}}\n"
        "{%- if marker in llmtl.text -%}\n"
        "{%- for _ in range(marker | length) -%}\n"
        "{%- set llmtl.text = llmtl.text.replace(marker, harmless) -%}\n"
        "{%- endfor -%}\n"
        "{%- endif -%}\n"
        "{%- endfor -%}\n"
    )


def _turns(turns: Sequence[Message], before: str) -> str:
    """Return the conversation as a Jinja list; `before` is what the last turn says before the input."""
    told = [f"{{'role': {_literal(turn['role'])}, 'content': {_literal(turn['content'])}}}" for turn in turns]
    asked = f"{_literal(before)} ~ llmtl.text" if before else "llmtl.text"
    return "[\n  " + ",\n  ".join([*told, f"{{'role': 'user', 'content': {asked}}}"]) + "\n]"


def _plain(template: Template, demonstrations: Sequence[Example]) -> str:
    """Return the rest for a base model: its plain prompt, in which an input is one line."""
    before, _, after = template.prompt(_INPUT, demonstrations).rpartition(_INPUT)
    return (
        f"{{{{- {_literal(before)} ~ (llmtl.text.split() | join(' ')) ~ {_literal(after)} -}}}}\n"
        "{%- else -%}\n"
        "{%- for message in messages -%}{{- message['content'] -}}{%- endfor -%}\n"
        "{%- endif -%}\n"
    )


def _literal(text: str) -> str:
    """Return `text` as a Jinja string literal: Jinja reads Python's escapes, of which JSON's are a part.

    ASCII alone, so that a reader's locale does not matter; JSON's surrogate pairs would not be put together again.
    """
    return json.dumps(text, ensure_ascii=False).encode("ascii", "backslashreplace").decode("ascii")
