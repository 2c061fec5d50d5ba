"""Files that came from elsewhere: what a folder may hold before anything in it is read or given to another program.

A model folder, a run folder and a bundle are data. No link and no path in them leads out of the folder, nothing in them
is code or unpickled, and no configuration asks for code, for compiled parts from the Hub, or for another model than the
one beside it. Every function says what is wrong in a few words, or gives None; whoever asks writes the error.

Not covered: whether the files are those that were written (hashes, signatures), what else they should hold (their
readers), what weights and tokenizers do when they are run as what they are.
"""

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

DATA_ENDINGS = frozenset({".json", ".jsonl", ".safetensors", ".txt", ".crfsuite", ".model", ".jinja", ".md"})
"""The endings of files that cannot run code, whoever reads them."""
CODE_ENDINGS = frozenset(
    {".py", ".pyc", ".pyo", ".pyd", ".pyx", ".pth", ".so", ".dll", ".dylib", ".sh", ".exe", ".whl", ".egg"}
    | {".bin", ".pt", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".npy", ".h5", ".keras", ".onnx"}
)
"""Endings of files that are code, or that some library unpickles or runs when it reads them."""
SAFE_NAME = re.compile(r"[\w.][^\x00-\x1f\x7f]{0,254}")
"""A name that may stand on the command line of another program: it cannot be taken for an option."""
HUB_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
"""A model's name on the Hub, with or without its owner."""
REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,254}")

_ADAPTER = "adapter_config.json"
_CONFIGURATIONS = ("config.json", "*config*.json", "modules.json", "*.index.json")
_LARGEST_CONFIGURATION = 64 * 2**20
"""Bytes: an index of weights has a line per tensor, a tokenizer's configuration one per added token."""
_VOCABULARIES = ("tokenizer.json", "vocab.*", "merges.txt", "added_tokens.json", "special_tokens_map.json", "*.model")
_LARGEST_VOCABULARY = 512 * 2**20
"""Bytes; the tokenizers of today's largest vocabularies, of 256,000 words, have 33 MiB."""
_LARGEST_TEMPLATE = 2**20
_LARGEST_WHOLE = 2**30
"""Bytes of a file that is read as a whole; parsed, it takes up to 20 times as much."""
_DEEPEST = 32
"""Folders within folders; a run folder with a bundle of an encoder has 7."""
_CLASSES = ("type", "types", "activation_function")
"""Where a sentence encoder names classes; its library imports whatever stands there."""
_LIBRARIES = ("sentence_transformers.", "torch.nn.")
_ASKS = {
    "auto_map": "asks to run code that lies beside it",
    "custom_pipelines": "asks to run code that lies beside it",
    "auto_mapping": "names a library to import",
    "megatron_config": "names a library to import",
    "corda_config": "names files to load",
    "loftq_config": "asks to compute the adapter anew",
    "eva_config": "asks to compute the adapter anew",
    "speculators_config": "names another model to load",
    "trust_remote_code": "asks to run code that lies beside it",
}
"""What no configuration may ask for, and what that would do. Empty values ask for nothing."""
_KERNELS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal", "experts_implementation")
"""Names compiled code on the Hub where it holds a slash (transformers, `integrations/hub_kernels.py`)."""
_FILES = ("tokenizer_file", "vocab_file", "merges_file", "spm_file", "sentencepiece_model_file")
"""Files of its own that a tokenizer's configuration may name; the library opens what stands there."""

_ONNX = ("", "ai.onnx")
"""The domains of the operators that the standard describes; none of them reads a file."""
_ONNX_RUNTIME = frozenset({("com.microsoft", "MatMulNBits")})
"""The operators of ONNX Runtime's own that llmtl writes; others of them load what a path names."""


