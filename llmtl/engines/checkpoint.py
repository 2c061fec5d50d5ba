"""Inspect a checkpoint before any weight is loaded: family, size, context, chat template.

Accepts LLaMA- and Mistral-family causal language models in safetensors, from a folder or from the Hugging Face Hub.
Code that a checkpoint brings along is never run. Not covered: the embedded models' names (`llmtl.pocket` resolves them
to folders first), finding and downloading files (`llmtl.checkpoints`), quantised checkpoints other than GGUF files,
loading (`llmtl.engines.transformers.loading`).
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmtl.checkpoints import locate
from llmtl.checkpoints.download import SMALL_FILES, download, has_safetensors
from llmtl.errors import ModelError
from llmtl.foreign_files import model_fault, read_whole
from llmtl.json_and_yaml import parse_json

FAMILIES = ("llama", "mistral")
ENCODERS = (
    "albert",
    "bert",
    "big_bird",
    "camembert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "longformer",
    "modernbert",
    "mpnet",
    "roberta",
    "xlm-roberta",
)
"""Types of models that read and do not write."""
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
_CONFIGURATION = ("config.json", "generation_config.json")
_CURE = "give a LLaMA- or Mistral-family model"


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint that llmtl can load. `path` holds at least its configuration and tokenizer.

    `parameters` counts the weights that the configuration implies, tied embeddings once. `context_length` is in tokens.
    """

    path: Path
    model_type: str
    hidden_size: int
    layers: int
    parameters: int
    context_length: int
    has_chat_template: bool
    vocabulary: int
    sliding_window: int | None


def inspect_checkpoint(name: str, revision: str | None = None) -> CheckpointInfo:
    """Inspect `name`, whatever `llmtl.checkpoints.locate` finds; only small files are downloaded from the Hub.

    Raises `ModelError` for a missing folder or an unknown or unreachable name, another model family, a checkpoint
    without safetensors weights, and one that asks for code or for files elsewhere.
    """
    found = locate(name, revision)
    folder = Path(found).expanduser()
    if folder.is_dir():
        return _inspect_folder(folder, name, any(folder.glob("*.safetensors")))
    if folder.exists():
        raise ModelError(f"The model '{name}' is a file and not GGUF; give the folder that holds the checkpoint.")
    if _looks_like_path(name):
        raise ModelError(f"The model folder '{name}' does not exist; check the path, or give a Hub name.")
    return _inspect_hub(found, revision)


def fetch_checkpoint(name: str, revision: str | None = None) -> Path:
    """Download the whole checkpoint from the Hub, unless it is in a folder already, and return its folder.

    Raises `ModelError` as `inspect_checkpoint` does.
    """
    info = inspect_checkpoint(name, revision)
    found = locate(name, revision)
    if Path(found).expanduser().is_dir():
        return info.path
    return download(found, revision, (*SMALL_FILES, "*.safetensors"))


