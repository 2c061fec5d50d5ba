"""All kinds of task, and how one is found by its name: in recipes, on the command line and in kept files."""

from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from llmtl.errors import InputError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.kind import Kind
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.kinds.text_retrieval import RETRIEVAL

KINDS: tuple[Kind, ...] = (CLASSIFICATION, MULTI_LABEL, EXTRACTION, GENERATION, RETRIEVAL)


def kind_named(name: str) -> Kind:
    """Find a kind by its name; raises `InputError` that lists the names there are."""
    for kind in KINDS:
        if kind.name == name:
            return kind
    raise InputError(f"There is no kind of task '{name}'; use one of {', '.join(kind_names())}.")


def kind_names() -> list[str]:
    """List the names of all kinds."""
    return [kind.name for kind in KINDS]


class _ByName:
    """How pydantic and the command line read and write a kind: as its name."""

    @staticmethod
    def choices() -> list[str]:
        """List the names there are now."""
        return kind_names()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        return core_schema.no_info_plain_validator_function(
            _read, serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=_TEXT)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        del schema, handler
        return {"type": "string", "enum": kind_names()}


_TEXT = core_schema.str_schema()

KindByName = Annotated[Kind, _ByName]
"""A kind that recipes and kept files hold as its name."""


def _read(value: object) -> Kind:
    if isinstance(value, Kind):
        return value
    try:
        return kind_named(str(value))
    except InputError as error:
        raise ValueError(str(error)) from None
