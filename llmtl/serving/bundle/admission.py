"""What a bundle may be before anything of it is served: data, with names and paths that mean only what they should.

A bundle may come from anybody, and whoever wrote it could make its hashes anew. Nothing in it can run code, reach a
file outside it, become an option of vLLM, or ask vLLM for more than `llmtl export` would. Not covered: whether the
files are those that were written (`llmtl.serving.bundle.hashes`), and who wrote them
(`llmtl.serving.bundle.signature`).
"""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from llmtl.errors import BundleError
from llmtl.foreign_files import (
    DATA_ENDINGS,
    HUB_NAME,
    REVISION,
    SAFE_NAME,
    asks_for_more,
    holds_code,
    leads_out,
    onnx_fault,
    read_whole,
)
from llmtl.json_and_yaml import parse_yaml
from llmtl.packages import require
from llmtl.serving.bundle.manifest import (
    ADAPTER_FOLDER,
    CHECKSUMS,
    INT8_MODEL,
    MODEL_FOLDER,
    SIGNATURE,
    VLLM_CONFIG,
    VLLM_CONFIG_HERE,
    Bundle,
)
from llmtl.serving.bundle.vllm_config import arguments_at

_LEGAL = re.compile(r"(LICEN[SC]E|NOTICE|USE_POLICY|COPYING)[\w. -]*", re.IGNORECASE)
_PAPERS = frozenset({"", ".txt", ".md", ".rst", ".pdf", ".html"})
"""The endings of the documents that a licence is stated in."""
_LEAVINGS = re.compile(r"\.(DS_Store|directory|gitattributes|gitkeep|goutputstream-\w+|nfs\w+|_.*|.*\.sw[op])")
"""Hidden files that desktops, editors and the Hub leave; the server runs in the bundle, where others may mean more."""
_CACHE = ".cache/huggingface/"
"""Where the Hub's own download notes what it brought."""
_TOP = frozenset({CHECKSUMS, SIGNATURE, VLLM_CONFIG, VLLM_CONFIG_HERE})
_ADAPTER_FILES = frozenset({"adapter_model.safetensors", "adapter_config.json"})
_LARGEST_YAML, _LARGEST_GRAPH = 2**20, 8 * 2**30
_FREE = frozenset(
    {"dtype", "max-model-len", "max-logprobs", "enforce-eager", "max-lora-rank", "max-loras"}
    | {"structured-outputs-config", "enable-prefix-caching", "logprobs-mode", "chat-template-content-format"}
)
"""What earlier versions may have written otherwise into `vllm.yaml`; none of it decides what is loaded."""
_CURE = "do not serve it; ask whoever made it, or export the run again"


def require_data(folder: Path) -> None:
    """Raise `BundleError` for files that could run code or lie elsewhere; this comes before any file is read."""
    said = leads_out(folder) or holds_code(folder, but=frozenset({INT8_MODEL})) or _odd_file(folder)
    said = said or _odd_graph(folder / INT8_MODEL)
    if said is not None:
        raise BundleError(f"The bundle '{folder}' is no plain data: {said}; {_CURE}.")


def require_plain(bundle: Bundle, folder: Path) -> None:
    """Raise `BundleError` for names, paths, configurations or vLLM arguments that ask for more than an export does."""
    said = _odd_name(bundle) or _odd_base(bundle, folder) or asks_for_more(folder) or _odd_adapter(folder)
    said = said or next(
        (odd for name in (VLLM_CONFIG, VLLM_CONFIG_HERE) if (odd := _odd_yaml(bundle, folder / name))), None
    )
    if said is not None:
        raise BundleError(f"The bundle '{folder}' asks for more than it may: {said}; {_CURE}.")


def is_document(name: str) -> bool:
    """Say whether a file by its name is a licence that a bundle takes along."""
    return bool(_LEGAL.fullmatch(name)) and Path(name).suffix.lower() in _PAPERS


def _odd_file(folder: Path) -> str | None:
    """Say which file is of no kind that a bundle holds."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name in _TOP or name == INT8_MODEL or path.suffix in DATA_ENDINGS or is_document(path.name):
            continue
        if _LEAVINGS.fullmatch(path.name) or name.startswith(_CACHE):
            continue
        return f"a bundle holds no file such as '{name}'"
    return None


def _odd_graph(path: Path) -> str | None:
    """Say what an encoder in int8 asks for beside its own numbers; None where it is data alone, or there is none."""
    if not path.is_file():
        return None
    require("A bundle in int8", "onnx", "onnxruntime")
    said = onnx_fault(read_whole(path, most=_LARGEST_GRAPH))
    return said and f"'{INT8_MODEL}' {said}"


def _odd_name(bundle: Bundle) -> str | None:
    """Say which name could be taken for an option by the program that it is given to."""
    names = [bundle.task.name, *([bundle.base.name] if bundle.base else [])]
    names += [name for each in bundle.strategies for name in (each.name, each.model, each.engine_model)]
    return next((f"the name '{name}'" for name in names if not SAFE_NAME.fullmatch(name)), None)


def _odd_base(bundle: Bundle, folder: Path) -> str | None:
    """Say what is odd about where the language model comes from: the bundle's own folder, or one name on the Hub."""
    base = bundle.base
    if base is None:
        return None
    if not base.hub:
        return None if base.source == MODEL_FOLDER else f"its language model lies in '{base.source}'"
    if not HUB_NAME.fullmatch(base.source) or (folder / base.source).exists():
        return f"its language model '{base.source}' is not a name on the Hub"
    if base.revision is not None and not REVISION.fullmatch(base.revision):
        return f"its language model has the revision '{base.revision}'"
    return None


def _odd_adapter(folder: Path) -> str | None:
    """Say which file would be loaded as an adapter, and is none that an export writes."""
    place = folder / ADAPTER_FOLDER
    odd = sorted({path.name for path in place.iterdir()} - _ADAPTER_FILES) if place.is_dir() else []
    if odd:
        return f"its adapter brings '{odd[0]}'"
    if (folder / MODEL_FOLDER / "adapter_config.json").exists():  # transformers would load that adapter's own base
        return "its model names another one, in adapter_config.json"
    return None


def _odd_yaml(bundle: Bundle, path: Path) -> str | None:
    """Say what a configuration for stock vLLM asks for beside, or instead of, what an export writes."""
    if not path.exists():
        return None
    document = _read_yaml(path) if bundle.on_vllm else None
    if document is None:
        return f"'{path.name}' is not a configuration of this winner"
    root = PurePosixPath(str(document.get("chat-template", ""))).parent
    expected = arguments_at(bundle, root)
    unknown = sorted(set(map(str, document)) - set(expected) - _FREE)
    if unknown:
        return f"'{path.name}' holds '{unknown[0]}', which an export does not write"
    changed = [key for key in expected if key not in _FREE and document.get(key) != expected[key]]
    return f"'{path.name}' says '{changed[0]}: {document.get(changed[0])}'" if changed else None


def _read_yaml(path: Path) -> Mapping[str, Any] | None:
    if path.stat().st_size > _LARGEST_YAML:
        return None
    try:
        document = parse_yaml(path.read_bytes())
    except (OSError, yaml.YAMLError):
        return None
    return document if isinstance(document, dict) else None
