"""Inspect an encoder's checkpoint before any weight is loaded: what it is, how large, how much it reads at once.

Accepts sentence-transformers folders, whatever model they are made of, and plain encoders (BERT, RoBERTa, ModernBERT,
DeBERTa, Longformer and others that transformers has a masked-language form of), in safetensors. Code that a checkpoint
brings along is never run. Not covered: language models (`llmtl.engines.checkpoint`), static embeddings, images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmtl.checkpoints import locate
from llmtl.checkpoints.download import download
from llmtl.checkpoints.locate import revision_of_files
from llmtl.checkpoints.named import find_named
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.errors import ModelError
from llmtl.foreign_files import model_fault, read_whole
from llmtl.json_and_yaml import parse_json
from llmtl.packages import require
from llmtl.quiet import quiet

FEWEST_POSITIONS = 512
"""Tokens read at once where neither the tokenizer nor the configuration says (relative positions)."""
SPECIAL_TOKENS = 2
"""Around a text, as a rule: one before and one behind it."""
_LONGEST = 1_000_000
"""A tokenizer that names no longest input writes a number far above this."""
_OFFSET_TYPES = frozenset(
    {"camembert", "data2vec-text", "ibert", "longformer", "luke", "mpnet", "xmod"}
    | {"roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl"}
)
"""Their first positions are kept for padding: 514 positions hold 512 tokens."""
_SMALL_FILES = ("*.json", "*.jinja", "*.txt", "*.model")
_ALL_FILES = (*_SMALL_FILES, "*.safetensors")
_CURE = "give a sentence-transformers model or an encoder (BERT, RoBERTa, ModernBERT, ...), such as minilm"


@dataclass(frozen=True)
class EncoderInfo:
    """An encoder that llmtl can load from the folder `path`.

    `parameters` counts the stored weights, `context_length` the tokens it reads at once, special ones included.
    `sentence_transformer` says that the folder tells how tokens become a vector; else their mean is taken. The model
    alone is in `body`; it can be tuned to read up to `positions` tokens, more than a sentence encoder was tuned on.
    """

    path: Path
    body: Path
    model_type: str
    hidden_size: int
    layers: int
    parameters: int
    context_length: int
    positions: int
    sentence_transformer: bool


def inspect_encoder(source: EncoderSource) -> EncoderInfo:
    """Inspect the encoder that `source` names.

    From the Hub comes what a folder does not hold, the weights last: what is no use is refused before they are fetched.
    Raises `ModelError` for a missing folder or an unknown or unreachable name, a language model that reads to the left
    only, a model of another kind, quantised weights, and a checkpoint without safetensors or without a tokenizer.
    """
    folder, name = _folder(source), source.name
    _check_plain(folder, name)
    modules = _modules(folder / "modules.json", name)
    body = folder / _first_path(modules, name) if modules is not None else folder
    config = _config(body, name)
    if modules is None:
        _check_bidirectional(config, name)
    whole = _whole(source, folder)
    folder, body = whole, whole / body.relative_to(folder)
    _check_weights(folder, body, modules or [], name)
    window = _context_length(config, body)
    if window <= SPECIAL_TOKENS:
        raise ModelError(
            f"The encoder '{name}' reads {window} tokens at once, which leaves none for a text; correct "
            "'max_seq_length', 'model_max_length' or 'max_position_embeddings' in its folder."
        )
    return EncoderInfo(
        path=folder,
        body=body,
        model_type=str(config.model_type),
        hidden_size=int(config.hidden_size),
        layers=int(config.num_hidden_layers),
        parameters=_count_parameters(body),
        context_length=window,
        positions=_least(*_of_the_model(config, body)),
        sentence_transformer=modules is not None,
    )


def fetch_encoder(source: EncoderSource) -> Path:
    """Give the folder that holds the whole encoder; raises `ModelError` as `inspect_encoder` does."""
    return inspect_encoder(source).path


def check_words(tokenizer: Any, model: Any, name: str) -> None:
    """Raise `ModelError` for the tokenizer of another model, whose tokens are more than the model has vectors of.

    Tokens that were added later may have none: a padding that is masked, as a rule.
    """
    known = int(model.get_input_embeddings().weight.shape[0])
    if tokenizer.vocab_size > known:
        raise ModelError(
            f"The tokenizer of the encoder '{name}' has {tokenizer.vocab_size:,} tokens and its weights {known:,}: one "
            "of them is of another model; download both again."
        )


def _folder(source: EncoderSource) -> Path:
    """Find the encoder's folder, or its small files from the Hub; raise `ModelError` if there is none."""
    name, named = source.name, find_named(source.name)
    path = Path(name).expanduser()
    if path.is_file():
        raise ModelError(f"The encoder '{name}' is a file; give the folder that holds the checkpoint.")
    if path.is_dir():
        if source.revision is not None:
            raise revision_of_files(name, source.revision)
        return path
    if named is not None and not named.encoder:
        raise ModelError(f"'{name}' is a language model that reads to the left only, not an encoder; {_CURE}.")
    if named is None and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise ModelError(f"The encoder folder '{name}' does not exist; check the path, or give a Hub name.")
    found = Path(locate(name, source.revision))
    return found if found.is_dir() else download(str(found), source.revision, _SMALL_FILES, encoder=True)


