"""The shared values."""

import pytest

from llmtl.errors import InputError, LlmtlError
from llmtl.task import Example, Task, references


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(("a",), "at least 2"), (("a", " "), "empty label"), (("a", "b", "a"), "twice")],
)
def test_unusable_labels_are_refused(labels: tuple[str, ...], expected: str):
    with pytest.raises(InputError, match=expected):
        Task("t", labels)


def test_references_keep_order():
    assert references([Example("1", "x", "b"), Example("2", "y", "a")]) == ["b", "a"]


def test_every_error_is_an_llmtl_error_and_a_standard_one():
    from llmtl import errors

    tree = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, LlmtlError)]
    assert len(tree) > 5
    for error in tree:
        if error is not LlmtlError:
            standard = {ValueError, FileNotFoundError, ImportError, RuntimeError}
            assert standard & set(error.__mro__), error
