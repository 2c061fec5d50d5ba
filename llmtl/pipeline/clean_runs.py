"""What killed commands left in a folder of runs, and deleting it; and runs that are not what was written.

Finished steps stay, of whatever recipe, and so do the replies of hosted models. A step that was killed begins anew
afterwards, also where it could have gone on inside a training. Not covered: the folders of runs themselves, which are
their owner's to delete.
"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from llmtl.errors import MissingFileError, RunError
from llmtl.left_overs import is_held, remove
from llmtl.pipeline.run_damage import damage_of
from llmtl.pipeline.run_format import RECIPE, require_plain_run
from llmtl.pipeline.serve import LOG_PREFIX
from llmtl.seals import REPLIES, STEPS
from llmtl.store import RESULT

_RANDOM = "[a-z0-9_]" * 8
"""What `tempfile` ends names with."""


@dataclass(frozen=True)
class LeftOver:
    """A file or folder that a killed command left, what it is, and its bytes."""

    path: Path
    what: str
    size: int


def left_overs(folder: Path) -> tuple[LeftOver, ...]:
    """List what was left behind in a folder of runs, or in one run; nothing of a run that is being written.

    Raises `MissingFileError` where there is no such folder, and `RunError` for a run that holds more than data.
    """
    found = [*_exports(folder)]
    for run in _runs(folder):
        require_plain_run(run)
        if not is_held(run):
            found += [*_exports(run), *_half_written(run), *_unfinished(run)]
    temporary = Path(tempfile.gettempdir())
    found += [(path, "the log of a bundle's server") for path in temporary.glob(f"{LOG_PREFIX}*") if not is_held(path)]
    return tuple(LeftOver(path, what, _size(path)) for path, what in dict(found).items())


def delete(found: Iterable[LeftOver]) -> None:
    """Delete left-overs."""
    for each in found:
        remove(each.path)


def damaged_files(folder: Path) -> Iterator[tuple[Path, tuple[Path, ...], str]]:
    """Hash every sealed file of the runs in a folder, or of one run.

    Gives each run, what is damaged in it, and why it was not hashed; that is empty where it was.
    """
    for run in _runs(folder):
        try:
            yield run, damage_of(run), ""
        except RunError as error:
            yield run, (), str(error)


def _runs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise MissingFileError(f"There is no folder '{folder}'; make a run with `llmtl run`, or name another folder.")
    if (folder / STEPS).is_dir():
        return [folder]
    return [path for path in sorted(folder.iterdir()) if (path / RECIPE).is_file() or (path / STEPS).is_dir()]


def _exports(folder: Path) -> Iterator[tuple[Path, str]]:
    for pattern in (f".*-{_RANDOM}", f".*-{_RANDOM}-old"):
        for path in folder.glob(pattern):
            if path.is_dir() and not is_held(path):
                yield path, "a bundle whose export was killed"


def _half_written(run: Path) -> Iterator[tuple[Path, str]]:
    for path in run.rglob(f".*.{_RANDOM}"):
        if path.is_file():
            yield path, "a file that was not written to its end"


def _unfinished(run: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted((run / STEPS).glob("*")):
        if path.is_dir() and not (path / RESULT).exists() and not (path / REPLIES).exists():
            yield path, "a step that was not finished"


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)
