"""Writing a bundle: into a temporary folder beside the target, then renamed into place.

Not covered: taking its contents from a run (`llmtl.pipeline.export`), starting a server on it.
"""

import shutil
import tempfile
from pathlib import Path

from llmtl.errors import BundleError
from llmtl.progress import Progress, Silent
from llmtl.serving.bundle.contents import Job, write_contents
from llmtl.serving.bundle.manifest import Weights
from llmtl.serving.bundle.read import is_bundle
from llmtl.serving.bundle.source import BundleSource
from llmtl.serving.bundle.strategies import weights_of


def write_bundle(source: BundleSource, out: Path, *, merge: bool = False, progress: Progress | None = None) -> Path:
    """Return `out`, which then holds the bundle of `source`; `merge` merges the winner's adapter into its base model.

    What was in `out` is replaced only when it is a bundle. On any failure `out` is as it was. Raises `BundleError`.
    """
    out = out.resolve()
    _require_replaceable(out)
    if merge and weights_of(source.served) is not Weights.ADAPTER:
        raise BundleError(f"'{source.winner}' has no adapter that could be merged; export without --merge.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    except OSError as error:
        raise BundleError(f"No bundle can be written at '{out}' ({error.strerror}); name another folder.") from error
    try:
        work.chmod(0o755)  # a server in a container may run as another user
        write_contents(Job(source, work, out, merge, progress or Silent()))
        _put_in_place(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)  # gone already, unless something failed
    return out


def _require_replaceable(out: Path) -> None:
    """Raise `BundleError` when something is at `out` that is neither a bundle nor an empty folder."""
    if out.exists() and not out.is_dir():
        raise BundleError(f"'{out}' is a file; name a folder for the bundle.")
    if out.is_dir() and any(out.iterdir()) and not is_bundle(out):
        raise BundleError(f"The folder '{out}' is not empty and not a bundle; name a new folder, or empty this one.")


def _put_in_place(work: Path, out: Path) -> None:
    """Rename `work` to `out`; the bundle that was there is deleted only after that, and comes back when it fails."""
    if not out.exists():
        work.rename(out)
        return
    old = work.with_name(f"{work.name}-old")
    out.rename(old)
    try:
        work.rename(out)
    finally:
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(out)
