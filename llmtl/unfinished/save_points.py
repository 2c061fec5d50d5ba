"""Save points: what a training needs to go on where it was killed, kept beside what it makes until it has ended.

    unfinished/point-37/        one save point; it exists only once everything in it was written, under its final name
        state/                  trained weights, optimizer, schedule and random states
        best/                   the best weights so far, as they are kept, where they are kept as files
        so_far.json             the curve so far, the seconds spent, whose training it is
        SHA256SUMS              its seal

A save point that is damaged, or of a training with other data, settings or packages, is not gone on with. All of it is
plain data: nothing is pickled. Not covered: the loss of power, which
can lose what the disk had confirmed (the seal notices); several processes that train the same (the run folder is
claimed); what of a trainer is saved (`llmtl.unfinished.trainer_state`).
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError

from llmtl.errors import RunError
from llmtl.foreign_files import leads_out
from llmtl.left_overs import remove
from llmtl.seals import SEAL, damage, seal_of
from llmtl.store import read_json, write_json, write_text

SECONDS_BETWEEN = 120.0
"""A training that is killed loses at most about so many seconds, or one step where that takes longer."""
SHARE_FOR_SAVING = 0.1
"""Save points are rarer where writing one would otherwise take more than this share of the time."""

_POINT, _NEW = "point-", "new"
_STATE, _BEST, _SO_FAR = "state", "best", "so_far.json"


class TrainingProgress(Protocol):
    """A training up to a step, as plain data; `mark` says whose it is."""

    @property
    def mark(self) -> str:
        """Whose training it is."""

    @property
    def step(self) -> int:
        """How many steps were done."""


ProgressT = TypeVar("ProgressT", bound=TrainingProgress)


@dataclass(frozen=True)
class SavePoint(Generic[ProgressT]):
    """A save point that was found sound; `state` is the folder that the training goes on from."""

    folder: Path
    so_far: ProgressT

    @property
    def state(self) -> Path:
        """The folder with weights, optimizer and random states."""
        return self.folder / _STATE

    def restore_best(self, folder: Path) -> None:
        """Put the best weights of that time into `folder`, instead of what a later step may have left there."""
        remove(folder)
        if (self.folder / _BEST).is_dir():
            shutil.copytree(self.folder / _BEST, folder)


class SavePoints(Generic[ProgressT]):
    """The save points of one training in `folder`; `kind` is what is known of it, `mark` says whose they are.

    Where the best weights are kept as files, they lie in `best`.
    """

    def __init__(
        self, folder: Path, kind: type[ProgressT], *, mark: str, say: Callable[[str], None], best: Path | None = None
    ) -> None:
        self.folder = folder
        self.mark = mark
        self._reader: TypeAdapter[ProgressT] = TypeAdapter(kind)
        self._best = best
        self._say = say
        self._began = self._saved_at = monotonic()
        self._took = 0.0
        self._told = False

    def due(self) -> bool:
        """Say whether it is time for the next one."""
        return monotonic() - self._saved_at >= max(SECONDS_BETWEEN, self._took / SHARE_FOR_SAVING)

    def lasted(self) -> bool:
        """Say whether the training took so long, here or before, that its end is worth a save point, too."""
        return bool(self._points()) or monotonic() - self._began >= SECONDS_BETWEEN

    def save(self, so_far: ProgressT, write_state: Callable[[Path], None]) -> None:
        """Write a save point and delete the ones before; where the disk does not take it, say so once and go on."""
        start, new = monotonic(), self.folder / _NEW
        try:
            remove(new)
            (new / _STATE).mkdir(parents=True)
            write_state(new / _STATE)
            if self._best is not None and self._best.is_dir():
                shutil.copytree(self._best, new / _BEST)
            write_json(new / _SO_FAR, self._reader.dump_python(so_far))
            write_text(new / SEAL, seal_of(new))
            made = self.folder / f"{_POINT}{so_far.step}"
            remove(made)
            new.rename(made)
        except (OSError, SafetensorError) as error:
            self._cannot(error)
        else:
            for path in self._points():
                if path != made:
                    remove(path)
        self._saved_at = monotonic()
        self._took = self._saved_at - start

    def _cannot(self, error: Exception) -> None:
        """Leave no half of a save point on a disk that is full."""
        shutil.rmtree(self.folder / _NEW, ignore_errors=True)
        if not self._told:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            self._say(
                f"Warning: the state of the training cannot be saved to '{self.folder}' ({reason}); it goes on, but "
                "would start anew if it were interrupted."
            )
        self._told = True

    def latest(self) -> SavePoint[ProgressT] | None:
        """Find the last save point of this training that is sound; say why others are not gone on with."""
        for path in sorted(self._points(), key=_step_of, reverse=True):
            wrong, so_far = self._opened(path)
            if so_far is not None and so_far.mark != self.mark:
                wrong = "belongs to a training with other data, settings or packages"
            if so_far is not None and wrong is None:
                return SavePoint(path, so_far)
            self._say(f"The saved state '{path}' {wrong}; training does not go on from it.")
        return None

    def clear(self) -> None:
        """Delete all of them: the training begins anew."""
        for path in (*self._points(), self.folder / _NEW):
            remove(path)

    def _points(self) -> list[Path]:
        return [path for path in self.folder.glob(f"{_POINT}*") if path.is_dir()]

    def _opened(self, folder: Path) -> tuple[str | None, ProgressT | None]:
        """Read a save point; or say what is wrong with it."""
        outside = leads_out(folder)
        if outside is not None:
            return f"holds what it should not: {outside}", None
        broken = damage(folder) if (folder / SEAL).is_file() else folder / SEAL
        if broken is not None:
            return f"is damaged ('{broken.name}')", None
        try:
            value: Any = read_json(folder / _SO_FAR)
            return None, self._reader.validate_python(value)
        except (RunError, ValidationError):
            return "is not of this version", None


def _step_of(path: Path) -> int:
    number = path.name.removeprefix(_POINT)
    return int(number) if number.isdecimal() else -1
