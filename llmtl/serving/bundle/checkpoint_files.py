"""The files of a base model and of an adapter that go into a bundle: safetensors and what reads them, nothing else.

Not covered: merging (`llmtl.serving.bundle.merge`), downloading whole models: a model from the Hub stays there, at a
pinned revision.
"""

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from llmtl.checkpoints import locate
from llmtl.checkpoints.named import find_named
from llmtl.engines.checkpoint import copy_tokenizer, inspect_checkpoint
from llmtl.engines.protocol import ModelSource, Precision
from llmtl.errors import BundleError, ModelError
from llmtl.foreign_files import SAFE_NAME
from llmtl.json_and_yaml import parse_json, parse_yaml
from llmtl.pocket import NAMES as EMBEDDED
from llmtl.progress import Progress
from llmtl.serving.bundle.admission import is_document
from llmtl.serving.bundle.manifest import MODEL_FOLDER, BaseModel
from llmtl.serving.bundle.source import MeasuredStrategy
from llmtl.strategy import PromptServed

ADAPTER_WEIGHTS, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
INDEX = "model.safetensors.index.json"
_ENCODER = (".safetensors", ".json", ".txt", ".model")
"""The endings of an encoder's files; other forms of its weights lie in folders of their own, without a config.json."""
_LEGAL = ("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*", "COPYING*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_BLOCK = 16 * 2**20


def describe_base(source: ModelSource, name: str, *, dtype: Precision, task: str) -> BaseModel:
    """Describe a bundle's language model; `name` is the recipe's, which may be a path or a Hub name.

    Raises `ModelError` when the model is not there any more, or its folder's name could be taken for an option.
    """
    info = inspect_checkpoint(source.name, source.revision)
    found = locate(source.name, source.revision)
    local = Path(found).expanduser().is_dir()
    known = name in EMBEDDED or find_named(name) is not None
    spoken = name if known or not local else Path(found).expanduser().resolve().name
    if not SAFE_NAME.fullmatch(spoken):
        raise ModelError(f"The model folder '{spoken}' has a name that no server can be told; rename it and run again.")
    return BaseModel(
        name=spoken if spoken != task else f"{spoken}-base",
        source=MODEL_FOLDER if local else found,
        hub=not local,
        revision=None if local else _commit(info.path) or source.revision,
        licence=_licence(info.path, name, hub=not local),
        context_length=info.context_length,
        dtype=dtype,
    )


def copy_base(checkpoint: Path, folder: Path, progress: Progress) -> None:
    """Copy a local checkpoint to `folder`: weights, configuration, tokenizer and licence files."""
    weights = weight_files(checkpoint)
    index = [INDEX] if len(weights) > 1 else []
    _copy(checkpoint, folder, [*index, *weights], progress)
    copy_tokenizer(checkpoint, folder)
    copy_legal(checkpoint, folder)


def copy_encoder(checkpoint: Path, folder: Path, progress: Progress) -> str:
    """Copy a local encoder to `folder`, the modules of sentence-transformers among it; return its licence."""
    modules = [path.parent.name for path in sorted(checkpoint.glob("*/config.json"))]
    parts = [path for name in modules for path in sorted((checkpoint / name).iterdir()) if path.suffix in _ENCODER]
    small = [path for path in sorted(checkpoint.iterdir()) if path.suffix in _ENCODER and path.name != INDEX]
    weights = weight_files(checkpoint)
    index = [INDEX] if len(weights) > 1 else []
    kept = [path for path in small if path.suffix != ".safetensors"] + parts
    for name in modules:
        (folder / name).mkdir(parents=True, exist_ok=True)
    _copy(checkpoint, folder, [*index, *weights, *(str(path.relative_to(checkpoint)) for path in kept)], progress)
    return copy_licence(checkpoint, folder)


def copy_licence(checkpoint: Path, folder: Path) -> str:
    """Copy the files that a local encoder's licence is stated in, and return its name."""
    copy_legal(checkpoint, folder)
    return _licence(checkpoint, "", hub=False)


def copy_legal(checkpoint: Path, folder: Path) -> None:
    """Copy the files that a model's licence is stated in."""
    for pattern in _LEGAL:
        for path in sorted(checkpoint.glob(pattern)):
            if path.is_file() and is_document(path.name):
                shutil.copyfile(path, folder / path.name)


def weight_files(checkpoint: Path) -> list[str]:
    """List the safetensors that transformers loads; a second copy in another layout is left out.

    Raises `BundleError` when an index names a file that is not there, or there is none at all.
    """
    if (checkpoint / INDEX).is_file():
        index = parse_json((checkpoint / INDEX).read_bytes())
        names = sorted(set(index["weight_map"].values()))
    else:
        names = ["model.safetensors"]
    missing = [name for name in names if Path(name).name != name or not (checkpoint / name).is_file()]
    if missing:
        raise BundleError(f"The model '{checkpoint}' lacks its weights '{missing[0]}'; download the checkpoint again.")
    return names


def checked_adapter(measured: MeasuredStrategy) -> Path:
    """Name the folder of a strategy's LoRA adapter, which was found to be the trained one when it was loaded.

    Raises `BundleError` when it has none, when files are missing, or when it is another one.
    """
    fitted = measured.adapter
    if fitted is None:
        raise BundleError(f"'{measured.name}' has no adapter that could be merged; export without --merge.")
    weights = fitted / ADAPTER_WEIGHTS
    for path in (weights, fitted / ADAPTER_CONFIG):
        if not path.is_file():
            raise BundleError(f"The run lacks its adapter '{path}'; run the recipe again with a new --out.")
    return fitted


def tuned_checkpoint(measured: MeasuredStrategy) -> Path:
    """Name the folder of the model that a strategy tuned; raises `BundleError` where there is none."""
    served = measured.served
    if not isinstance(served, PromptServed) or served.checkpoint is None:
        raise BundleError(f"'{measured.name}' has no weights of its own; export the bundle from the run again.")
    return served.checkpoint


def copy_adapter(measured: MeasuredStrategy, folder: Path, *, base_name: str) -> int:
    """Copy a strategy's LoRA adapter to `folder` and return its rank; raises as `checked_adapter` does.

    The copy names its base model as the bundle does, never by a path of this machine.
    """
    fitted = checked_adapter(measured)
    config: dict[str, Any] = parse_json((fitted / ADAPTER_CONFIG).read_bytes())
    folder.mkdir(parents=True)
    shutil.copyfile(fitted / ADAPTER_WEIGHTS, folder / ADAPTER_WEIGHTS)
    written = config | {"base_model_name_or_path": base_name, "revision": None}
    (folder / ADAPTER_CONFIG).write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    return int(config["r"])


def _copy(source: Path, folder: Path, names: Iterable[str], progress: Progress) -> None:
    """Copy files with a bar in MiB."""
    names = list(names)
    folder.mkdir(parents=True, exist_ok=True)
    total = sum((source / name).stat().st_size for name in names)
    with progress.stage("Copying the model (MiB)", max(1, total // 2**20)) as advance:
        done = 0
        for name in names:
            with (source / name).open("rb") as read, (folder / name).open("wb") as write:
                while block := read.read(_BLOCK):
                    write.write(block)
                    advance((done + len(block)) // 2**20 - done // 2**20)
                    done += len(block)


def _commit(snapshot: Path) -> str | None:
    """Return the commit of a folder in the Hub's cache, which is named after it."""
    return snapshot.name if _COMMIT.fullmatch(snapshot.name) else None


def _licence(checkpoint: Path, name: str, *, hub: bool) -> str:
    """Return the base model's licence: what its model card says, else where to look."""
    if name in EMBEDDED:
        return "apache-2.0"
    stated = _front_matter(checkpoint / "README.md").get("license")
    if isinstance(stated, str) and stated:
        return stated
    if hub:
        return f"see https://huggingface.co/{name}"
    legal = [path.name for pattern in _LEGAL for path in sorted(checkpoint.glob(pattern))]
    return f"see {MODEL_FOLDER}/{legal[0]}" if legal else "unknown"


def _front_matter(path: Path) -> dict[str, Any]:
    """Return the YAML block at the top of a model card, or nothing."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    parts = text.split("---\n", 2)
    if len(parts) < 3 or parts[0].strip():
        return {}
    try:
        found = parse_yaml(parts[1])
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}
