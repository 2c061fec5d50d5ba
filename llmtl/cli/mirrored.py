"""Make options from the fields of a configuration: name, description, bounds, default and choices.

A section is a pydantic model, or a dataclass whose fields are annotated as pydantic's are. An option keeps its
value as it is written and the section reads it, so that values are checked in one place and all problems are listed.
Not covered: nested sections.
"""

import argparse
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Section = TypeVar("Section")

_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def add_mirrored(
    parser: "argparse._ActionsContainer",
    section: type[Any],
    name: str,
    *,
    flag: str | None = None,
    metavar: str | None = None,
) -> None:
    """Add the option that mirrors one field: `--max-inputs` for `max_inputs`, unless `flag` says otherwise."""
    field = fields_of(section)[name]
    flag = flag or f"--{name.replace('_', '-')}"
    kinds = (field.annotation, *get_args(field.annotation))
    if bool in kinds:
        parser.add_argument(flag, action="store_true", default=None, help=_help(field))
        return
    enums = (tuple(str(item.value) for item in kind) for kind in kinds if _is_enum(kind))
    named = (tuple(item.choices()) for item in field.metadata if hasattr(item, "choices"))
    choices = next(chain(enums, named), None)
    number = "N" if {int, float} & set(kinds) else flag.rpartition("-")[2].upper()
    shown = None if choices else metavar or number
    parser.add_argument(flag, choices=choices, metavar=shown, help=_help(field))


def read_mirrored(options: argparse.Namespace, section: type[Section], names: Sequence[str]) -> Section:
    """Build the section from the fields that were given, the others at their defaults.

    Raises `RecipeError` listing every value that the section refuses.
    """
    from llmtl.recipe import validate

    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return validate(section, given, source="The command line")


def fields_of(section: type[Any]) -> dict[str, "FieldInfo"]:
    """Look up pydantic's view of the fields of a model or a dataclass, by name."""
    from pydantic.fields import FieldInfo

    if is_dataclass(section):
        hints = get_type_hints(section, include_extras=True)
        return {
            item.name: FieldInfo.from_annotated_attribute(hints[item.name], item.default) for item in fields(section)
        }
    found: dict[str, FieldInfo] = section.model_fields
    return found


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _help(field: "FieldInfo") -> str:
    """Write the description with bounds and default, as argparse wants it."""
    text = (field.description or "").rstrip(".")
    known = _bounds(field)
    default = field.default
    if not field.is_required() and default is not None and not isinstance(default, bool):
        known.append(f"default: {default.value if isinstance(default, Enum) else default}")
    details = f" ({', '.join(known)})" if known else ""
    return f"{text[:1].lower()}{text[1:]}{details}".replace("%", "%%")


def _bounds(field: "FieldInfo") -> list[str]:
    """Put the bounds of a number in words."""
    found = {key: getattr(bound, key) for bound in field.metadata for key in _BOUNDS if hasattr(bound, key)}
    if "ge" in found and "le" in found:
        return [f"{_bound(found['ge'])} to {_bound(found['le'])}"]
    return [f"{_BOUNDS[key]} {_bound(bound)}" for key, bound in found.items()]


def _bound(value: object) -> str:
    """Write whole numbers of the other type without `.0`, and large ones so that they can be read."""
    if not isinstance(value, float) or not value.is_integer():
        return str(value)
    return f"{value:,.0f}"