def _check_plain(folder: Path, name: str) -> None:
    """Raise `ModelError` for a folder that asks for code, or for files elsewhere."""
    if not any((folder / file).is_file() for file in ("config.json", "modules.json")):
        return  # no checkpoint, and whatever lies there need not be walked through
    fault = model_fault(folder)
    if fault is not None:
        raise ModelError(f"The encoder '{name}' asks for more than to be read: {fault}; take that out, or {_CURE}.")


def _whole(source: EncoderSource, folder: Path) -> Path:
    """Download the weights of an encoder from the Hub; a folder on this machine stays as it is."""
    if any(folder.rglob("*.safetensors")) or Path(source.name).expanduser().is_dir():
        return folder
    found = locate(source.name, source.revision)
    return folder if Path(found).is_dir() else download(found, source.revision, _ALL_FILES, encoder=True)


def _first_path(modules: Sequence[Mapping[str, Any]], name: str) -> str:
    """Say where the model of a sentence-transformers folder lies; raise `ModelError` where there is none."""
    first = modules[0] if modules else {}
    if not str(first.get("type", "")).startswith("sentence_transformers.") or "Transformer" not in first["type"]:
        raise ModelError(
            f"The encoder '{name}' begins with {first.get('type', 'nothing')} where a transformer is needed; {_CURE}."
        )
    return str(first.get("path", ""))


def _config(body: Path, name: str) -> Any:
    """Read the configuration; raise `ModelError` where it is missing, unknown, or that of quantised weights."""
    require("An encoder", "sentence_transformers")
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    if not (body / "config.json").is_file():
        hint = " (it looks like a LoRA adapter)" if (body / "adapter_config.json").exists() else ""
        raise ModelError(f"The encoder '{name}' has no config.json{hint}; give the folder of a whole checkpoint.")
    try:
        with quiet():
            config = AutoConfig.from_pretrained(body, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, StrictDataclassError) as error:
        raise ModelError(f"The config.json of the encoder '{name}' is not one that llmtl can read; {_CURE}.") from error
    quantised = (getattr(config, "quantization_config", None) or {}).get("quant_method")
    if quantised:
        raise ModelError(f"The encoder '{name}' is stored quantised ({quantised}); give its unquantised original.")
    return config


