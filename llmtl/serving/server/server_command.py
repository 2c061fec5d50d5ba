"""The command that serves a bundle: arguments, environment, working directory; and the same as a line to paste.

Not covered: running it (`llmtl.serving.server.supervisor`), what vLLM is told about the bundle
(`llmtl.serving.bundle.vllm_config`).
"""

import math
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from llmtl import address
from llmtl.engines.vllm.room import token_bytes
from llmtl.errors import BundleError, InputError
from llmtl.json_and_yaml import parse_json
from llmtl.serving.bundle.manifest import BaseModel, Bundle
from llmtl.serving.bundle.vllm_config import vllm_arguments
from llmtl.serving.server.options import ServeOptions
from llmtl.serving.task_api.interface import KEEP_ALIVE_SECONDS

API_KEY = "VLLM_API_KEY"
"""The environment variable in which the server, ours or vLLM's, is given its API key."""
CACHE_GIB = "VLLM_CPU_KVCACHE_SPACE"
MIDDLEWARE = "llmtl.serving.task_api.middleware.TaskMiddleware"
VLLM = "vllm.entrypoints.openai.api_server"
IMPORTED = "llmtl.serving.server.imported_vllm"
CONFIG_NAME = "config.json"
CONCURRENT = 64
"""Requests at a time that should find room, however long they are."""
KEEP_ALIVE = "VLLM_HTTP_TIMEOUT_KEEP_ALIVE"
_SECRET = "***"
_GIB = 2**30


@dataclass(frozen=True)
class ServerCommand:
    """A process to start: `environment` is added to the present one, `folder` is its working directory.

    `socket` is the Unix socket at which it listens; None for an address of its own. One that `waits` imports what it
    needs and begins when it is told.
    """

    argv: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)
    folder: Path
    socket: Path | None = None
    waits: bool = False

    def line(self) -> str:
        """Write the command as a line to paste into a shell, with the API key masked."""
        shown = {name: _SECRET if name == API_KEY else value for name, value in self.environment.items()}
        assigned = [f"{name}={shlex.quote(value)}" for name, value in sorted(shown.items())]
        return f"cd {shlex.quote(str(self.folder))} && {' '.join([*assigned, shlex.join(self.argv)])}"


def server_command(
    folder: Path, bundle: Bundle, options: ServeOptions, *, device: str, socket: Path | None = None
) -> ServerCommand:
    """Write the command that serves the bundle in `folder` on `device` (`cpu` or `cuda`).

    It listens where the options say, or at the Unix socket `socket`, for a front.

    Raises `InputError` for arguments to vLLM where that does not run the winner.
    """
    folder = folder.resolve()
    environment = {"LLMTL_BUNDLE": str(folder), **options.limits.to_environment(), **_access(options)}
    if options.api_key:
        environment[API_KEY] = options.api_key
    # -P: a file in the working directory must not take the place of a Python module.
    python = (sys.executable, "-P", "-m")
    where = {"host": options.host, "port": options.port} if socket is None else {"uds": str(socket)}
    if not bundle.on_vllm:
        if options.extra:
            raise InputError(
                f"'{options.extra[0]}' is for vLLM, which does not run '{bundle.winner.name}'; leave out what follows "
                "`--`."
            )
        argv = (*python, "llmtl.serving.task_api.classifier_app", *_flags(where))
        return ServerCommand(argv, environment | _offline(bundle.base), folder, socket)
    assert bundle.base is not None
    arguments: dict[str, Any] = {
        **vllm_arguments(bundle, folder),
        **where,
        "middleware": MIDDLEWARE,
        "allowed-origins": "[]",
        "disable-fastapi-docs": True,  # the page would load scripts from another host
        "disable-uvicorn-access-log": True,
        **({"enforce-eager": True} if device == "cpu" else {}),
    }
    waits = socket is not None and device == "cpu" and not options.restarts.no_spare
    module = (IMPORTED, str(socket.parent), VLLM) if socket is not None and waits else (VLLM,)
    argv = (*python, *module, *_flags(arguments), *options.extra)
    environment |= _vllm_environment(bundle.base, folder, device)
    return ServerCommand(argv, environment, folder, socket, waits)


def _access(options: ServeOptions) -> dict[str, str]:
    """Return the variables that say who may ask; the address that llmtl itself asks is always allowed."""
    access = options.access
    if access.hosts and address.is_concrete(options.host):
        access = replace(access, allowed_hosts=f"{access.allowed_hosts},{options.host}")
    return access.to_environment()


def _flags(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Return arguments by name as they stand on a command line: True is a bare flag, a list several values.

    One value is written into its flag, so that it cannot be a flag itself; several cannot be, and are looked at.
    """
    for name, value in arguments.items():
        if value is False:
            continue
        if isinstance(value, list | tuple):
            odd = next((each for each in map(str, value) if each.startswith("-")), None)
            if odd is not None:
                raise BundleError(f"The name '{odd}' would be taken for an option of the server; export under another.")
            yield from (f"--{name}", *map(str, value))
        else:
            yield f"--{name}" if value is True else f"--{name}={value}"


def _vllm_environment(base: BaseModel, folder: Path, device: str) -> dict[str, str]:
    """Return what vLLM is told by environment: no usage statistics, no hub for local files, the cache on a CPU."""
    environment = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", KEEP_ALIVE: str(KEEP_ALIVE_SECONDS)}
    environment |= _offline(base)
    if device == "cpu":
        environment[CACHE_GIB] = os.environ.get(CACHE_GIB, str(_cache_gib(base, folder)))
    return environment


def _offline(base: BaseModel | None) -> dict[str, str]:
    """Return the variable that keeps local files off the Hub."""
    return {"HF_HUB_OFFLINE": "1"} if base is not None and not base.hub else {}


def _cache_gib(base: BaseModel, folder: Path) -> int:
    """Return the GiB for keys and values on a CPU: `CONCURRENT` full contexts, at most a quarter of the free memory.

    A Hub model's sizes are not known before it is loaded; it gets the quarter.
    """
    most = max(1, int(psutil.virtual_memory().available) // (4 * _GIB))
    file = folder / base.source / CONFIG_NAME
    if base.hub or not file.is_file():
        return most
    config = parse_json(file.read_bytes())
    return min(most, math.ceil(CONCURRENT * base.context_length * token_bytes(config, base.dtype) / _GIB))
