"""`SHA256SUMS`: the hash of every file of a bundle, in the form that `sha256sum -c` checks.

It finds accidents and careless changes. Not covered: proof of origin; whoever can change a file can change its hash.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from llmtl.errors import BundleError
from llmtl.foreign_files import is_inside, read_whole
from llmtl.measured.endpoint import SERVING_FILE
from llmtl.progress import Progress
from llmtl.seals import sha256_of_file
from llmtl.serving.bundle.manifest import CHECKSUMS, SIGNATURE

EXEMPT = (CHECKSUMS, SIGNATURE, SERVING_FILE)
"""The files without a hash: the list itself, its signature, and what is measured after the bundle was written."""

_MIB = 2**20


def write_hashes(folder: Path, progress: Progress) -> None:
    """Write `SHA256SUMS` over all files in `folder`."""
    lines = [f"{digest}  {name}\n" for name, digest in _hash(folder, sorted(files_in(folder)), progress).items()]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def check_hashes(folder: Path, progress: Progress) -> None:
    """Check that every file is there and as it was written, and no other is.

    Raises `BundleError` that names the first file which is missing, changed or extra.
    """
    listed = _read(folder)
    for name in listed:
        if not (folder / name).is_file():
            raise BundleError(f"The bundle '{folder}' lacks '{name}'; export it again with `llmtl export`.")
    extra = sorted(name for name in files_in(folder) if name not in listed and not _hidden(name))
    if extra:
        raise BundleError(
            f"The bundle '{folder}' holds '{extra[0]}', which the export did not write; remove it, or export again."
        )
    for name, digest in _hash(folder, list(listed), progress).items():
        if digest != listed[name]:
            raise BundleError(
                f"The file '{name}' of the bundle '{folder}' was changed after the export (its SHA-256 is not the one "
                f"in {CHECKSUMS}); export the bundle again with `llmtl export`."
            )


def unlisted(folder: Path) -> list[str]:
    """List the files without a hash, hidden ones too, but for those that never have one; raises as `check_hashes`."""
    return sorted(files_in(folder) - set(_read(folder)))


def files_in(folder: Path) -> set[str]:
    """List the paths of all files in `folder`, relative to it, but for those without a hash."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return {name for name in found if name not in EXEMPT}


def _hash(folder: Path, names: Iterable[str], progress: Progress) -> Mapping[str, str]:
    """Return the SHA-256 of each file, with a bar in MiB: 16 GB of weights take a minute."""
    names = list(names)
    total = sum((folder / name).stat().st_size for name in names)
    done = 0
    with progress.stage("Hashing the bundle (MiB)", max(1, total // _MIB)) as advance:

        def count(size: int) -> None:
            nonlocal done
            advance((done + size) // _MIB - done // _MIB)
            done += size

        return {name: sha256_of_file(folder / name, count) for name in names}


def _read(folder: Path) -> dict[str, str]:
    """Return the listed hashes by file name; raises `BundleError` when the list is missing or damaged."""
    path = folder / CHECKSUMS
    if not path.is_file():
        raise BundleError(f"The bundle '{folder}' lacks '{CHECKSUMS}'; export it again with `llmtl export`.")
    try:
        text = read_whole(path).decode(errors="replace")
    except OSError as error:
        raise BundleError(f"'{path}' cannot be read ({error.strerror}); export the bundle again.") from error
    rows = [line.partition("  ") for line in text.split("\n") if line]
    if not rows or any(len(digest) != 64 or not is_inside(name) for digest, _, name in rows):
        raise BundleError(f"'{path}' is damaged; export the bundle again with `llmtl export`.")
    return {name: digest for digest, _, name in rows}


def _hidden(name: str) -> bool:
    """Return whether nothing that serves a bundle would read the file: a desktop's or an editor's leavings."""
    return name.rpartition("/")[2].startswith(".")
