"""The folder for what llmtl makes of files elsewhere and can make again: hashes, locks, and an atomic place in it.

It is `$LLMTL_CACHE`, else `$XDG_CACHE_HOME/llmtl`, else `~/.cache/llmtl`. Not covered: what is kept there.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmtl.errors import ModelError
from llmtl.json_and_yaml import parse_json

VARIABLE = "LLMTL_CACHE"
_WAITING_LINE_SECONDS = 15.0
_POLL_SECONDS = 0.2


def cache_folder() -> Path:
    """Name the cache folder, which need not exist yet."""
    if own := os.environ.get(VARIABLE):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # the XDG base directory specification ignores relative paths
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "llmtl"


def sha256_of(path: Path) -> str:
    """Hash a file: SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_once(path: Path) -> str:
    """Hash a file once per process, unless it was changed."""
    return _hashed(path, path.stat().st_mtime_ns)


@lru_cache
def _hashed(path: Path, _changed: int) -> str:
    return sha256_of(path)


def remembered_sha256(path: Path, notes: Path) -> str:
    """Hash a file, or take the hash noted in the folder `notes` for that path, size and time of change."""
    status, place = path.stat(), str(path.resolve())
    state = {"path": place, "size": status.st_size, "changed_ns": status.st_mtime_ns}
    note = notes / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"
    kept = read_object(note)
    if {key: kept.get(key) for key in state} == state and isinstance(kept.get("sha256"), str):
        return str(kept["sha256"])
    found = sha256_of(path)
    write_object(note, state | {"sha256": found})
    return found


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object of the cache; an empty one if it is missing or damaged, since the cache can be made again."""
    try:
        found = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_object(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object of the cache so that a reader sees the old one or the new, never a mixture."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # half of it, where the disk is full
            temporary.unlink()
        raise unwritable(path.parent, error) from error


@contextmanager
def alone(lock: Path, say: Callable[[str], None], doing: str) -> Iterator[None]:
    """Hold `lock` for this process, after waiting for any other; `say` what it waits for every 15 seconds.

    A lock of the operating system ends with its process, however that ends.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise unwritable(lock.parent, error) from error
    try:
        told = float("-inf")
        while not _try_lock(handle):
            if time.monotonic() - told > _WAITING_LINE_SECONDS:
                say(f"Waiting for another process that is {doing}")
                told = time.monotonic()
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write a new folder beside `folder`, then put it in that place at once; hold a lock meanwhile.

    A failure leaves nothing behind; what a killed process left is cleared away.
    """
    new = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        fill(new)
        if folder.exists():
            shutil.rmtree(folder)
        new.replace(folder)
    except OSError as error:
        raise unwritable(folder.parent, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def unwritable(folder: Path, error: OSError) -> ModelError:
    """Return the error for a cache that cannot be written."""
    return ModelError(
        f"The cache folder '{folder}' cannot be written ({error.strerror or error}); make room there, or set "
        f"{VARIABLE} to another folder."
    )
