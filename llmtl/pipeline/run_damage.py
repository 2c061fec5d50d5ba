"""What of a run is not as it was written: told before it is made again, and listed for who asks.

Not covered: damage that is found when a file is read (`llmtl.seals`).
"""

from collections.abc import Iterator
from pathlib import Path

from llmtl.pipeline.run_format import RECIPE, require_plain_run
from llmtl.seals import SEAL, STEPS, damage


def damage_told(folder: Path) -> Iterator[str]:
    """Say what of a finished run is not as it was left, for all that a run writes again whatever it was."""
    for name in (folder, folder / "data"):
        found = damage(name)
        if found == folder / RECIPE:
            yield f"Warning: '{found}' was changed after the run; going on with it as it is."
        elif found is not None and (found.parent in (folder, name) or found.parent.name == "predictions"):
            yield f"Warning: '{found}' is damaged: it is not what was written. It is written again."


def damage_of(folder: Path) -> tuple[Path, ...]:
    """List what is damaged in a finished run, every file hashed: of the run, of `data/` and of each step the first.

    Raises `RunError` for a folder that holds more than data: hashing a pipe, or what a link leads to, may never end.
    """
    require_plain_run(folder)
    steps = sorted(folder.glob(f"{STEPS}/*/{SEAL}"))
    found = (damage(each) for each in (folder, folder / "data", *(path.parent for path in steps)))
    return tuple(path for path in found if path is not None)
