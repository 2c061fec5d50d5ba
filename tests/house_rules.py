"""Check the rules of size and of names that DESIGN states for the library; `make check` runs it.

Files of at most 400 lines, functions of at most 50, at most 8 parameters, no two
files that import each other in a circle (late imports and those for types count), no two files and no two classes of
one name that mean different things. Not covered: floors (import-linter), types (mypy), prose (a reader).
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARY = "llmtl"
MOST_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS = 400, 50, 8
SAME_MEANING = {"__init__.py", "__main__.py", "config.py", "table.py", "engine.py", "checkpoint.py"}
"""File names that mean the same thing in every folder: choices of a recipe, the list of a family, what runs models,
what a checkpoint is before it is loaded."""
COMMANDS = (LIBRARY, "cli")
"""Files there are named after the commands, and so like what the commands call."""
ESTIMATOR = "BaseEstimator"
"""scikit-learn reads the parameters of such a class from the signature of its `__init__`: no value can hold them."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A file of the library: its path from the root, its dotted name and its syntax tree."""

    path: Path
    name: str
    lines: int
    tree: ast.Module


def read_library(root: Path) -> dict[str, Module]:
    """Return the modules of the library by dotted name."""
    modules = {}
    for file in sorted((root / LIBRARY).rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        parts = file.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = Module(file.relative_to(root), name, text.count("\n"), ast.parse(text))
    return modules


def problems(root: Path) -> list[str]:
    """Return one line per broken rule, each with its cure."""
    modules = read_library(root)
    found = [line for module in modules.values() for line in _sizes(module)]
    return [*found, *_circles(modules), *_repeated_files(modules), *_repeated_classes(modules)]


def _sizes(module: Module) -> Iterator[str]:
    if module.lines > MOST_LINES:
        yield f"{module.path}: {module.lines} lines; split it (at most {MOST_LINES})."
    estimators = [each for each in ast.walk(module.tree) if isinstance(each, ast.ClassDef) and _is_estimator(each)]
    theirs = {each for estimator in estimators for each in estimator.body}
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            where = f"{module.path}:{node.lineno}: '{node.name}'"
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MOST_FUNCTION_LINES:
                yield f"{where} has {lines} lines; split it (at most {MOST_FUNCTION_LINES})."
            if node not in theirs or node.name != "__init__":
                yield from _parameters(node, where)


def _is_estimator(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == ESTIMATOR for base in node.bases)


def _parameters(node: Function, where: str) -> Iterator[str]:
    given = node.args
    positional = [each.arg for each in (*given.posonlyargs, *given.args) if each.arg not in ("self", "cls")]
    count = len(positional) + len(given.kwonlyargs)
    if count > MOST_PARAMETERS:
        yield f"{where} takes {count} parameters; put some into a value (at most {MOST_PARAMETERS})."


def imports_of(modules: Mapping[str, Module]) -> dict[str, set[str]]:
    """Return the modules of the library that each one names in an import, wherever the import stands."""
    found: dict[str, set[str]] = {name: set() for name in modules}
    for name, module in modules.items():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                inner = (f"{node.module}.{alias.name}" for alias in node.names)
                found[name] |= {each if each in modules else node.module for each in inner}
            elif isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names}
        found[name] = {each for each in found[name] if each in modules and each != name}
    return found


def _circles(modules: Mapping[str, Module]) -> Iterator[str]:
    arrows = imports_of(modules)
    for circle in circles(arrows):
        yield f"{' -> '.join(circle)}: these files import each other; move what both need to a third."


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of nodes that reach each other (Tarjan 1972, strongly connected components), sorted."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in sorted(arrows[node]):
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[-len(group) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(arrows):
        if node not in order:
            visit(node)
    return sorted(found)


def _repeated_files(modules: Mapping[str, Module]) -> Iterator[str]:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module in modules.values():
        if module.path.parts[:2] != COMMANDS:
            places[module.path.name].append(str(module.path))
    for name, paths in sorted(places.items()):
        if len(paths) > 1 and name not in SAME_MEANING:
            yield f"'{name}' is the name of {len(paths)} files ({', '.join(paths)}); say in each what it is."


def _repeated_classes(modules: Mapping[str, Module]) -> Iterator[str]:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module in modules.values():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(module.path))
    for name, paths in sorted(places.items()):
        if len(paths) > 1:
            yield f"'{name}' is the name of {len(paths)} classes ({', '.join(paths)}); name each by what it is."


def main(arguments: Sequence[str]) -> int:
    """Print what is broken in the tree at `arguments[0]` (by default this one); return the exit code."""
    found = problems(Path(arguments[0]) if arguments else ROOT)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