def copy_tokenizer(checkpoint: Path, folder: Path) -> None:
    """Copy a checkpoint's tokenizer and configuration to `folder`, the model's own chat template among them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*TOKENIZER_FILES, *_CONFIGURATION):
        if (checkpoint / name).is_file():
            shutil.copyfile(checkpoint / name, folder / name)


def _inspect_folder(folder: Path, name: str, has_safetensors: bool) -> CheckpointInfo:
    """Inspect a folder; raise `ModelError` if it cannot be used."""
    config = _read_json(folder / "config.json")
    if config is None:
        hint = " (it looks like a LoRA adapter)" if (folder / "adapter_config.json").exists() else ""
        raise ModelError(
            f"The model '{name}' has no readable config.json{hint}; give the folder of a whole checkpoint."
        )
    _check_family(config, name)
    fault = model_fault(folder)
    if fault is not None:
        raise ModelError(f"The model '{name}' asks for more than to be read: {fault}; take that out, or {_CURE}.")
    if not has_safetensors:
        raise ModelError(
            f"The model '{name}' has no *.safetensors weights (pickled .bin files are not loaded, they can run code); "
            "convert it with save_pretrained, or give a revision that has them."
        )
    return _describe(config, folder, name)


def _check_family(config: Mapping[str, Any], name: str) -> None:
    """Raise `ModelError` unless the configuration is that of a plain LLaMA or Mistral language model."""
    model_type = config.get("model_type")
    if model_type in ENCODERS:
        raise not_a_language_model(name, f"an encoder ({model_type})")
    if model_type not in FAMILIES:
        raise ModelError(f"The model '{name}' is of type '{model_type}', which llmtl cannot load; {_CURE}.")
    architectures = config.get("architectures") or ["ForCausalLM"]
    if not isinstance(architectures, list):
        architectures = [architectures]
    if not any(str(each).endswith("ForCausalLM") for each in architectures):
        raise ModelError(f"The model '{name}' is a {architectures[0]}, not a language model; {_CURE} (…ForCausalLM).")
    quantisation = config.get("quantization_config") or {}
    quantised = quantisation.get("quant_method") if isinstance(quantisation, dict) else quantisation
    if quantised:
        raise ModelError(f"The model '{name}' is stored quantised ({quantised}); give its unquantised original.")


def not_a_language_model(name: str, what: str) -> ModelError:
    """Return the error for an encoder where a language model is needed."""
    return ModelError(
        f"The model '{name}' is {what}, which writes no answers; give it as --encoder {name}, and a LLaMA- or "
        "Mistral-family model as --model."
    )


def _describe(config: Mapping[str, Any], folder: Path, name: str) -> CheckpointInfo:
    """Read the facts from a configuration; raise `ModelError` if one is missing."""
    try:
        parameters = count_parameters(config)
        return CheckpointInfo(
            path=folder,
            model_type=str(config["model_type"]),
            hidden_size=int(config["hidden_size"]),
            layers=int(config["num_hidden_layers"]),
            parameters=parameters,
            context_length=int(config["max_position_embeddings"]),
            has_chat_template=_has_chat_template(folder),
            vocabulary=int(config["vocab_size"]),
            sliding_window=config.get("sliding_window"),
        )
    except KeyError as error:
        raise ModelError(
            f"The config.json of the model '{name}' lacks {error}; download the checkpoint again."
        ) from error
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ModelError(
            f"The config.json of the model '{name}' gives a size that is none ({error}); download the checkpoint again."
        ) from error


def count_parameters(config: Mapping[str, Any]) -> int:
    """Count the weights of a LLaMA- or Mistral-family model without biases; tied weights count once.

    Layer shapes as in `transformers.LlamaForCausalLM`: four attention projections with grouped keys and values, a gated
    feed-forward block, two norms. Raises `KeyError` for a missing size.
    """
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    width = int(config.get("head_dim") or hidden // heads)
    grouped = int(config.get("num_key_value_heads") or heads)
    attention = 2 * hidden * heads * width + 2 * hidden * grouped * width
    layer = attention + 3 * hidden * int(config["intermediate_size"]) + 2 * hidden
    embeddings = int(config["vocab_size"]) * hidden * (1 if config.get("tie_word_embeddings") else 2)
    return embeddings + int(config["num_hidden_layers"]) * layer + hidden


def _has_chat_template(folder: Path) -> bool:
    """Look for a chat template in all the tokenizer files where transformers looks for one."""
    if any((folder / name).exists() for name in ("chat_template.jinja", "chat_template.json")):
        return True
    return bool((_read_json(folder / "tokenizer_config.json") or {}).get("chat_template"))


def _read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None if the file is missing or holds anything else."""
    try:
        loaded = parse_json(read_whole(path))
    except (OSError, ValueError):
        return None
    return loaded if isinstance(loaded, dict) else None


def _looks_like_path(name: str) -> bool:
    """Tell whether `name` can only be a path: Hub names are `name` or `owner/name`."""
    return name.startswith((".", "/", "~")) or "\\" in name or name.count("/") > 1 or name.endswith("/")


def _inspect_hub(name: str, revision: str | None) -> CheckpointInfo:
    """Inspect a Hub name by its configuration and its list of files."""
    folder = download(name, revision, ("config.json",))
    config = _read_json(folder / "config.json")
    if config is not None:
        _check_family(config, name)
    folder = download(name, revision, SMALL_FILES)
    return _inspect_folder(folder, name, has_safetensors(name, revision, folder))
