"""`decision.json` and `choice.json`: values and sentences written out, read back, and the schema of the first.

Version 2 holds the codes beside the sentences. Version 1, which has no `schema_version`, held sentences alone: what was
not kept as a value is read as its default, and the sentences are shown as they are (`version_1` knows what they stand
for). Not covered: writing files (`llmtl.store`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from llmtl.costs import Spending
from llmtl.decision.outcome import Choice, Comparison, Decision, Planned, StrategyResult
from llmtl.errors import RunError
from llmtl.report import wording
from llmtl.report.constraint_words import constraints_broken
from llmtl.report.sentences import Summary, purpose
from llmtl.report.version_1 import with_codes
from llmtl.task import Metric

T = TypeVar("T")

SCHEMA_VERSION = 2
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, kw_only=True)
class WrittenPlan(Planned):
    """A planned comparison, and why it is made in words."""

    why: str


@dataclass(frozen=True, kw_only=True)
class WrittenComparison(Comparison):
    """A comparison on test, and why it was made in words."""

    why: str


@dataclass(frozen=True, kw_only=True)
class WrittenResult(StrategyResult):
    """One strategy's row, and why it could not be chosen in words."""

    why_not: str | None


@dataclass(frozen=True, kw_only=True)
class WrittenChoice(Choice):
    """The choice on dev, and why the others could not be chosen in words."""

    comparisons: tuple[WrittenPlan, ...]
    ineligible: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class WrittenDecision(Decision):
    """The verdict with everything it rests on, in values and in sentences.

    `spending` is what making the decision took; None for predictions made elsewhere.
    """

    choice: WrittenChoice
    strategies: tuple[WrittenResult, ...]
    comparisons: tuple[WrittenComparison, ...]
    reason: str
    reasons: tuple[str, ...]
    target_note: str | None
    would_change: tuple[str, ...]
    warnings: tuple[str, ...]
    spending: Spending | None = None
    schema_version: int = field(default=1)


_DECISION: TypeAdapter[Decision] = TypeAdapter(Decision)
_SPENDING: TypeAdapter[Spending | None] = TypeAdapter(Spending | None)
_CHOICE: TypeAdapter[Choice] = TypeAdapter(Choice)
_WRITTEN: TypeAdapter[WrittenDecision] = TypeAdapter(WrittenDecision)
_WRITTEN_CHOICE: TypeAdapter[WrittenChoice] = TypeAdapter(WrittenChoice)
_ADDED = {"WrittenPlan": {"purpose"}, "WrittenComparison": {"purpose"}}
"""What version 2 added without a default; documents of version 1 keep to the schema without it."""


def to_json(decision: Decision, summary: Summary, *, spending: Spending | None = None) -> dict[str, Any]:
    """Write a decision, its sentences and what it took as plain JSON values; raises `RunError` for infinities."""
    chosen = decision.choice.strategy
    values = _values(decision) | {
        "choice": _written_choice(decision.choice),
        "strategies": tuple(
            WrittenResult(**_values(item), why_not=summary.why_not.get(item.name)) for item in decision.strategies
        ),
        "comparisons": tuple(
            WrittenComparison(**_values(item), why=purpose(item.purpose, chosen)) for item in decision.comparisons
        ),
    }
    written = WrittenDecision(
        **values,
        reason=summary.reason,
        reasons=summary.reasons,
        target_note=summary.target_note,
        would_change=summary.would_change,
        warnings=summary.warnings,
        spending=spending,
        schema_version=SCHEMA_VERSION,
    )
    return _finite(_WRITTEN.dump_python(written, mode="json"), "decision")


def from_json(document: Mapping[str, Any]) -> Decision:
    """Read the decision that was written out, without its sentences; raises `RunError` when it is not one.

    One of version 1 has no rule.
    """
    version = document.get("schema_version", 1)
    if version not in (1, SCHEMA_VERSION):
        raise RunError(f"decision.json has the schema version {version}, which this llmtl does not know; update llmtl.")
    found = _read(_DECISION, document if version == SCHEMA_VERSION else with_codes(document), "decision.json")
    if found.metric not in {each.value for each in Metric}:
        raise RunError(f"decision.json has the metric '{found.metric}', which this llmtl does not know; update llmtl.")
    return found


def kept_spending(document: Mapping[str, Any]) -> Spending | None:
    """Read what making the decision took; None where it does not."""
    return _read(_SPENDING, document.get("spending"), "decision.json")


def kept_summary(document: Mapping[str, Any], decision: Decision) -> Summary:
    """Read the sentences that a document holds, as they were written."""
    opening = f"{wording.verdict(decision)}: "
    return Summary(
        reason=document["reason"],
        reasons=tuple(document["reasons"]),
        would_change=tuple(document["would_change"]),
        warnings=tuple(document["warnings"]),
        target_note=document["target_note"],
        why_not={item["name"]: item["why_not"] for item in document["strategies"] if item["why_not"]},
        opening=opening if document["reason"].startswith(opening) else "",
    )


def choice_to_json(choice: Choice) -> dict[str, Any]:
    """Turn the choice into plain JSON values; raises `RunError` where a number is not finite."""
    return _finite(_WRITTEN_CHOICE.dump_python(_written_choice(choice), mode="json"), "choice")


def choice_from_json(document: Mapping[str, Any]) -> Choice:
    """Read the choice that was written out; raises `RunError` when it is not one."""
    return _read(_CHOICE, document, "choice.json")


def schema() -> dict[str, Any]:
    """Write the JSON Schema (draft 2020-12) of `decision.json`; documents of version 1 keep to it too."""
    found = _WRITTEN.json_schema(mode="serialization")
    for name, added in _ADDED.items():
        definition = found["$defs"][name]
        definition["required"] = [key for key in definition["required"] if key not in added]
    return {"$schema": DIALECT, "title": f"llmtl decision, version {SCHEMA_VERSION}"} | found


def _written_choice(choice: Choice) -> WrittenChoice:
    plans = (WrittenPlan(**_values(item), why=purpose(item.purpose, choice.strategy)) for item in choice.comparisons)
    barred = {name: constraints_broken(broken) for name, broken in choice.barred.items()}
    return WrittenChoice(**_values(choice) | {"comparisons": tuple(plans)}, ineligible=barred)


def _values(item: Any) -> dict[str, Any]:
    """Return the fields of a value by name, the values within as they are."""
    return {each.name: getattr(item, each.name) for each in fields(item)}


def _finite(document: dict[str, Any], name: str) -> dict[str, Any]:
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


def _read(adapter: TypeAdapter[T], document: Mapping[str, Any] | None, name: str) -> T:
    try:
        return adapter.validate_python(document)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise RunError(f"{name} is not what llmtl writes (at '{where}'); run the decision again.") from error