def _check_bidirectional(config: Any, name: str) -> None:
    """Raise `ModelError` unless every token of the model sees all others: its type has a masked-language form."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    kind = str(config.model_type)
    if kind in MASKED and not config.is_encoder_decoder and not getattr(config, "is_decoder", False):
        return
    if kind in CAUSAL and not config.is_encoder_decoder:
        raise ModelError(
            f"'{name}' is a language model that reads to the left only ('{kind}'), not an encoder; {_CURE}."
        )
    raise ModelError(f"The model '{name}' is of type '{kind}', which llmtl cannot use as an encoder; {_CURE}.")


def _check_weights(folder: Path, body: Path, modules: Sequence[Mapping[str, Any]], name: str) -> None:
    """Raise `ModelError` where weights are missing, or in a form that could run code, or there is no tokenizer."""
    _check_pooling(folder, modules, name)
    others = [folder / str(each.get("path") or ".") for each in modules[1:]]
    pickled = [each for each in others if any(each.glob("*.bin")) and not any(each.glob("*.safetensors"))]
    if not any(body.glob("*.safetensors")) or any(each != folder for each in pickled):
        raise ModelError(
            f"The encoder '{name}' has no *.safetensors weights (pickled .bin files are not loaded, they can run code)"
            "; convert it with save_pretrained, or give a revision that has them."
        )
    tokenizers = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "spm.model")
    if not any((each / file).is_file() for each in (body, folder) for file in tokenizers):
        raise ModelError(f"The encoder '{name}' has no tokenizer; save the tokenizer into the same folder.")


def _check_pooling(folder: Path, modules: Sequence[Mapping[str, Any]], name: str) -> None:
    """Raise `ModelError` where a sentence-transformers folder does not say how tokens become one vector."""
    for each in modules[1:]:
        file = f"{each.get('path') or '.'}/config.json"
        if str(each.get("type")).endswith(".Pooling") and _read_object(folder / file) is None:
            raise ModelError(
                f"The encoder '{name}' has no readable {file}, which says how the vectors of tokens become one; "
                "download it again, or delete its modules.json, and their mean is taken."
            )


def _count_parameters(body: Path) -> int:
    """Count the stored weights from the files' heads."""
    from safetensors import SafetensorError, safe_open

    total = 0
    for path in sorted(body.glob("*.safetensors")):
        try:
            with safe_open(path, framework="numpy") as file:
                keys = list(file.keys())
                shapes = [file.get_slice(key).get_shape() for key in keys]
        except (OSError, SafetensorError) as error:
            raise ModelError(f"'{path}' is damaged; download the encoder again.") from error
        total += sum(_cells(shape) for shape in shapes)
    return total


def _cells(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _context_length(config: Any, body: Path) -> int:
    """Say how many tokens are read at once: the least of what the folder, the tokenizer and the positions allow."""
    given = (_read_object(body / "sentence_bert_config.json") or {}).get("max_seq_length")
    return _least(given, *_of_the_model(config, body))


def _of_the_model(config: Any, body: Path) -> tuple[object, object]:
    """Give what the tokenizer and the positions allow, where they say it."""
    return (_read_object(body / "tokenizer_config.json") or {}).get("model_max_length"), _positions(config)


def _least(*given: object) -> int:
    known = [int(each) for each in given if isinstance(each, int | float) and 0 < each < _LONGEST]
    return min(known, default=FEWEST_POSITIONS)


def _positions(config: Any) -> int | None:
    """Say how many tokens have a position; None where positions are relative and nothing is said."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or config.model_type not in _OFFSET_TYPES:
        return positions
    return int(positions) - 1 - int(config.pad_token_id or 0)


def _read_object(path: Path) -> dict[str, Any] | None:
    loaded = _read(path)
    return loaded if isinstance(loaded, dict) else None


def _modules(path: Path, name: str) -> list[dict[str, Any]] | None:
    """Read what a sentence-transformers folder is made of; None for a plain one.

    Raises `ModelError` for a list that is damaged.
    """
    if not path.is_file():
        return None
    loaded = _read(path)
    if not isinstance(loaded, list) or not all(isinstance(each, dict) for each in loaded):
        raise ModelError(f"The modules.json of the encoder '{name}' is damaged; download the encoder again.")
    return loaded


def _read(path: Path) -> Any:
    """Read JSON; None if the file is missing or damaged."""
    try:
        return parse_json(read_whole(path))
    except (OSError, ValueError):
        return None
