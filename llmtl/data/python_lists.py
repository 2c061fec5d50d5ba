"""Lists as Python writes them, `['refund', 'card']`: what pandas leaves in the CSV of a frame with lists in its cells.

Not covered: what other libraries write for theirs; of numpy's `['a' 'b']` Python itself would make one label.
"""

import ast
import io
import tokenize
from typing import Any

LONGEST = 1_000_000
"""Characters that are read: Python's parser needs some hundred times as much memory."""


def parse_python(text: str) -> Any:
    """Read lists, tuples, sets and dicts of texts, numbers, truth values and None; raises `ValueError` for all else."""
    if len(text) > LONGEST:
        raise ValueError("it is too long")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        value = ast.literal_eval(tree)
        tokens = [token.type for token in tokenize.generate_tokens(io.StringIO(text.strip()).readline)]
    except (SyntaxError, TypeError, MemoryError, RecursionError, tokenize.TokenError) as error:
        raise ValueError(f"it is not a list as Python writes it ({error!s:.60})") from None
    texts = sum(isinstance(node, ast.Constant) and isinstance(node.value, str) for node in ast.walk(tree))
    if tokens.count(tokenize.STRING) != texts:
        raise ValueError("two texts stand side by side without a comma")
    return _listed(value)


def _listed(value: Any) -> Any:
    """Give tuples and sets as lists, as JSON would have them."""
    if isinstance(value, dict):
        return {str(key): _listed(item) for key, item in value.items()}
    if isinstance(value, set):
        return sorted(value, key=str)
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value
