"""`decision.json`: a `Decision` written out, read back, and its JSON Schema.

Not covered: writing files (`llmtl.store`).
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from llmtl.decision.outcome import Choice, Decision
from llmtl.errors import RunError

T = TypeVar("T")

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DECISION: TypeAdapter[Decision] = TypeAdapter(Decision)
_CHOICE: TypeAdapter[Choice] = TypeAdapter(Choice)


def to_json(decision: Decision) -> dict[str, Any]:
    """Return the decision as plain JSON values; raises `RunError` where a number is not finite."""
    return _written(_DECISION.dump_python(decision, mode="json"), "decision")


def from_json(document: Mapping[str, Any]) -> Decision:
    """Return the decision that was written out; raises `RunError` when it is not one."""
    return _read(_DECISION, document, "decision.json")


def choice_to_json(choice: Choice) -> dict[str, Any]:
    """Return the choice as plain JSON values; raises `RunError` where a number is not finite."""
    return _written(_CHOICE.dump_python(choice, mode="json"), "choice")


def choice_from_json(document: Mapping[str, Any]) -> Choice:
    """Return the choice that was written out; raises `RunError` when it is not one."""
    return _read(_CHOICE, document, "choice.json")


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `decision.json`."""
    return {"$schema": DIALECT, "title": "llmtl decision"} | _DECISION.json_schema(mode="serialization")


def _written(document: dict[str, Any], name: str) -> dict[str, Any]:
    path = _not_finite(document, name)
    if path is not None:
        raise RunError(f"The number at {path} is not finite; measure it again.")
    return document


def _not_finite(value: Any, path: str) -> str | None:
    """Return where the first number that JSON cannot hold is, or None."""
    if isinstance(value, float):
        return None if abs(value) < float("inf") else path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next((found for key, child in children if (found := _not_finite(child, f"{path}.{key}"))), None)


def _read(adapter: TypeAdapter[T], document: Mapping[str, Any], name: str) -> T:
    try:
        return adapter.validate_python(document)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise RunError(f"{name} is not what llmtl writes (at '{where}'); run the decision again.") from error
