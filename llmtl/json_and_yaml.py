"""JSON and YAML from anywhere: the value, or one error of the parser's own kind that says what is wrong.

Parsers raise more than that: for numbers of 4,301 digits, deep nesting, dates that are none, half a surrogate pair; and
a few hundred bytes of YAML aliases fill any memory. Refused here: values nested deeper than `DEEPEST`, and in YAML
aliases, repeated keys and more than `MOST_NODES` values. Not covered: what a document should hold (its readers).
"""

import json
import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import yaml

DEEPEST = 100
"""How deep values may be nested: far more than any file of llmtl is, far less than what Python can walk."""
MOST_NODES = 50_000
"""How many values a YAML document may hold: 700 times those of a whole recipe. PyYAML reads some 20,000 per second."""
_TAGS = ("null", "bool", "int", "float", "binary", "timestamp", "omap", "pairs", "set", "str", "seq", "map")


def parse_json(
    content: str | bytes, *, whole: Callable[[str], Any] = int, half_pairs: bool = False, finite: bool = False
) -> Any:
    """Parse a JSON document; raises `json.JSONDecodeError` and nothing else.

    `whole` reads a whole number from its digits. A text with half a surrogate pair, which can be written nowhere, is an
    error unless `half_pairs` says that the caller looks for it (`half_pair_in`). With `finite` so are `NaN`, `Infinity`
    and numbers that are too large to be told from it: Python reads them, and RFC 8259 has none.
    """
    text = content if isinstance(content, str) else _decoded(content)
    try:
        if finite:
            value = json.loads(text, parse_int=whole, parse_float=_finite, parse_constant=_finite)
        else:
            value = json.loads(text, parse_int=whole)
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise _unreadable("it is nested too deeply") from None
    except ValueError:  # sys.set_int_max_str_digits: 4,300
        raise _unreadable("it holds a number of more digits than can be read") from None
    if text.count("[") + text.count("{") > DEEPEST and _deeper(value):
        raise _unreadable("it is nested too deeply")
    # escaped, or in a text that was not decoded here
    may_be_half = "\\ud" in text or "\\uD" in text or not (text.isascii() or isinstance(content, bytes))
    if may_be_half and not half_pairs and not _encodable(value):
        raise _unreadable("it holds half of a surrogate pair")
    return value


def half_pair_in(value: Any) -> str | None:
    """Say where a parsed document holds half of a surrogate pair, as in `messages[0].content`; None where nowhere."""
    waiting = [("", value)]
    while waiting:
        where, each = waiting.pop()
        if isinstance(each, str):
            if not _encodable(each):
                return where
        elif isinstance(each, dict):
            if not _encodable(list(each)):
                return where
            waiting += [(f"{where}.{key}" if where else key, inner) for key, inner in each.items()]
        elif isinstance(each, list):
            waiting += [(f"{where}[{at}]", inner) for at, inner in enumerate(each)]
    return None


def parse_yaml(content: str | bytes) -> Any:
    """Parse a YAML document; raises `yaml.YAMLError` and nothing else."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        value = yaml.load(text, Loader=_BoundedLoader)
    except yaml.YAMLError:
        raise
    except UnicodeDecodeError as error:
        raise yaml.MarkedYAMLError(problem=f"it is not UTF-8 (byte {error.start})") from None
    except (ValueError, OverflowError, RecursionError, AttributeError, TypeError, LookupError) as error:
        # numbers without end, dates that are none, values that do not fit their tag
        raise yaml.MarkedYAMLError(problem=f"a value cannot be read ({error!s:.80})") from None
    if not _encodable(value):
        raise yaml.MarkedYAMLError(problem="it holds half of a surrogate pair")
    return value


def yaml_problem(error: yaml.YAMLError) -> str:
    """Say in a few words, with the line where that is known, why YAML cannot be read."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    return f"line {mark.line + 1}, {problem}" if mark else str(problem)


class _BoundedLoader(yaml.SafeLoader):
    """A safe loader that refuses aliases, depth, masses, and a key that appears twice (YAML 1.2, section 3.2.1.1)."""

    # yaml.SafeLoader's own table is changed for everybody by whoever imports lm-format-enforcer, which vLLM needs
    yaml_constructors: ClassVar[dict[Any, Any]] = {
        None: yaml.SafeLoader.construct_undefined,
        **{f"tag:yaml.org,2002:{tag}": getattr(yaml.SafeLoader, f"construct_yaml_{tag}") for tag in _TAGS},
    }
    depth = nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node; raise `yaml.MarkedYAMLError` for an alias and for a node that is nested too deeply."""
        at: Any = self.get_mark()
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=at)
        if self.depth >= DEEPEST:
            raise yaml.MarkedYAMLError(problem="it is nested too deeply", problem_mark=at)
        if self.nodes >= MOST_NODES:
            raise yaml.MarkedYAMLError(problem=f"it holds more than {MOST_NODES:,} values", problem_mark=at)
        self.depth += 1
        self.nodes += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build the mapping; raise `yaml.MarkedYAMLError` for a repeated key."""
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key '{key}' appears twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _unreadable(problem: str) -> json.JSONDecodeError:
    return json.JSONDecodeError(problem, "", 0)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _unreadable(f"it holds {text:.20}, which is not a JSON number")
    return number


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(f"it is not UTF-8 (byte {error.start})") from None


def _deeper(value: Any) -> bool:
    """Say whether a value is nested deeper than allowed, without recursion."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for each in level for inner in _items(each) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _encodable(value: Any) -> bool:
    """Say whether every text in a value, keys included, can be written."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            try:
                each.encode()
            except UnicodeEncodeError:
                return False
        elif isinstance(each, dict):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, list | tuple | set):
            waiting += each
    return True
