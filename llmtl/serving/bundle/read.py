"""A bundle read back: what it serves, the recorded inputs, the pool of demonstrations, the tokenizer.

Not covered: starting a server on it (`llmtl.serving.live`).
"""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from llmtl.checkpoints.broken_files import ReadByLibraries
from llmtl.engines.template_trial import require_bounded
from llmtl.errors import BundleError
from llmtl.foreign_files import read_whole
from llmtl.json_and_yaml import parse_json
from llmtl.packages import LOCAL, require
from llmtl.progress import Progress, Silent
from llmtl.serving.bundle.admission import require_data, require_plain
from llmtl.serving.bundle.hashes import check_hashes
from llmtl.serving.bundle.manifest import (
    BUNDLE,
    CHAT_TEMPLATE,
    MANIFEST,
    POOL,
    READABLE,
    RECORDED,
    RECORDED_ROWS,
    TOKENIZER_FOLDER,
    Bundle,
    Recorded,
)
from llmtl.task import Example

T = TypeVar("T")
EXAMPLES = TypeAdapter(tuple[Example, ...])


def open_bundle(folder: Path | str, *, verify: bool = True, progress: Progress | None = None) -> Bundle:
    """Open the bundle in `folder`; with `verify` after comparing every file with its SHA-256.

    Raises `BundleError` for a folder that is missing, is not a bundle, was written by another version of the format,
    holds more than data, or whose files are not those that were written.
    """
    folder = Path(folder)
    document = _manifest(folder)
    require_data(folder)
    if verify:
        check_hashes(folder, progress or Silent())
    try:
        bundle = BUNDLE.validate_python(document)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BundleError(f"'{folder / MANIFEST}' is damaged (at '{where}'); export the bundle again.") from error
    require_plain(bundle, folder)
    return bundle


def is_bundle(folder: Path) -> bool:
    """Say whether `folder` holds the manifest of a bundle, of whatever format."""
    try:
        document = parse_json(read_whole(folder / MANIFEST))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and "format" in document and "winner" in document


def read_recorded(folder: Path) -> tuple[Recorded, ...]:
    """Read the test examples with what was measured on them, in the run's order."""
    return _rows(folder / RECORDED, RECORDED_ROWS)


def read_pool(folder: Path) -> tuple[Example, ...]:
    """Read the examples that demonstrations are retrieved from, in index order; none where nothing is retrieved."""
    path = folder / POOL
    return _rows(path, EXAMPLES) if path.exists() else ()


def tokenizer_folder(bundle: Bundle, folder: Path) -> Path:
    """Find the folder of the tokenizer's files; raises `BundleError` for a bundle without a language model."""
    if bundle.base is None:
        raise BundleError(f"The winner '{bundle.winner.name}' prompts no language model and has no tokenizer.")
    return folder / (TOKENIZER_FOLDER if bundle.base.hub else bundle.base.source)


def load_bundle_tokenizer(bundle: Bundle, folder: Path) -> Any:
    """Load the tokenizer in a bundle; it loads no weights and runs no code from the checkpoint."""
    require("Reading a tokenizer", *LOCAL)
    from transformers import AutoTokenizer

    path = tokenizer_folder(bundle, folder)
    with ReadByLibraries(
        lambda why: BundleError(f"The tokenizer in '{path}' cannot be loaded ({why}); export the bundle again.")
    ):
        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)


def require_bounded_wording(bundle: Bundle, folder: Path) -> None:
    """Raise `ModelError` for a chat template that never ends: vLLM fills it in without limits."""
    path = folder / CHAT_TEMPLATE
    if bundle.on_vllm and path.is_file():
        require_bounded(read_whole(path).decode(errors="replace"), {})


def _manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest as it stands; raises `BundleError` when there is none that this version can read."""
    if not folder.is_dir():
        raise BundleError(f"There is no bundle at '{folder}'; make one with `llmtl export RUN '{folder}'`.")
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"'{folder}' is not a bundle: it has no {MANIFEST}; name a folder that `llmtl export` wrote.")
    try:
        document = parse_json(read_whole(path), finite=True)
    except (OSError, ValueError) as error:
        raise BundleError(f"'{path}' is damaged; export the bundle again with `llmtl export`.") from error
    if not isinstance(document, dict) or document.get("format") not in READABLE:
        found = document.get("format") if isinstance(document, dict) else None
        raise BundleError(
            f"The bundle '{folder}' has format {found}, and this version of llmtl reads {_formats()}; export the "
            "run again with this version."
        )
    return document


def _formats() -> str:
    *before, last = map(str, READABLE)
    return f"{', '.join(before)} and {last}"


def _rows(path: Path, rows: TypeAdapter[T]) -> T:
    """Return what a JSON Lines file of a bundle holds."""
    try:
        # not splitlines(): a text may hold U+2028 and its kin, which JSON leaves as they are
        return rows.validate_python([parse_json(line) for line in read_whole(path).decode().split("\n") if line])
    except (OSError, ValueError) as error:
        raise BundleError(f"'{path}' is missing or damaged; export the bundle again with `llmtl export`.") from error
