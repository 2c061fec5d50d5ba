"""The run folder: content-addressed steps, atomic writes, resume, provenance.

A step's file is named after the SHA-256 of everything its result depends on, so an interrupted run goes on
where it stopped and a changed recipe recomputes only what it touches. Only one process
at a time works in a folder. Not covered: what the steps are (`llmtl.pipeline`).
"""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llmtl.errors import RunError

PACKAGES = ("llmtl", "torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "scikit-learn", "scipy")
STEPS = "steps"
"""The folder inside the run folder that holds the steps."""


def digest(value: Any) -> str:
    """Hash a JSON-able value: SHA-256 in hex, independent of the order of mapping keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8 so that a reader sees the old content or the new, never a mixture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)  # gone already, unless something failed


def write_json(path: Path, value: Any) -> None:
    """Write a JSON-able value, indented, atomically; raises `ValueError` for a non-finite number."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object per line, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def read_json(path: Path) -> Any:
    """Read a JSON file of a run; raise `RunError` if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"'{path}' is missing; finish the run with `llmtl run`, or name another run folder.") from None
    except json.JSONDecodeError as error:
        raise RunError(f"'{path}' is damaged (line {error.lineno}); delete it and run again.") from error
    except UnicodeDecodeError as error:
        raise RunError(f"'{path}' is damaged (byte {error.start}); delete it and run again.") from error


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read the objects of a JSON Lines file of a run; raise `RunError` if it is missing or damaged."""
    if not path.is_file():
        raise RunError(f"'{path}' is missing; finish the run with `llmtl run`, or name another run folder.")
    try:
        # not splitlines(): a text may hold U+2028 or the like, which JSON does not escape
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"'{path}' is damaged; delete it and run again.") from error


@dataclass(frozen=True)
class Store:
    """One run folder."""

    folder: Path

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder for this process; create it if needed.

        The claim is a lock of the operating system, so it ends with the process, however that ends. Raises `RunError`
        for a folder that another process holds or that cannot be created.
        """
        try:
            (self.folder / STEPS).mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder, os.O_RDONLY)
        except OSError as error:
            raise RunError(f"'{self.folder}' cannot be written ({error.strerror}); name another folder.") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise RunError(
                f"Another run is writing '{self.folder}'; wait until it has ended, or name another folder."
            ) from None
        try:
            yield
        finally:
            os.close(handle)

    def step(self, name: str, depends_on: Mapping[str, Any], compute: Callable[[Path], Any]) -> Any:
        """Run `compute(folder)` once for everything that it `depends_on`, keep its JSON-able result, and return it.

        `folder` belongs to the step, for files such as an adapter; it is kept with the result.
        """
        folder = self.step_folder(name, depends_on)
        result = folder / "result.json"
        if result.is_file():
            return read_json(result)
        folder.mkdir(parents=True, exist_ok=True)
        value = compute(folder)
        write_json(folder / "depends_on.json", json.loads(json.dumps(depends_on, default=str)))
        write_json(result, value)
        return value

    def step_folder(self, name: str, depends_on: Mapping[str, Any]) -> Path:
        """Name the folder of a step, which need not exist yet."""
        return self.folder / STEPS / f"{name}-{digest(depends_on)[:16]}"

    def has(self, name: str, depends_on: Mapping[str, Any]) -> bool:
        """Tell whether the step was finished before."""
        return (self.step_folder(name, depends_on) / "result.json").is_file()


def now() -> str:
    """Give the present time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Look up the installed versions of the packages that results depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
