"""`response_format`: the JSON that a client wants an answer in, and whether all answers of the task can be written so.

    {"type": "json_object"}    {"label": "refund"}, {"labels": [...]}, {"spans": [...]}, {"text": "..."}, and so on
    {"type": "json_schema"}    that, the answer under another name, or the answer alone, whichever the schema allows

A schema never changes an answer, which is the measured one: it only says how that is written. So all answers that the
task can give have to be allowed by it, and whether they are is decided before anything is asked or paid. Libraries
check a value against a schema, not a set of them, and would search with regular expressions of whoever asks; this
follows the keywords below and refuses the others. Not covered: answers that break the task's own form, cut off at the
longest that it allows.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmtl.serving.bundle.manifest import Bundle
from llmtl.serving.task_api.plain_answers import plain_form
from llmtl.serving.task_api.requests import ChatRequest, RequestError

Schema = Mapping[str, Any]

PARAM = "response_format"
_PLAIN, _OBJECT, _SCHEMA = "text", "json_object", "json_schema"
_NOTES = {"$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated", "strict"}
_HELD = {"$defs", "definitions"}
_CHECKED = {
    "$ref", "allOf", "anyOf", "const", "enum", "type",
    "additionalProperties", "properties", "required",
    "items", "maxItems", "minItems",
    "maxLength", "minLength",
}  # fmt: skip
"""The keywords that are followed; `pattern` and `format`, say, are not."""
_MOST_STEPS, _DEEPEST = 20_000, 40
"""What a schema may take to check: references can make a short one as long as they like."""


@dataclass(frozen=True)
class Notation:
    """How an answer's text becomes what a chat says: `before` it and `after` it; `quoted` makes a JSON string of it."""

    before: str = ""
    after: str = ""
    quoted: bool = False

    def write(self, text: str) -> str:
        """Write an answer."""
        return f"{self.before}{json.dumps(text, ensure_ascii=False) if self.quoted else text}{self.after}"


AS_IT_IS = Notation()
"""A text as it stands."""


@dataclass(frozen=True)
class Saying:
    """How one chat is told an answer: written as it wants, up to where it wants it to end, so many times."""

    writing: Notation = AS_IT_IS
    stop: tuple[str, ...] = ()
    n: int = 1

    @property
    def changes_nothing(self) -> bool:
        """Say whether what a model wrote goes out as it is."""
        return self.writing == AS_IT_IS and self.n == 1

    def say(self, text: str) -> str:
        """Say an answer."""
        written = self.writing.write(text)
        ends = [written.find(each) for each in self.stop if each in written]
        return written[: min(ends, default=len(written))]


PLAINLY = Saying()
"""The answer as it stands, once."""


class _NotAllowedError(ValueError):
    """A schema does not allow all answers; the message says why, as the end of a sentence."""


