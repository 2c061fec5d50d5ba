"""Why a server process ended, and what it is doing while it starts, read from the end of its log.

Not covered: stopping and starting (`llmtl.serving.server.supervisor`).
"""

import re
import signal
from collections.abc import Iterator, Sequence
from itertools import pairwise

from llmtl.serving.server.keeper import SIGNAL_BASE

_PREFIX = re.compile(
    r"^(\([^)]*pid=\d+\)\s*)?((INFO|WARNING|ERROR|CRITICAL)\s+\d\d-\d\d [\d:]+ )?(\[[\w./]+:\d+\]\s*)?"
)
_TROUBLE = re.compile(r"error|errno|shutdown triggered", re.IGNORECASE)
_LAST_WORD = re.compile(r"^[\w.]*(Error|Exception)(: .*)?$|^\S+\.py: error: ")
_MODULE = re.compile(r"^(\w+\.)+(?=\w+(Error|Exception)\b)")
_EMPTY = re.compile(r"Engine core initialization failed|EngineCore encountered an issue")
"""What vLLM's API server says when its engine process is gone; the reason, if any was given, stands before it."""
_ENGINE_GONE = "its engine process was killed, by somebody or by the system for want of memory"
_LONGEST = 300

_CAUSES: tuple[tuple[str, str], ...] = (
    (r"shutdown triggered", "somebody told it to end"),
    (r"address already in use", "its port is in use; choose another with --port"),
    (
        r"OutOfMemoryError|CUDA out of memory|Cannot allocate memory|can't allocate memory|Free memory on device"
        r"|No available memory for the cache blocks|larger than the available KV cache memory",
        "it ran out of memory; free some, or serve with less, such as `-- --max-model-len 2048`",
    ),
    (r"No adapter found for|LoRA adapter .* not found|adapter_config\.json", "the LoRA adapter cannot be loaded"),
    (r"No space left on device", "the disk is full; free some space"),
)

_PHASES: tuple[tuple[str, str], ...] = (
    (r"Application startup complete", "waiting for its first answer"),
    (r"Started server process|Starting vLLM", "opening the endpoint"),
    (r"Capturing CUDA graphs|Graph capturing|torch\.compile takes|Compiling a graph", "compiling for this machine"),
    (r"KV cache size|init engine", "setting up the cache and trying it out"),
    (r"Starting to load model|Loading safetensors|Loading weights|Model loading", "loading the weights"),
    (r"Initializing a V1 LLM engine|EngineCore", "starting the engine"),
    (r"APIServer", "reading the configuration"),
)


def doing(lines: Sequence[str]) -> str:
    """Say what a starting server is doing, in a few words."""
    text = "\n".join(lines)
    return next((words for pattern, words in _PHASES if re.search(pattern, text)), "starting Python")


def why(lines: Sequence[str], code: int | None) -> str:
    """Say why the server ended, from its last log lines and its exit code: one clause without a full stop."""
    if code is not None and code > SIGNAL_BASE:
        return _ended(code)  # the last error in the log may be hours old, and of one request
    text = "\n".join(line for line in lines if _TROUBLE.search(line))
    said = _last_error(lines)
    for pattern, cause in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return f"{cause} ({said})" if said else cause
    return said or (_ENGINE_GONE if _EMPTY.search(text) else _ended(code))


def _last_error(lines: Sequence[str]) -> str:
    """Return the last error in the log that says something, shortened; empty when there is none."""
    telling = [
        error for error in _errors([_bare(line) for line in lines]) if not _EMPTY.match(error.partition(": ")[2])
    ]
    return _short(telling[-1]) if telling else ""


def _errors(lines: Sequence[str]) -> Iterator[str]:
    """Return the lines that name an error; pydantic says on the next line what is wrong."""
    for named, following in pairwise([*lines, ""]):
        if _LAST_WORD.match(named):
            line = _MODULE.sub("", named)
            yield f"{line}: {following.partition(' [type=')[0]}" if "validation error" in line else line


def _ended(code: int | None) -> str:
    if code is None:
        return "it stopped answering"
    if code <= SIGNAL_BASE:
        return f"it ended with exit code {code}"
    try:
        name = signal.Signals(code - SIGNAL_BASE).name
    except ValueError:
        return f"it ended with exit code {code}"
    by = "by somebody, or by the system for want of memory" if name == "SIGKILL" else "from outside"
    return f"it was killed {by} ({name})"


def _bare(line: str) -> str:
    return _PREFIX.sub("", line).strip()


def _short(line: str) -> str:
    line = " ".join(line.split()).rstrip(".")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
