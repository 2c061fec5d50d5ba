"""The value that every data check returns."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters: `stop` ends the run before any compute is spent."""

    INFO = "info"
    WARNING = "warning"
    STOP = "stop"


@dataclass(frozen=True)
class Finding:
    """One line that a check has to say; `ids` names the examples meant, most suspicious first.

    `code` says which of several things it is to who acts on it, `value` the number that it rests on; both may be left
    out.
    """

    check: str
    level: Level
    message: str
    ids: tuple[str, ...] = ()
    code: str = ""
    value: float | None = None
