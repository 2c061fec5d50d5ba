"""What the front is told when it starts: where to listen, which server is behind it, how much clients may hold.

Not covered: what one request may bring (`llmtl.serving.task_api.interface`).
"""

import json
import resource
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from llmtl.errors import InputError
from llmtl.serving.task_api.interface import DRAIN_SECONDS

_SPARE_FILES = 64
"""Descriptors that are not for connections: the interpreter's, the log, the listeners."""


@dataclass(frozen=True)
class ConnectionLimits:
    """How many connections there may be and how long they may take; raises `InputError` for a limit below 1.

    20 seconds for headers are what Apache's mod_reqtimeout gives by default, 60 for a body of 1 MiB are 17 KiB a
    second. A proxy in front brings all its clients from one address: half of all may come from one.
    """

    max_connections: Annotated[int, Field(ge=1, description="Connections at a time; further ones get 503.")] = 1024
    max_connections_per_address: Annotated[
        int, Field(ge=1, description="Of these, connections from one address; further ones get 503.")
    ] = 512
    max_header_seconds: Annotated[
        int, Field(ge=1, description="Seconds until a request's headers must have arrived, before it gets 408.")
    ] = 20
    max_body_seconds: Annotated[
        int, Field(ge=1, description="Seconds until its body must have arrived, before it gets 408.")
    ] = 60
    drain_seconds: Annotated[
        int, Field(ge=1, description="Seconds that requests under way may take once the server is told to end.")
    ] = DRAIN_SECONDS

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise InputError(f"The limit {name} is {value}; give at least 1.")

    def within(self, descriptors: int) -> Self:
        """Fit the connections into so many descriptors: each takes one to its client and one to the server."""
        most = max(1, (descriptors - _SPARE_FILES) // 2)
        return replace(self, max_connections=min(self.max_connections, most))


@dataclass(frozen=True)
class FrontPlan:
    """One front: it listens at `host` and `port` and passes on to the Unix socket `socket`.

    With `own_names_only`, what arrives at a loopback address must be addressed to one.
    """

    host: str
    port: int
    socket: Path
    own_names_only: bool
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)

    def to_json(self) -> str:
        """Write the plan for another process."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        given = json.loads(text)
        return cls(**{**given, "socket": Path(given["socket"]), "limits": ConnectionLimits(**given["limits"])})


def raise_descriptor_limit() -> int:
    """Let this process and those it starts open as many files as the system allows it; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        wanted = 65536 if hard == resource.RLIM_INFINITY else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, 65536)), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
