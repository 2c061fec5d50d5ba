"""The run folder: content-addressed steps, atomic writes, resume, provenance.

A step's file is named after the SHA-256 of everything its result depends on, so an interrupted run goes on where it
stopped and a changed recipe recomputes only what it touches. A finished step is sealed (`llmtl.seals`); one that was
damaged is done again. Only one process at a time works in a folder. Not covered: what the steps are (`llmtl.pipeline`).
"""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llmtl.errors import InputError, RunError
from llmtl.foreign_files import read_whole
from llmtl.json_and_yaml import parse_json
from llmtl.left_overs import remove
from llmtl.seals import REPLIES, SEAL, STEPS, UNFINISHED, check_content, cure, damage, seal_of

PACKAGES = ("llmtl", "torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "scikit-learn", "scipy")
RESULT = "result.json"
"""The last file of a step to be written."""


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
    write_text(path, json_text(value))


def json_text(value: Any) -> str:
    """Give the text of a JSON file; raises `ValueError` for a non-finite number."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object per line, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def read_json(path: Path) -> Any:
    """Read a JSON file of a run; raise `RunError` if it is missing, or is not what was written."""
    content = _content(path)
    try:
        return parse_json(content)
    except json.JSONDecodeError as error:
        raise RunError(f"'{path}' is damaged (line {error.lineno}). {cure(path)}") from error


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read the objects of a JSON Lines file of a run; raise `RunError` if it is missing, or is not what was written."""
    content = _content(path)
    try:
        # not splitlines(): a text may hold U+2028 or the like, which JSON does not escape
        rows = [parse_json(line) for line in content.split(b"\n") if line]
    except json.JSONDecodeError as error:
        raise RunError(f"'{path}' is damaged. {cure(path)}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise RunError(f"'{path}' is damaged. {cure(path)}")
    return rows


def _content(path: Path) -> bytes:
    """Read a file of a run, compared with the seal of its folder."""
    try:
        content = read_whole(path)
    except FileNotFoundError:
        raise RunError(f"'{path}' is missing; finish the run with `llmtl run`, or name another run folder.") from None
    except OSError as error:
        raise RunError(f"'{path}' cannot be read ({error.strerror}). {cure(path)}") from error
    check_content(path, content)
    return content


@dataclass(frozen=True)
class Store:
    """One run folder."""

    folder: Path
    say: Callable[[str], None] = lambda told: None
    _sound: set[Path] = field(default_factory=set, repr=False, compare=False)
    """The steps that were made or compared with their seals in this process."""
    _claims: list[int] = field(default_factory=list, repr=False, compare=False)
    """The descriptor of the folder while this process holds it."""

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
        self._claims.append(handle)
        try:
            yield
            self._require_in_place()
        finally:
            self._claims.remove(handle)
            os.close(handle)

    def _require_in_place(self) -> None:
        """Raise `RunError` where the claimed folder is not at its path any more: what is written would go elsewhere."""
        try:
            there = self.folder.stat()
        except OSError:
            there = None
        for handle in self._claims:
            if there is None or not os.path.samestat(os.fstat(handle), there):
                raise RunError(
                    f"'{self.folder}' was moved or deleted while the run was writing to it; give the command again, "
                    "with its new place as --out."
                )

    def step(self, name: str, depends_on: Mapping[str, Any], compute: Callable[[Path], Any]) -> Any:
        """Run `compute(folder)` once for everything that it `depends_on`, keep its JSON-able result, and return it.

        `folder` belongs to the step, for files such as an adapter; it is kept with the result.
        """
        self._require_in_place()
        folder = self.step_folder(name, depends_on)
        if self._finished(folder):
            return read_json(folder / RESULT)
        _empty(folder)  # of what an attempt left that was killed
        folder.mkdir(parents=True, exist_ok=True)
        value = compute(folder)
        self._require_in_place()
        remove(folder / UNFINISHED)
        write_json(folder / "depends_on.json", json.loads(json.dumps(depends_on, default=str)))
        text = json_text(value)
        write_text(folder / SEAL, seal_of(folder, given={RESULT: text.encode()}))
        write_text(folder / RESULT, text)
        self._sound.add(folder)
        return value

    def _finished(self, folder: Path) -> bool:
        """Tell whether a step was finished and is what was written; says so and empties it where it is not."""
        if folder in self._sound:
            return True
        if not (folder / RESULT).is_file():
            return False
        broken = damage(folder) or _unreadable(folder / RESULT)
        if broken is None:
            self._sound.add(folder)
            return True
        self.say(f"Warning: '{broken}' is damaged: it is not what was written. Its step is done again.")
        _empty(folder)
        return False

    def step_folder(self, name: str, depends_on: Mapping[str, Any]) -> Path:
        """Name the folder of a step, which need not exist yet."""
        return self.folder / STEPS / f"{name}-{digest(depends_on)[:16]}"

    def has(self, name: str, depends_on: Mapping[str, Any]) -> bool:
        """Tell whether the step was finished before."""
        return self._finished(self.step_folder(name, depends_on))


def _empty(folder: Path) -> None:
    """Delete what is in the folder of a step, but not replies and what it can go on from, which check themselves."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in (REPLIES, UNFINISHED):
            remove(path)


def _unreadable(path: Path) -> Path | None:
    """Give the path back where it holds no JSON, as a step without a seal may."""
    try:
        read_json(path)
    except RunError:
        return path
    return None


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


def as_path(given: object, what: str) -> Path:
    """Turn text or a path that a caller gave into a path; raises `InputError` for anything else, of `what` it names."""
    if not isinstance(given, str | Path):
        raise InputError(f"{what} is {given!r:.40}; give its path as text or as a Path.")
    return Path(given)