def leads_out(folder: Path, *, blobs: bool = False) -> str | None:
    """Say which entry of a folder is a link to outside, or neither a file nor a folder; None where there is none.

    `blobs` allows the links of the Hub's cache, whose snapshots point to the files of the same model.
    """
    root = folder.resolve()
    deep = next(_entries(folder, at_depth=_DEEPEST), None)
    if deep is not None:
        return f"'{deep.relative_to(folder).parts[0]}' holds folders within folders, more than {_DEEPEST} deep"
    homes = (root, root.parent.parent / "blobs") if blobs and root.parent.name == "snapshots" else (root,)
    for path in _entries(folder):
        if path.is_symlink() and not any(_target(path).is_relative_to(home) for home in homes):
            return f"'{path.relative_to(folder).as_posix()}' is a link to outside the folder"
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            return f"'{path.relative_to(folder).as_posix()}' is neither a file nor a folder"
    return None


def read_whole(path: Path, *, most: int = _LARGEST_WHOLE) -> bytes:
    """Read a file into memory; raises `OSError` for one of more bytes, which then is none that llmtl wrote.

    What is neither a file nor a folder is not opened: a pipe may wait for ever.
    """
    kind = path.stat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise OSError(errno.EPERM, "This is not a file", str(path))
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= most:
            return file.read()
    raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))


_LONGEST_NAME, _LONGEST_PATH = 255, 2000
"""Bytes of a name, as Linux bounds them, and characters of a path: half of its bound, as the folder has a path, too."""


def is_inside(name: str) -> bool:
    """Say whether a path, as a file of the folder names it, stays inside: relative, without `..`, in plain words.

    What no file can be called here is not inside either: asking for it would fail.
    """
    parts = name.split("/")
    plain = bool(name) and "\\" not in name and "\0" not in name and not any(part in ("", "..") for part in parts)
    return plain and len(name) <= _LONGEST_PATH and all(map(_can_be_a_name, parts))


def _can_be_a_name(part: str) -> bool:
    try:
        return len(os.fsencode(part)) <= _LONGEST_NAME
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def holds_code(folder: Path, *, but: frozenset[str] = frozenset()) -> str | None:
    """Say which file of a folder is code, or would be unpickled by who reads it; None where there is none.

    `but` are files, by their paths in the folder, that are looked into otherwise.
    """
    for path in _entries(folder):
        if path.relative_to(folder).as_posix() in but and path.is_file():
            continue
        if path.suffix.lower() in CODE_ENDINGS and not path.is_dir():
            return f"'{path.relative_to(folder).as_posix()}' could run code when it is read"
    return None


def asks_for_more(folder: Path) -> str | None:
    """Say which configuration in a folder of a model asks for code, files or models from elsewhere; None for none."""
    for path in _entries(folder):
        if not path.is_file():
            continue
        said = _too_large(path) or (_asked(path) if _is_called(path, _CONFIGURATIONS) else None)
        if said is not None:
            return f"'{path.relative_to(folder).as_posix()}' {said}"
    return None


def model_fault(folder: Path) -> str | None:
    """Say what is wrong with a model folder that somebody else may have made; None where it can be read.

    Code and pickled weights beside the weights are left alone: nothing opens them, and no bundle takes them along.
    """
    return leads_out(folder, blobs=True) or asks_for_more(folder) or _adapter_beside(folder)


def _adapter_beside(folder: Path) -> str | None:
    """Say where an adapter lies beside a whole model: transformers would load the adapter's own base instead."""
    for path in _entries(folder):
        if path.name == _ADAPTER and (path.parent / "config.json").is_file():
            return f"'{path.relative_to(folder).as_posix()}' names another model, to be loaded in place of this one"
    return None


def adapter_fault(folder: Path) -> str | None:
    """Say what is wrong with the folder of an adapter, whose loaders take pickled weights where no others are."""
    return leads_out(folder) or holds_code(folder) or asks_for_more(folder)


