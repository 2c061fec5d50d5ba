"""Read strict configuration: YAML, dotted overrides, validation that lists every problem at once, JSON Schema.

Knows no section of a recipe: each stands beside the code that it configures, and `llmtl.settings` puts them together.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import BaseModel, GetJsonSchemaHandler, TypeAdapter, ValidationError, model_validator
from pydantic_core import CoreSchema, ErrorDetails

from llmtl.errors import MissingFileError, RecipeError
from llmtl.foreign_files import read_whole
from llmtl.json_and_yaml import parse_yaml, yaml_problem
from llmtl.redaction import redacted

Section = TypeVar("Section")
LARGEST = 1e12
"""The largest number of a recipe."""
_LARGEST_FILE = 64 * 2**20
_SHORT = (str, list, tuple)
_NOT_A_SECTION = ("dataclass_type", "dict_type", "model_type")


class ShortSection(BaseModel):
    """A section that may be the value of one of its keys: `encoder: minilm` stands for `encoder: {name: minilm}`."""

    short_for: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _write_out(cls, given: Any) -> Any:
        return {cls.short_for: given} if isinstance(given, _SHORT) else given

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Allow both forms in the JSON Schema."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        whole = dict(schema)
        schema.clear()
        value = whole["properties"][cls.short_for]
        short = {key: value[key] for key in ("type", "items", "anyOf") if key in value}
        schema.update({key: whole.pop(key) for key in ("title", "description") if key in whole}, anyOf=[whole, short])
        return schema


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML file.

    Raises `MissingFileError` if there is no such file and `RecipeError` if it is not a readable YAML mapping.
    """
    if not path.is_file():
        raise MissingFileError(f"There is no recipe at '{path}'; give a recipe.yaml or the folder that holds one.")
    try:
        document = parse_yaml(read_whole(path, most=_LARGEST_FILE))
    except OSError as error:
        raise RecipeError(f"'{path}' cannot be read ({error.strerror}); check the path.") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"'{path}' is not valid YAML: {yaml_problem(error)}; fix that line.") from error
    if not isinstance(document, dict):
        raise RecipeError(f"'{path}' must hold a mapping of sections such as 'data:' and 'model:'.")
    return document


def written_out(schema: type[BaseModel], document: Mapping[str, Any]) -> dict[str, Any]:
    """Write the sections out of which `document` gives only the value of the chief key, so that others can be set."""
    result = dict(document)
    for name, field in schema.model_fields.items():
        for section in (field.annotation, *get_args(field.annotation)):
            short = isinstance(section, type) and issubclass(section, ShortSection)
            if short and isinstance(result.get(name), _SHORT):
                result[name] = {section.short_for: result[name]}
    return result


def apply_overrides(document: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Copy `document` and set each `key.sub=value`; values are read as YAML (`3`, `true`, `[a, b]`).

    Raises `RecipeError` listing every override that does not have this form.
    """
    if isinstance(overrides, str):
        raise RecipeError(f"Overrides are a list of key.sub=value; write ['{overrides}'].")
    result: dict[str, Any] = _copy(document)
    problems = []
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not all(key.split(".")):
            problems.append(f"'{override}' is not an override; write it as key.sub=value")
            continue
        try:
            _set(result, key.split("."), parse_yaml(text))
        except yaml.YAMLError as error:
            problems.append(f"the value of '{key}' is not valid YAML: {yaml_problem(error)}")
    if problems:
        raise RecipeError("; ".join(problems) + ".")
    return result


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _set(document: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        if not isinstance(document.get(key), dict):
            document[key] = {}
        document = document[key]
    document[keys[-1]] = value


def validate(schema: type[Section], document: Mapping[str, Any], *, source: str) -> Section:
    """Turn `document` into a `schema` value: a pydantic model, or a dataclass.

    Raises `RecipeError` that lists all problems at once, each unknown key with the nearest valid one.
    """
    beyond = next(_beyond(document), None)
    if beyond is not None:
        raise RecipeError(
            f"{source} has 1 problem: '{beyond}': a number should be finite and at most {LARGEST:,.0f} in size."
        )
    try:
        return TypeAdapter(schema).validate_python(dict(document))
    except ValidationError as error:
        lines = list(dict.fromkeys(_describe(schema, detail) for detail in error.errors(include_url=False)))
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        raise RecipeError(f"{source} has {count}: " + "; ".join(lines) + ".") from None


def _beyond(value: Any, where: str = "") -> Iterator[str]:
    """Find the numbers that nothing in a recipe can mean: what they are multiplied with would be infinite, or none."""
    if isinstance(value, int | float) and not abs(value) <= LARGEST:
        yield where
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _beyond(item, f"{where}.{key}" if where else str(key))


_PLAIN = {
    "tuple_type": "it should be a list",
    "list_type": "it should be a list",
    "dict_type": "it should be a mapping",
    "model_type": "it should be a mapping of keys to values",
    "string_type": "it should be a text; put it in quotes",
    "int_type": "it should be a whole number",
    "int_parsing": "it should be a whole number",
    "int_from_float": "it should be a whole number",
    "float_type": "it should be a number",
    "float_parsing": "it should be a number",
    "bool_type": "it should be true or false",
    "bool_parsing": "it should be true or false",
}
"""What pydantic says in Python's words, by its type of error, in those of a recipe."""


def _describe(schema: type[Any], detail: ErrorDetails) -> str:
    location = [str(part) for part in detail["loc"] if not (isinstance(part, str) and "[" in part)]  # a union's
    where = ".".join(location)
    if detail["type"] == "extra_forbidden":
        valid = _keys_at(schema, location[:-1])
        near = difflib.get_close_matches(location[-1], valid, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"valid here: {', '.join(sorted(valid))}"
        return f"unknown key '{where}' ({hint})"
    if detail["type"] == "missing":
        return f"'{where}' is missing"
    if detail["type"] in _NOT_A_SECTION and (keys := _keys_at(schema, location)):
        return f"'{where}' is a section; write keys and values below it (valid here: {', '.join(sorted(keys))})"
    message = _PLAIN.get(detail["type"]) or detail["msg"].removeprefix("Value error, ").rstrip(".")
    message = message[0].lower() + message[1:]
    got = detail.get("input")
    shown = f", got {redacted(repr(got))}" if isinstance(got, str | int | float | bool) and location else ""
    return f"'{where}': {message}{shown}" if where else message


def _keys_at(schema: type[Any], location: Sequence[str]) -> list[str]:
    """List the valid keys of the section at `location`, following optional and union fields."""
    for name in location:
        field = schema.model_fields.get(name)
        if field is None:
            return []
        candidates = [field.annotation, *get_args(field.annotation)]
        sections = [item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)]
        if not sections:
            return []
        schema = sections[0]
    return list(schema.model_fields)


def json_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """Make the JSON Schema (draft 2020-12) of a section."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema.model_json_schema()}
