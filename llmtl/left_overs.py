"""What killed commands leave behind: tell it from what a living process is writing, and delete it.

A process holds the folder that it writes by a lock of the operating system, which ends with the process however that
ends. Not covered: file systems without `flock`.
"""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, so that nobody takes it for a left-over."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Tell whether a living process holds a folder; True for one that cannot be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Delete those folders that nobody holds; what cannot be deleted stays."""
    for folder in folders:
        if folder.is_dir() and not folder.is_symlink() and not is_held(folder):
            shutil.rmtree(folder, ignore_errors=True)


def remove(path: Path) -> None:
    """Delete a file or a folder with all in it; what is gone already is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        return
    with suppress(FileNotFoundError):
        path.unlink()
