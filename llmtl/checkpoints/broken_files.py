"""What libraries raise for a tokenizer or an encoder that is not what it should be, as one error in one line.

The library of tokenizers raises plain `Exception`, which no `except` tells from errors of this program; a context does.
Not covered: memory that runs out, and what was loaded and does not fit (their users).
"""

from collections.abc import Callable
from types import TracebackType

from llmtl.errors import LlmtlError

_FAULTS = (OSError, ValueError, LookupError, ImportError, TypeError, AttributeError, AssertionError, RecursionError)
_LONGEST = 200


class ReadByLibraries:
    """A context in which a library reads a file; what it raises is the error that `refused` makes of the reason."""

    def __init__(self, refused: Callable[[str], LlmtlError]) -> None:
        self._refused = refused

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise the refusal in place of an error of the library."""
        if (
            error is None
            or isinstance(error, LlmtlError)
            or not (error_type is Exception or isinstance(error, _FAULTS))
        ):
            return
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise self._refused(f"{lines[0].rstrip('.'):.{_LONGEST}}") from error
