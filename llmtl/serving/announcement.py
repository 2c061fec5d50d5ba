"""What is printed once a server may be used: its address, a curl line and a Python snippet that work as they stand.

Not covered: the model card's examples (`llmtl.serving.bundle`).
"""

import json
import shlex
from collections.abc import Sequence

from llmtl.measured.endpoint import Disagreement, Load, Paid, Parity
from llmtl.report import wording
from llmtl.serving.proof.target import LiveEndpoint

API_KEY = "LLMTL_API_KEY"
"""The environment variable from which the printed examples take the key."""
MOST_DISAGREEMENTS = 10
_MOST_CHARACTERS = 60


def announcement(endpoint: LiveEndpoint, *, strategy: str, engine: str, text: str, playground: str | None) -> list[str]:
    """Write the lines that announce a server; `text` is the input of the examples."""
    lines = [
        f"{endpoint.model} ({strategy}) is served by {engine} at {endpoint.openai_url}",
        "",
        curl_line(endpoint, text),
        "",
        *python_snippet(endpoint, text),
        "",
    ]
    if endpoint.api_key:
        lines.insert(1, f"Clients need the API key; the examples take it from ${API_KEY}.")
    if playground:
        lines.append(f"Playground: {playground}")
    return [*lines, "Ctrl-C stops it."]


def curl_line(endpoint: LiveEndpoint, text: str) -> str:
    """Write one line for a shell that asks for the answer to `text`."""
    key = f' -H "Authorization: Bearer ${API_KEY}"' if endpoint.api_key else ""
    body = shlex.quote(json.dumps(endpoint.chat(text), ensure_ascii=False))
    return f"curl -s {endpoint.openai_url}/chat/completions -H 'Content-Type: application/json'{key} -d {body}"


def python_snippet(endpoint: LiveEndpoint, text: str) -> list[str]:
    """Write the lines of a program that asks for the answer to `text` through the `openai` package."""
    key = f'os.environ["{API_KEY}"]' if endpoint.api_key else f'"{endpoint.key}"'
    body = endpoint.chat(text)
    return [
        *(["import os"] if endpoint.api_key else []),
        "from openai import OpenAI",
        f'client = OpenAI(base_url="{endpoint.openai_url}", api_key={key})',
        f"answer = client.chat.completions.create(model={body['model']!r}, messages={body['messages']!r})",
        "print(answer.choices[0].message.content)",
    ]


def parity_line(parity: Parity, *, labels: bool = True) -> str:
    """Tell the parity check in one line; without `labels` answers are of another kind."""
    found = f"Parity: {parity.agreed} of {parity.compared} recorded {'labels' if labels else 'answers'}"
    if parity.compared_probabilities:
        found = f"{found}, probabilities within {parity.largest_difference:.1g} of what was measured"
    if parity.abstentions_differ:
        found = (
            f"{found}; {wording.plural(parity.abstentions_differ, 'input')} left to a person otherwise than measured"
        )
    return found


def load_line(load: Load) -> str:
    """Tell one concurrency's measurement in one line."""
    errors = f", {wording.plural(load.errors, 'error')}" if load.errors else ""
    return (
        f"Load: {load.concurrency} at a time: p50 {wording.milliseconds(load.p50_ms)}, "
        f"p95 {wording.milliseconds(load.p95_ms)}, {load.requests_per_second:.1f} requests a second "
        f"({wording.plural(load.requests, 'request')}{errors})"
    )


def paid_line(paid: Paid) -> str:
    """Tell in one line what a provider was paid."""
    return f"Paid to the provider so far: {paid.usd:.4f} USD for {wording.plural(paid.requests, 'request')}"


def disagreement_lines(disagreements: Sequence[Disagreement]) -> list[str]:
    """Write one line per disagreement with both probabilities, the first few of them."""
    lines = [_disagreement(item) for item in disagreements[:MOST_DISAGREEMENTS]]
    rest = len(disagreements) - MOST_DISAGREEMENTS
    return [*lines, f"  and {rest} more"] if rest > 0 else lines


def _disagreement(item: Disagreement) -> str:
    text = " ".join(item.text.split())
    shown = text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
    recorded = _said(item.recorded, item.recorded_probabilities)
    served = _said(item.served, item.served_probabilities)
    tie = ", a near tie" if item.close else ""
    return f"  {item.id} '{shown}': measured {recorded}, served {served}{tie}"


def _said(label: str | None, probabilities: dict[str, float]) -> str:
    """Return a label with the probabilities of both labels on that side."""
    shown = ", ".join(f"{name} {value:.3f}" for name, value in probabilities.items())
    return f"{'a refusal' if label is None else label}{f' ({shown})' if shown else ''}"
