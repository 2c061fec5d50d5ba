"""What the sentences of version 1 of `decision.json` stand for, which it held in place of codes.

The only file that reads English: these are the words of then, and stay whatever the report says now. Not covered: what
version 1 did not keep, which is read as its default (`decision_file`).
"""

from collections.abc import Mapping
from typing import Any

from llmtl.decision.outcome import Purpose

_PURPOSES = {
    Purpose.BEST_BASELINE: "the choice against the best baseline",
    Purpose.ZERO_SHOT: "the choice against zero-shot",
    Purpose.RUNNER_UP: "the choice against the runner-up on dev",
    Purpose.SIMPLER_RIVAL: "the choice against the best on dev of those that tune less, or nothing",
    Purpose.LLM_AGAINST_CHOICE: "the best {model} against the choice",
    Purpose.CHEAPER_RIVAL: "a cheaper rival of {chosen} against the best baseline",
    Purpose.LLM_AGAINST_BASELINE: "the best {model} on dev against the best baseline",
}
_MODELS = ("language-model strategy", "strategy with a pre-trained model")
"""What a strategy that is no baseline was called, one after the other."""


def with_codes(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document of version 1 with the codes that its sentences stand for one to one.

    What is not a decision at all comes back as it is: validation says what is wrong with it.
    """
    try:
        choice = document["choice"]
        codes = {
            said.format(model=model, chosen=choice["strategy"]): code.value
            for code, said in _PURPOSES.items()
            for model in _MODELS
        }
        barred = dict.fromkeys(choice["ineligible"], ())
        changes = [{"kind": "more_requests", "point": each} for each in document["break_even"] if _told(each, document)]
        return {
            **document,
            "choice": {**choice, "barred": barred, "comparisons": _coded(choice["comparisons"], codes)},
            "comparisons": _coded(document["comparisons"], codes),
            "changes": changes,
        }
    except (KeyError, TypeError):
        return dict(document)


def _told(point: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Say whether a break-even was told as what would change the decision."""
    above, below = point["cheaper_above"], point["cheaper_below"]
    line = f"Above {point['requests']:,.0f} requests in all, {above} is cheaper than {below};"
    return any(item.startswith(line) for item in document["would_change"])


def _coded(comparisons: list[dict[str, Any]], codes: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{**item, "purpose": codes.get(item["why"])} for item in comparisons]
