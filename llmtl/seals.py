"""Seals: the SHA-256 of the files of a folder, so that what changed by accident is never read as what was measured.

A seal is the file `SHA256SUMS`, as `sha256sum -c` reads it; its first line, a comment there, is the hash of the others.
A folder without one, as earlier versions left them, is read as it is. Not covered: intent; whoever can change a file
can change its seal.
"""

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from llmtl.errors import DamagedRunError
from llmtl.foreign_files import is_inside, read_whole

SEAL = "SHA256SUMS"
STEPS = "steps"
"""The folder inside a run folder that holds the steps."""
REPLIES = "replies.jsonl"
"""A file that grows after its step was finished, so that it is not sealed: every line in it carries its own hash."""
UNFINISHED = "unfinished"
"""The folder of a step that keeps what it can go on from when it was killed; it is gone when the step is finished."""
_FIRST = b"# sha256 of the lines below: "
_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")
_BLOCK = 2**24


def seal_of(
    folder: Path,
    names: Iterable[str] | None = None,
    *,
    given: Mapping[str, bytes] | None = None,
    known: Mapping[str, str] | None = None,
) -> str:
    """Write out the seal of files in `folder`, by default of all.

    `given` is what further ones will hold, `known` are further hashes by name.
    """
    if names is None:
        names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        names = (name for name in names if not name.rpartition("/")[2].startswith(".") and name != REPLIES)
    sums = dict(known or {}) | {name: sha256_of_file(folder / name) for name in names if name != SEAL}
    sums |= {name: hashlib.sha256(content).hexdigest() for name, content in (given or {}).items()}
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    return f"{_FIRST.decode()}{hashlib.sha256(lines.encode()).hexdigest()}\n{lines}"


def read_seal(folder: Path) -> dict[str, str] | None:
    """Read the hashes by file name; None where the folder has no seal. Raises `DamagedRunError` for a damaged one."""
    path = folder / SEAL
    try:
        content = read_whole(path)
    except FileNotFoundError:
        return None
    except OSError:
        raise damaged(path) from None
    first, _, rest = content.partition(b"\n")
    if first != _FIRST + hashlib.sha256(rest).hexdigest().encode():
        raise damaged(path)
    lines = [_LINE.fullmatch(line) for line in rest.decode("utf-8", errors="replace").split("\n")]
    return {line[2]: line[1] for line in lines if line and is_inside(line[2])}


def check_content(path: Path, content: bytes) -> None:
    """Check what was read from a file against the seal of its folder; raises `DamagedRunError`."""
    sums = read_seal(path.parent)
    expected = None if sums is None else sums.get(path.name)
    if expected is not None and hashlib.sha256(content).hexdigest() != expected:
        raise damaged(path)


def damage(folder: Path, sums: Mapping[str, str] | None = None) -> Path | None:
    """Find the first file of a folder that is missing or not as it was sealed; None where all are or none was."""
    try:
        sums = read_seal(folder) if sums is None else sums
    except DamagedRunError:
        return folder / SEAL
    for name, digest in (sums or {}).items():
        try:
            if sha256_of_file(folder / name) != digest:
                return folder / name
        except OSError:
            return folder / name
    return None


def sha256_of_file(path: Path, advance: Callable[[int], None] = lambda count: None) -> str:
    """Compute the SHA-256 of a file in hexadecimal; `advance` is told the bytes read."""
    return sha256_of_files([path], advance)


def sha256_of_files(paths: Iterable[Path], advance: Callable[[int], None] = lambda count: None) -> str:
    """Compute the SHA-256 of files, one after the other, as if they were one."""
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                found.update(block)
                advance(len(block))
    return found.hexdigest()


def damaged(path: Path) -> DamagedRunError:
    """Make the error for a file of a run that is not as the run wrote it, with the command that makes it again."""
    try:
        what = "damaged: it is not what was written" if path.exists() else "missing"
    except OSError:
        what = "damaged"
    return DamagedRunError(f"'{path}' is {what}. {cure(path)}")


def cure(path: Path) -> str:
    """Say in a sentence how a file of a run is made again."""
    run = next((parent for parent in path.parents if (parent / STEPS).is_dir()), None)
    return f"`llmtl run {shlex.quote(str(run))}` makes it again." if run else "Write it again."
