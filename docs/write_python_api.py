"""Write docs/reference/python-api.md from the public names of llmtl: signatures as written, and docstrings.

Run `python docs/write_python_api.py` after a name, a parameter or a docstring changed; a test holds that it is current.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import llmtl
from llmtl.pipeline.start import RunOptions
from llmtl.strategies.one_strategy import FittedStrategy, OneStrategy

PAGE = Path(__file__).parent / "reference" / "python-api.md"
INTRODUCTION = """# The Python API

`python docs/write_python_api.py` writes this page. How it is used: [llmtl in Python](../how-to/python.md).
What is not on this page is not public and may change with any version.
"""
SECTIONS = {
    "Functions": ("run", "load_run", "decide", "export", "search", "playground", "load_recipe"),
    "Classes": ("Run", "Classifier", "Recipe", "Task", "Example", "Split", "Prediction", "Evaluation", "Decision"),
    "Enumerations and errors": ("Verdict", "Role", "LlmtlError", "InputError"),
    "Strategies by themselves": ("strategies",),
}
BESIDE = {"run": (RunOptions,), "strategies": (OneStrategy, FittedStrategy)}
"""What is taken or given by a public name without being one."""


def page() -> str:
    """Return the page: every public name once; raises `ValueError` for one that no section names."""
    named = [name for names in SECTIONS.values() for name in names]
    if sorted(named) != sorted(llmtl.__all__):
        raise ValueError(f"Sort these names into SECTIONS: {sorted(set(named) ^ set(llmtl.__all__))}.")
    parts = [INTRODUCTION]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}\n")
        for name in names:
            # not getattr: whoever imported llmtl.playground before would get the package
            parts.extend(_entry(f"llmtl.{name}", llmtl.__getattr__(name)))
            parts.extend(line for each in BESIDE.get(name, ()) for line in _entry(each.__name__, each))
    return "\n".join(parts)


def _entry(name: str, thing: Any) -> Iterator[str]:
    """Give the heading, the signature and the docstring of a name, and the methods of a class."""
    if isinstance(thing, ModuleType):
        yield f"### {name}.get\n"
        yield from _function(f"{name}.get", _tree(thing.get))
        return
    yield f"### {name}\n"
    tree = _tree(thing)
    if isinstance(tree, ast.ClassDef):
        yield from _class(name, tree)
    else:
        yield from _function(name, tree)


def _class(name: str, tree: ast.ClassDef) -> Iterator[str]:
    fields = [ast.unparse(each) for each in tree.body if isinstance(each, ast.AnnAssign) and _public(each)]
    values = [ast.unparse(each) for each in tree.body if isinstance(each, ast.Assign) and _public(each)]
    initialisers = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
    if initialisers:
        yield _code(_call(name, initialisers[0]))
    elif fields or values:
        bases = ", ".join(ast.unparse(each) for each in tree.bases)
        yield _code("\n".join([f"class {name}({bases}):" if bases else f"class {name}:", *_indented(fields or values)]))
    yield _said(tree)
    for each in tree.body:
        if isinstance(each, ast.FunctionDef) and not each.name.startswith("_") and ast.get_docstring(each):
            decorators = {ast.unparse(one) for one in each.decorator_list}
            short = name.rpartition(".")[2]
            if decorators & {"property", "cached_property"}:
                returned = f": {ast.unparse(each.returns)}" if each.returns else ""
                yield f"**`{short}.{each.name}{returned}`**\n\n{_said(each)}"
            else:
                yield f"{_code(_call(f'{short}.{each.name}', each))}\n{_said(each)}"


def _public(assigned: ast.AnnAssign | ast.Assign) -> bool:
    target = assigned.target if isinstance(assigned, ast.AnnAssign) else assigned.targets[0]
    return not ast.unparse(target).startswith("_") and ast.unparse(target) != "model_config"


def _function(name: str, tree: ast.FunctionDef) -> Iterator[str]:
    yield _code(_call(name, tree))
    yield _said(tree)


def _call(name: str, tree: ast.FunctionDef) -> str:
    """Write a signature as in the source, one parameter per line where it is long."""
    arguments = tree.args
    if arguments.args and arguments.args[0].arg in ("self", "cls"):
        arguments.args.pop(0)
    returned = f" -> {ast.unparse(tree.returns)}" if tree.returns and tree.name != "__init__" else ""
    returned = returned.replace("'", "")  # around types that are imported for type checkers alone
    line = f"{name}({ast.unparse(arguments)}){returned}"
    if len(line) <= 100:
        return line
    parameters = ast.parse(f"def f({ast.unparse(arguments)}): pass").body[0]
    return f"{name}(\n" + "\n".join(_indented([f"{each}," for each in _parameters(parameters)])) + f"\n){returned}"


def _parameters(tree: Any) -> Iterator[str]:
    """Give the parameters one by one: positional ones, the star, those by keyword, and what is taken beside them."""
    plain, defaults = tree.args.args, tree.args.defaults
    for each, default in zip(plain, [None] * (len(plain) - len(defaults)) + defaults, strict=True):
        yield _parameter(each, default)
    if tree.args.kwonlyargs:
        yield "*"
    for each, default in zip(tree.args.kwonlyargs, tree.args.kw_defaults, strict=True):
        yield _parameter(each, default)
    if tree.args.kwarg:
        yield f"**{ast.unparse(tree.args.kwarg)}"


def _parameter(each: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(each) + (f" = {ast.unparse(default)}" if default is not None else "")


def _indented(lines: list[str]) -> list[str]:
    return [textwrap.indent(line, "    ") for line in lines]


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"


def _said(tree: ast.ClassDef | ast.FunctionDef) -> str:
    """Write a docstring as Markdown: lines that explain one name each become a list."""
    lines = (ast.get_docstring(tree) or "").splitlines()
    return (
        "\n".join(f"- `{line[: line.index(':')]}`{line[line.index(':') :]}" if _names(line) else line for line in lines)
        + "\n"
    )


def _names(line: str) -> bool:
    head, colon, rest = line.partition(": ")
    return bool(colon and rest) and all(each.isidentifier() for each in head.split(", "))


def _tree(thing: Any) -> Any:
    return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit()
