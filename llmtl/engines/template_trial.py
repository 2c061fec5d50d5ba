"""A chat template is tried in a process of its own before it is filled in here: one from elsewhere may never end.

Jinja's sandbox lets a template reach nothing, but it bounds neither its time nor its memory, and what a library works
out in one step cannot be interrupted. So two short conversations are written by another interpreter, within limits of
the operating system. Not covered: templates that take long for other texts alone.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Environment, TemplateError
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_SECONDS, MOST_BYTES = 5, 2**30
"""Of processor time and memory; templates of known models take milliseconds, an interpreter with Jinja 60 MiB."""
_LONGEST_SECONDS = 180
"""However busy the machine is."""
_TOO_LARGE = 3
_CONVERSATIONS = (
    [{"role": "system", "content": "Answer in one word."}, {"role": "user", "content": "How are you, and why?"}],
    [{"role": "user", "content": "?"}, {"role": "assistant", "content": "answer"}],
)


def require_bounded(template: str, words: Mapping[str, str]) -> None:
    """Raise `ModelError` for a template that takes too long or too much; `words` are the special tokens by name."""
    from llmtl.errors import ModelError

    if not _is_bounded(template, tuple(sorted(words.items()))):
        raise ModelError(
            f"The model's chat template takes more than {MOST_SECONDS} seconds or {MOST_BYTES // 2**30} GiB for a "
            "short conversation; correct it, or take another model."
        )


@lru_cache(maxsize=64)
def _is_bounded(template: str, words: tuple[tuple[str, str], ...]) -> bool:
    """Tell whether another interpreter came to an end, whatever that was."""
    asked = json.dumps({"template": template, "words": dict(words)})
    try:
        done = subprocess.run(
            [sys.executable, "-I", __file__],
            input=asked.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode >= 0 and done.returncode != _TOO_LARGE


def main() -> int:
    """Fill in the template that standard input brings, and return the exit code; the limits end it otherwise."""
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    asked = json.load(sys.stdin.buffer)
    for number, messages in enumerate(_CONVERSATIONS):
        try:
            template = _environment().from_string(asked["template"])
            template.render(messages=messages, add_generation_prompt=number == 0, **asked["words"])
        except MemoryError:
            return _TOO_LARGE
        except (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            continue  # whoever fills it in says what is wrong
    return 0


class GenerationTag(Extension):
    """Takes what stands between `generation` and `endgeneration` as it is."""

    tags = frozenset({"generation"})  # type: ignore[assignment]  # a set, which others could change

    def parse(self, parser: Any) -> Any:
        """Read up to the end."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> Environment:
    """Make an environment like that of transformers (`utils/chat_template_utils.py`)."""

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, "jinja2.ext.loopcontrols"]
    )
    made.filters["tojson"] = lambda value, **given: json.dumps(value, ensure_ascii=False, **given)
    made.globals |= {"raise_exception": raise_exception, "strftime_now": lambda form: datetime.now().strftime(form)}
    return made


if __name__ == "__main__":
    sys.exit(main())
