"""Make an ordinary safetensors checkpoint of a GGUF file, once: de-quantised, with its tokenizer and chat template.

transformers reads the file; what it loads is put into a fresh model, since a model loaded from GGUF refuses to be
saved. A conversion is kept under the SHA-256 of its source and checked by the hashes of its own files.
Not covered: reading the file's metadata (`llmtl.checkpoints.gguf_file`).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from llmtl.checkpoints.cache import (
    alone,
    cache_folder,
    make_folder,
    read_object,
    remembered_sha256,
    sha256_of,
    write_object,
)
from llmtl.checkpoints.gguf_file import FACTORS, GgufFile, damaged, read_gguf, stretched
from llmtl.errors import ModelError
from llmtl.quiet import quiet

FORMAT = 1
"""Counts up when the same file would be converted in another way."""
RECORD = "conversion.json"
"""Lies in the converted checkpoint: what it was made of, and the hashes of its files."""
LARGE_BYTES = 2**30
"""Larger files become bfloat16: in float32 a model of 7 billion weights would take 28 GB on disk and in memory."""
_LINE_SECONDS = 15.0


def converted(source: Path, say: Callable[[str], None]) -> Path:
    """Return the folder of the checkpoint that the GGUF file `source` becomes; it is made unless it is there, whole.

    Raises `ModelError` for a file that cannot be converted and a cache that cannot be written, `MissingPackageError`
    without the packages that read GGUF.
    """
    sha256 = remembered_sha256(source, cache_folder() / "gguf" / "sources")
    home = cache_folder() / "gguf" / sha256[:16]
    folder = home / source.stem
    if not _is_whole(folder, sha256):
        doing = f"converting {source.name}"
        with alone(home / "lock", say, doing):
            if not _is_whole(folder, sha256):
                say(f"Converting {source.name} to safetensors, once (about half a minute for 135M weights)")
                with _lines_while(doing, say):
                    make_folder(folder, lambda new: _convert(source, sha256, new))
    say(f"The weights are {origin(folder)}: not the published ones.")
    return folder


def origin(folder: Path) -> str | None:
    """Say in a few words what a converted checkpoint was made of; None for any other folder."""
    record = read_object(folder / RECORD)
    if not record:
        return None
    return f"de-quantised from {record.get('source')} (GGUF, {record.get('quantisation')}) to {record.get('dtype')}"


def _is_whole(folder: Path, sha256: str) -> bool:
    """Tell whether a conversion of that source is there and undamaged; unchanged files are hashed once."""
    record = read_object(folder / RECORD)
    if record.get("format") != FORMAT or record.get("source_sha256") != sha256:
        return False
    files = record.get("files")
    if not isinstance(files, dict) or not files or not all((folder / name).is_file() for name in files):
        return False
    notes = folder.parent / "checked"
    return all(remembered_sha256(folder / name, notes) == wanted for name, wanted in files.items())


def _convert(source: Path, sha256: str, folder: Path) -> None:
    """Write the checkpoint into the empty `folder`."""
    file = read_gguf(source)
    dtype = "float32" if source.stat().st_size <= LARGE_BYTES else "bfloat16"
    with quiet(), _without_tensor_bar():
        config = _save_model(file, dtype, folder)
        _save_tokenizer(file, config.max_position_embeddings, folder)
    licence = f"license: {file.licence}\n" if file.licence else ""
    (folder / "README.md").write_text(
        f"---\n{licence}---\nMade by llmtl from {source.name} ({file.quantisation}), de-quantised to {dtype}.\n",
        encoding="utf-8",
    )
    record = {
        "format": FORMAT,
        "source": source.name,
        "source_sha256": sha256,
        "quantisation": file.quantisation,
        "dtype": dtype,
        "files": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
    }
    write_object(folder / RECORD, record)


def _save_model(file: GgufFile, dtype: str, folder: Path) -> Any:
    """Save configuration and weights; return the configuration."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaForCausalLM, MistralForCausalLM

    classes: Any = {"llama": LlamaForCausalLM, "mistral": MistralForCausalLM}
    try:
        found: Any = AutoModelForCausalLM.from_pretrained(
            file.path.parent,
            gguf_file=file.path.name,
            dtype=getattr(torch, dtype),
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (ValueError, KeyError, IndexError, OSError, RuntimeError) as error:
        raise damaged(file.path, error) from error
    loaded, report = found
    if report["missing_keys"]:
        raise damaged(file.path, ValueError(f"it lacks '{min(report['missing_keys'])}'"))
    config = loaded.config
    if file.slows_rotation:
        _slow_rotation(config, file)
    del config.quantization_config  # what is saved is not quantised any more
    config._name_or_path = ""
    with torch.device("meta"):
        fresh = classes[config.model_type](config)
    fresh.load_state_dict(loaded.state_dict(), assign=True)
    fresh.tie_weights()
    fresh.to(getattr(torch, dtype)).save_pretrained(folder)
    return config


def _slow_rotation(config: Any, file: GgufFile) -> None:
    """Set the frequency scaling of Llama 3.1 and later, which transformers leaves out when it reads GGUF.

    Such a file holds the factors themselves. They must be those of Llama 3's formula with its constants (low 1, high 4,
    8,192 positions: Meta's `apply_scaling`); the factor is 8 in Llama 3.1, 32 in 3.2. Raises `ModelError` otherwise.
    """
    import torch
    from gguf import GGUFReader
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    stored = next(each for each in GGUFReader(file.path).tensors if each.name == FACTORS)
    factors = torch.tensor(stored.data, dtype=torch.float32)
    theta = config.rope_parameters["rope_theta"]
    config.rope_parameters = {
        "rope_type": "llama3",
        "rope_theta": theta,
        "factor": float(factors.max()),
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    slowed, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    plain = theta ** -(torch.arange(0, config.head_dim, 2) / config.head_dim)
    if factors.shape != slowed.shape or not torch.allclose(plain / slowed, factors, rtol=1e-3):
        raise stretched(file.path)


def _save_tokenizer(file: GgufFile, context_length: int, folder: Path) -> None:
    """Save the tokenizer with the model's chat template."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            file.path.parent, gguf_file=file.path.name, trust_remote_code=False, model_max_length=context_length
        )
    except (ValueError, KeyError, IndexError, OSError, TypeError) as error:
        raise ModelError(
            f"The tokenizer in the GGUF file '{file.path}' cannot be read ({str(error).splitlines()[0]}); give the "
            "original checkpoint, in safetensors."
        ) from error
    if file.splits_by == "smollm":
        # transformers 5.19 has no rule for it and takes GPT-2's, which does not split digits; this is the rule in
        # SmolLM's own tokenizer.json and in llama.cpp (LLAMA_VOCAB_PRE_TYPE_SMOLLM)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    tokenizer.save_pretrained(folder)


@contextmanager
def _without_tensor_bar() -> Iterator[None]:
    """Let transformers draw no bar over tensors: the one that its switch for bars does not reach."""
    from transformers import modeling_gguf_pytorch_utils as reading

    drawn = vars(reading)["tqdm"]
    vars(reading)["tqdm"] = partial(drawn, disable=True)
    try:
        yield
    finally:
        vars(reading)["tqdm"] = drawn


@contextmanager
def _lines_while(doing: str, say: Callable[[str], None]) -> Iterator[None]:
    """Say every 15 seconds that the work goes on: the library that does it reports nothing."""
    done, started = threading.Event(), time.monotonic()

    def tell() -> None:
        while not done.wait(_LINE_SECONDS):
            say(f"Still {doing} ({time.monotonic() - started:.0f} s so far)")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
