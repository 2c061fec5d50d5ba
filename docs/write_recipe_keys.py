"""Write docs/reference/recipe.md from the JSON Schema of a recipe.

Run `python docs/write_recipe_keys.py` after a key came or went; a test holds that it is current.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llmtl.recipe import json_schema
from llmtl.settings import Recipe

PAGE = Path(__file__).parent / "reference" / "recipe.md"
INTRODUCTION = """# The recipe

`python docs/write_recipe_keys.py` writes this page from the recipe's JSON Schema, which `llmtl schema recipe` prints.

A recipe is a `recipe.yaml`. Only `name`, `data` and `model` have to be there; keys that are not on this page are
refused in one line. Any key can be set on the command line by its dotted name, `llmtl run recipes/quickstart
decision.margin=0.01`, and in Python by `llmtl.run(..., overrides=["decision.margin=0.01"])`.

```yaml
name: tickets
data: {path: tickets.csv, text: message, label: queue}
model: smollm2
task: {target: 0.85}
prices: {requests_per_month: 500000}
```

A default of "none" means that the key is left out or null.
"""
BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
}
Schema = Mapping[str, Any]


def page() -> str:
    """Return the page with a table per section."""
    schema = json_schema(Recipe)
    return "\n".join([INTRODUCTION, *_sections(schema, schema["$defs"], path="")])


def _sections(schema: Schema, definitions: Mapping[str, Schema], *, path: str) -> Iterator[str]:
    """Give the keys of a section as a table, then the sections below it."""
    required = schema.get("required", ())
    plain: list[str] = []
    below: list[tuple[str, Schema, str]] = []
    for name, value in schema["properties"].items():
        section = _section(value, definitions)
        key = f"{path}{name}"
        if section is None:
            default = "required" if name in required else _default(value.get("default"))
            said = _cell(_flat(value.get("description", "")))
            plain.append(f"| `{key}` | {_cell(_type(value, definitions))} | {_cell(default)} | {said} |")
        else:
            below.append((key, section, _flat(value.get("description") or section.get("description", ""))))
    if plain:
        yield "\n".join(["| key | value | default | what it is |", "|---|---|---|---|", *plain]) + "\n"
    for key, section, said in below:
        yield f"{'#' * (2 + key.count('.'))} {key}\n\n{said}\n"
        yield from _sections(section, definitions, path=f"{key}.")


def _section(value: Schema, definitions: Mapping[str, Schema]) -> Schema | None:
    """Find the section that a key holds; None for a key that holds a value."""
    found = definitions[value["$ref"].rpartition("/")[2]] if "$ref" in value else value
    if "properties" in found:
        return found
    for each in found.get("anyOf", ()):
        section = _section(each, definitions)
        if section is not None:
            return section
    return None


def _type(value: Schema, definitions: Mapping[str, Schema]) -> str:
    """Say in words what a key takes."""
    if "$ref" in value:
        return _type(definitions[value["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in value or "oneOf" in value:
        kinds = [_type(each, definitions) for each in value.get("anyOf", value.get("oneOf", ()))]
        return " or ".join(dict.fromkeys(each for each in kinds if each != "null"))
    if "enum" in value or "const" in value:
        return ", ".join(f"`{each}`" for each in value.get("enum", [value.get("const")]))
    if value.get("type") == "array":
        return f"list of {_type(value['items'], definitions)}" if "items" in value else "list"
    if value.get("type") == "object":
        inner = value.get("additionalProperties")
        return f"mapping to {_type(inner, definitions)}" if isinstance(inner, dict) else "mapping"
    names = {"string": "text", "integer": "whole number", "boolean": "true, false"}
    kind = str(value.get("type", "any"))
    bounds = [words.format(f"{value[key]:g}") for key, words in BOUNDS.items() if key in value]
    return ", ".join([names.get(kind, kind), *bounds])


def _default(value: Any) -> str:
    return "none" if value in (None, [], {}) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _flat(text: str) -> str:
    """Return the first paragraph on one line."""
    return re.sub(r"\s+", " ", text.split("\n\n", 1)[0]).strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit()