@dataclass(frozen=True)
class AnswerFormat:
    """What the answers of a task can be: `allowed` is a schema of them as JSON, `key` the field that holds one.

    `labels` are the answers as texts, where they are a closed set; with `is_json` the text of an answer is JSON itself.
    """

    key: str
    allowed: Schema
    labels: tuple[str, ...] = ()
    is_json: bool = False

    @classmethod
    def of(cls, bundle: Bundle) -> "AnswerFormat":
        """Tell what a bundle answers."""
        kind = bundle.task.kind
        if kind.one_label:
            return cls(kind.shape.value, {"enum": list(bundle.task.labels)}, bundle.task.labels)
        schema = bundle.output.schema or plain_form(bundle.task).schema
        return cls(kind.shape.value, dict(schema or {"type": "string"}), is_json=schema is not None)

    @property
    def object_schema(self) -> Schema:
        """Give the JSON schema of what `json_object` gets."""
        return self._under(self.key)

    def saying(self, request: ChatRequest, wanted: Any) -> Saying:
        """Say how a chat is told its answer; `wanted` is its `response_format`.

        Raises `RequestError` for a form that not all answers can have, and where a label, or JSON, would be cut short.
        """
        found = Saying(self.writing(wanted), request.stop, request.n)
        if found.writing == AS_IT_IS and not self.labels:
            return found
        if request.abstain and found.writing != AS_IT_IS:
            raise RequestError(
                f"'abstain' puts a text in place of an answer, which is not the JSON of '{PARAM}'; leave one of them "
                "out (/v1/predict says with every answer whether it is sure enough).",
                param="abstain",
            )
        cut = next((label for label in self.labels if found.say(label) != found.writing.write(label)), None)
        if cut is not None or (request.stop and not self.labels):
            what = "JSON" if cut is None else f"the answer '{cut}'"
            raise RequestError(f"'stop' would cut {what} short; leave it out.", param="stop")
        return found

    def writing(self, wanted: Any) -> Notation:
        """Say how to write answers as the `response_format` of a request wants them; raises `RequestError`."""
        if wanted is None:
            return AS_IT_IS
        asked = wanted.get("type") if isinstance(wanted, dict) else None
        if asked == _PLAIN:
            return AS_IT_IS
        if asked == _OBJECT:
            return self._in_object(self.key)
        if asked != _SCHEMA:
            raise RequestError(
                f"'{PARAM}' must be an object whose 'type' is {_PLAIN}, {_OBJECT} or {_SCHEMA}.", param=PARAM
            )
        named = wanted.get(_SCHEMA)
        schema = named.get("schema") if isinstance(named, dict) else None
        if not isinstance(schema, dict):
            raise RequestError(f"'{PARAM}.{_SCHEMA}.schema' must be a JSON schema, an object.", param=PARAM)
        return self._fitting(schema)

    def _fitting(self, schema: Schema) -> Notation:
        """Find the form that a schema allows; raises `RequestError` where it allows none."""
        keys = self._keys(schema)
        reasons = []
        for key in keys:
            try:
                _Check(schema).all_of(schema, self._under(key) if key is not None else self.allowed)
            except _NotAllowedError as error:
                reasons.append(str(error))
                continue
            return self._in_object(key) if key is not None else Notation(quoted=not self.is_json)
        reason = reasons[-1 if keys[-1] is None else 0]
        raise RequestError(
            f"Not all answers of the task fit the schema: {reason}; a schema that they fit is "
            f"{json.dumps(self.object_schema, ensure_ascii=False)}.",
            param=PARAM,
            code="schema_cannot_be_met",
        )

    def _keys(self, schema: Schema) -> list[str | None]:
        """Name the fields under which an answer might stand, None for no field.

        They are the schema's own; where it names none, that of `json_object`, and none unless it wants an object.
        """
        try:
            root = _Check(schema).resolved(schema)
        except _NotAllowedError:
            root = {}
        named = root.get("properties")
        if isinstance(named, dict) and named:
            return sorted(named, key=lambda name: name != self.key)
        return [self.key] if root.get("type") == "object" else [self.key, None]

    def _under(self, key: str) -> Schema:
        return {"type": "object", "properties": {key: self.allowed}, "required": [key], "additionalProperties": False}

    def _in_object(self, key: str) -> Notation:
        return Notation(f"{{{json.dumps(key, ensure_ascii=False)}: ", "}", quoted=not self.is_json)