def onnx_fault(content: bytes) -> str | None:
    """Say what an ONNX model asks for beside its own tensors and known operators; None where it is data alone.

    A tensor may name a file, or an address in memory, that the runtime reads; operators may be those of a library, or
    defined in the model; and its notes may set options of the runtime. Needs the package onnx.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError:
        return "is not an ONNX model"
    model.DiscardUnknownFields()
    if model.ByteSize() != len(content):  # a newer runtime may know fields that were not looked into
        return "holds more than an ONNX model"
    if model.functions or model.training_info or model.metadata_props:
        return "brings more than a graph"
    for part in _parts(model):
        if isinstance(part, onnx.TensorProto) and (part.external_data or part.data_location != part.DEFAULT):
            return f"takes the numbers of '{part.name}' from elsewhere"
        if isinstance(part, onnx.NodeProto) and not _is_known(part):
            return f"asks for the operator '{part.op_type}' of '{part.domain}'"
    return None


def _is_known(node: Any) -> bool:
    return node.domain in _ONNX or (node.domain, node.op_type) in _ONNX_RUNTIME


def _parts(message: Any) -> Iterator[Any]:
    """Walk through all messages within a message of Protocol Buffers, itself included."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        yield part
        for field, value in part.ListFields():
            if field.message_type is not None:
                waiting += [value] if hasattr(value, "ListFields") else value


def _entries(folder: Path, *, at_depth: int = 0) -> Iterator[Path]:
    """Walk through everything below a folder, in order, or only what is `at_depth`; links are not followed."""
    waiting = [(path, 1) for path in sorted(folder.iterdir(), reverse=True)]
    while waiting:
        path, depth = waiting.pop()
        if at_depth in (0, depth):
            yield path
        if path.is_dir() and not path.is_symlink() and depth != at_depth:
            waiting += [(inner, depth + 1) for inner in sorted(path.iterdir(), reverse=True)]


def _target(link: Path) -> Path:
    try:
        return link.resolve()
    except (OSError, RuntimeError):  # a circle of links
        return Path("/")


def _too_large(path: Path) -> str | None:
    """Say that a file which some library reads as a whole is larger than any of its kind."""
    size = path.stat().st_size
    if size > _LARGEST_CONFIGURATION and _is_called(path, _CONFIGURATIONS):
        return "is larger than any configuration"
    if size > _LARGEST_VOCABULARY and _is_called(path, _VOCABULARIES):
        return "is larger than any vocabulary"
    return "is larger than any template" if size > _LARGEST_TEMPLATE and path.suffix == ".jinja" else None


def _is_called(path: Path, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path.name, pattern) for pattern in patterns)


def _asked(path: Path) -> str | None:
    """Say what a configuration asks for; one that cannot be read is left to its reader."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        return "is nested too deeply"
    except (OSError, ValueError):
        return None
    asks = _asks_of_modules if path.name == "modules.json" else _asks
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            for key, inner in value.items():
                said = asks(key, inner)
                if said is not None:
                    return said
                waiting.append(inner)
    return None


def _asks(key: str, value: Any) -> str | None:
    """Say what one entry of a configuration asks for, None where it asks for nothing."""
    if key in _ASKS and value not in (None, False, {}, [], ""):
        return f"{_ASKS[key]} ('{key}')"
    if key in _KERNELS and "/" in str(value):
        return f"names compiled code to download ('{key}')"
    if key in _CLASSES:
        classes = value.values() if isinstance(value, dict) else (value,)
        odd = next((each for each in classes if isinstance(each, str) and _foreign(each)), None)
        if odd is not None:
            return f"names '{odd}' of a library to import ('{key}')"
    if key in _FILES and isinstance(value, str) and not is_inside(value):
        return f"names a file outside its folder ('{key}')"
    if key == "weight_map" and isinstance(value, dict):
        odd = next((name for name in value.values() if not (isinstance(name, str) and is_inside(name))), None)
        if odd is not None:
            return "names weights outside its folder ('weight_map')"
    return None


def _foreign(dotted: str) -> bool:
    return "." in dotted and not dotted.startswith(_LIBRARIES)


def _asks_of_modules(key: str, value: Any) -> str | None:
    """Say the same of the list of a sentence encoder's parts, each of which lies in a folder, `path`."""
    if key == "path" and isinstance(value, str) and value and not is_inside(value):
        return f"names the folder '{value}', which is not inside"
    return _asks(key, value)
