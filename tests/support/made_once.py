"""Folders that take long to make, made once for all workers of a test session; every user gets a copy of its own."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from llmtl.store import digest


def made_once(tmp_path_factory, what: object, make: Callable[[Path], object]) -> Path:
    """Return a new copy of the folder that `make(folder)` filled, once for everything that `what` says.

    Workers of pytest-xdist share the parent of their temporary folders; whoever comes second waits for the first.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    name = digest(what)[:16]
    folder, done = shared / f"once-{name}", shared / f"once-{name}.done"
    with (shared / f"once-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    copy = tmp_path_factory.mktemp("copy") / folder.name
    shutil.copytree(folder, copy, symlinks=True)
    return copy