class _Check:
    """Whether one schema of a client allows all that a schema of ours does; ours is of the forms in `llmtl.kinds`."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._steps = 0

    def all_of(self, schema: Any, ours: Schema, depth: int = 0) -> None:
        """Raise `_NotAllowedError` unless `schema` allows everything that `ours` does."""
        self._steps += 1
        if self._steps > _MOST_STEPS or depth > _DEEPEST:
            raise _NotAllowedError("it is too large to be checked")
        if schema is True:
            return
        if not isinstance(schema, dict):
            raise _NotAllowedError("it allows nothing" if schema is False else "it has a part that is not a schema")
        unknown = sorted(str(name) for name in schema if name not in _NOTES | _HELD | _CHECKED)
        if unknown:
            raise _NotAllowedError(f"the keyword '{unknown[0]}' is not among those that are followed")
        if "$ref" in schema:
            self.all_of(self._referred(schema["$ref"]), ours, depth + 1)
        for part in _list(schema.get("allOf", [])):
            self.all_of(part, ours, depth + 1)
        if "enum" in ours:
            self._closed(schema, ours["enum"], depth)
        else:
            self._open(schema, ours, depth)

    def resolved(self, schema: Schema) -> Schema:
        """Follow the references at the top of a schema."""
        for _ in range(_DEEPEST):
            if not isinstance(schema, dict) or "$ref" not in schema:
                break
            schema = self._referred(schema["$ref"])
        return schema if isinstance(schema, dict) else {}

    def _closed(self, schema: Schema, values: Sequence[str], depth: int) -> None:
        """Check a closed set of texts, each by itself where the schema has alternatives."""
        _typed(schema, "string")
        for allowed in ([schema["const"]] if "const" in schema else None, schema.get("enum")):
            if allowed is None:
                continue
            known = {value for value in _list(allowed) if isinstance(value, str)}
            missing = [value for value in values if value not in known]
            if missing:
                raise _NotAllowedError(f"it does not allow '{missing[0]}'")
        shortest, longest = schema.get("minLength", 0), schema.get("maxLength")
        outside = [value for value in values if not _number(shortest) <= len(value) <= _number(longest, len(value))]
        if outside:
            raise _NotAllowedError(f"'{outside[0]}' is not as long as it wants")
        if "anyOf" in schema:
            for value in values:
                self._any(_list(schema["anyOf"]), {"enum": [value]}, depth)

    def _open(self, schema: Schema, ours: Schema, depth: int) -> None:
        """Check what is not a closed set: texts, lists, objects."""
        form = ours["type"]
        _typed(schema, form)
        if "enum" in schema or "const" in schema:
            raise _NotAllowedError(f"it allows only some of the answers, and the task may give any {_CALLED[form]}")
        if "anyOf" in schema:
            self._any(_list(schema["anyOf"]), ours, depth)
        if form == "string":
            _text(schema)
        elif form == "array":
            self._array(schema, ours, depth)
        else:
            self._object(schema, ours, depth)

    def _any(self, alternatives: Sequence[Any], ours: Schema, depth: int) -> None:
        """Check that one of some alternatives allows all of ours."""
        why = "it has no alternative"
        for alternative in alternatives:
            try:
                self.all_of(alternative, ours, depth + 1)
            except _NotAllowedError as error:
                why = str(error)
            else:
                return
        raise _NotAllowedError(why)

    def _array(self, schema: Schema, ours: Schema, depth: int) -> None:
        """Check lists, which may be empty."""
        if _number(schema.get("minItems")) > 0:
            raise _NotAllowedError("a list of answers may be empty")
        if "maxItems" in schema and _number(schema["maxItems"]) < ours.get("maxItems", float("inf")):
            raise _NotAllowedError("a list of answers may be longer than it allows")
        if "items" in schema:
            self.all_of(schema["items"], ours["items"], depth + 1)

    def _object(self, schema: Schema, ours: Schema, depth: int) -> None:
        """Check objects, of which ours have exactly the fields that they name."""
        fields = schema.get("properties", {})
        further = schema.get("additionalProperties", True)
        if not isinstance(fields, dict):
            raise _NotAllowedError("'properties' is not an object")
        for name, value in ours["properties"].items():
            if name not in fields and further is False:
                raise _NotAllowedError(f"it has no field '{name}'")
            self.all_of(fields.get(name, further), value, depth + 1)
        missing = [name for name in _list(schema.get("required", [])) if name not in ours["properties"]]
        if missing:
            raise _NotAllowedError(f"it requires '{missing[0]}', which the task does not tell")

    def _referred(self, reference: Any) -> Any:
        """Find what a reference within the schema means."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise _NotAllowedError("it refers to another schema")
        found: Any = self._root
        for part in filter(None, reference[1:].split("/")):
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                raise _NotAllowedError(f"'{reference}' refers to nothing")
            found = found[name]
        return found


_CALLED = {"string": "text", "array": "list of them", "object": "object"}


def _typed(schema: Schema, form: str) -> None:
    """Refuse a schema of another type."""
    types = schema.get("type", form)
    if form not in ([types] if isinstance(types, str) else _list(types)):
        raise _NotAllowedError(f"it wants another type than '{form}'")


def _text(schema: Schema) -> None:
    """Refuse bounds on texts of which nobody knows how long they are."""
    if _number(schema.get("minLength")) > 0 or "maxLength" in schema:
        raise _NotAllowedError("nobody knows before how long a text will be")


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _NotAllowedError("it has a part that should be a list and is none")
    return value


def _number(value: Any, default: float = 0) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _NotAllowedError("it has a part that should be a number and is none")
    return value
