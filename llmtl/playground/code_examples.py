"""Programs that ask the endpoint what the page asks, filled in and ready to paste: curl, Python, JavaScript.

The API key stands in none of them: they take it from the environment. Not covered: other clients; whatever speaks
OpenAI's protocol works.
"""

import json
import shlex
from dataclasses import dataclass

KEY_VARIABLE = "LLMTL_API_KEY"
_NO_KEY = "none"


@dataclass(frozen=True)
class CodeExample:
    """A program in one language, and what it takes to run it."""

    name: str
    language: str
    note: str
    code: str


def code_examples(base_url: str, model: str, text: str, *, has_key: bool) -> tuple[CodeExample, ...]:
    """Write the programs that ask `model` at `base_url` (which ends in /v1) for the answer to `text`."""
    key = f"It takes the API key from the environment variable {KEY_VARIABLE}." if has_key else ""
    return (
        CodeExample("curl", "shell", key, _curl(base_url, model, text, has_key=has_key)),
        CodeExample("Python", "python", f"pip install openai. {key}".strip(), _python(base_url, model, text, has_key)),
        CodeExample(
            "JavaScript",
            "javascript",
            f"Node.js 18 or later. {key}".strip(),
            _javascript(base_url, model, text, has_key),
        ),
        CodeExample(
            "Many at once",
            "shell",
            "Several inputs in one request, with probabilities where the task has labels.",
            _many(base_url, model, text, has_key=has_key),
        ),
    )


def _curl(base_url: str, model: str, text: str, *, has_key: bool) -> str:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}]}, ensure_ascii=False)
    return _posted(f"{base_url}/chat/completions", body, has_key)


def _many(base_url: str, model: str, text: str, *, has_key: bool) -> str:
    return _posted(f"{base_url}/predict", json.dumps({"model": model, "inputs": [text]}, ensure_ascii=False), has_key)


def _posted(url: str, body: str, has_key: bool) -> str:
    lines = [f"curl -s {shlex.quote(url)}", "-H 'Content-Type: application/json'"]
    lines += [f'-H "Authorization: Bearer ${KEY_VARIABLE}"'] if has_key else []
    return " \\\n  ".join([*lines, f"-d {shlex.quote(body)}"])


def _python(base_url: str, model: str, text: str, has_key: bool) -> str:
    key = f'os.environ["{KEY_VARIABLE}"]' if has_key else f'"{_NO_KEY}"'
    return "\n".join(
        [
            *(["import os", ""] if has_key else []),
            "from openai import OpenAI",
            "",
            f"client = OpenAI(base_url={_string(base_url)}, api_key={key})",
            "answer = client.chat.completions.create(",
            f"    model={_string(model)},",
            f'    messages=[{{"role": "user", "content": {_string(text)}}}],',
            ")",
            "print(answer.choices[0].message.content)",
        ]
    )


def _javascript(base_url: str, model: str, text: str, has_key: bool) -> str:
    headers = ['"Content-Type": "application/json"']
    headers += [f"Authorization: `Bearer ${{process.env.{KEY_VARIABLE}}}`"] if has_key else []
    return "\n".join(
        [
            f"const response = await fetch({_string(f'{base_url}/chat/completions')}, {{",
            '  method: "POST",',
            f"  headers: {{ {', '.join(headers)} }},",
            "  body: JSON.stringify({",
            f"    model: {_string(model)},",
            f'    messages: [{{ role: "user", content: {_string(text)} }}],',
            "  }),",
            "});",
            "const answer = await response.json();",
            "console.log(answer.choices[0].message.content);",
        ]
    )


def _string(value: str) -> str:
    """Write a string of JavaScript and of Python: JSON is one of both, of the first since ECMAScript 2019."""
    return json.dumps(value, ensure_ascii=False)
