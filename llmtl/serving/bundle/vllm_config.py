"""The arguments with which vLLM serves a bundle, by the names that `vllm serve --config` reads.

Not covered: what depends on the machine or on the user (port, API key, memory, the task middleware), which
`llmtl.serving.server.server_command` adds.
"""

import json
from pathlib import Path, PurePath
from typing import Any

import yaml

from llmtl.engines.vllm.room import LONG_CONTEXT_TOKENS, LORA_RANKS, lora_room
from llmtl.errors import BundleError
from llmtl.serving.bundle.manifest import (
    ADAPTER_FOLDER,
    CHAT_TEMPLATE,
    TOKENIZER_FOLDER,
    BaseModel,
    Bundle,
    Weights,
)

DEFAULT_LOGPROBS = 20  # OpenAI's limit of `top_logprobs`, and vLLM's default


def vllm_arguments(bundle: Bundle, folder: Path, *, relative: bool = False) -> dict[str, Any]:
    """Write vLLM's arguments for a bundle in `folder`, as its YAML configuration takes them.

    Paths are absolute or, with `relative`, taken from a working directory inside the bundle. Raises `BundleError` for a
    winner that is not a language model.
    """
    return arguments_at(bundle, Path() if relative else folder.resolve())


def arguments_at(bundle: Bundle, root: PurePath) -> dict[str, Any]:
    """Write the same for a bundle at `root`, which need not be on this machine."""
    base = bundle.base
    if base is None:
        raise BundleError(f"The winner '{bundle.winner.name}' is not a language model; serve it with `llmtl serve`.")
    return {
        **_model(base, root),
        "served-model-name": served_names(bundle),
        "host": "127.0.0.1",
        "allowed-origins": "[]",
        "dtype": base.dtype,
        "max-model-len": base.context_length if base.context_length <= LONG_CONTEXT_TOKENS else "auto",
        "generation-config": "vllm",
        "chat-template": str(root / CHAT_TEMPLATE),
        "chat-template-content-format": "string",
        "logprobs-mode": "processed_logprobs",
        "max-logprobs": max(DEFAULT_LOGPROBS, len(bundle.answers) + 1),
        "enable-prefix-caching": True,
        **({"enforce-eager": True} if base.dtype == "float32" else {}),
        **_lora(bundle, root),
    }


def served_names(bundle: Bundle) -> list[str]:
    """List the names of the unadapted weights: the base model's and, where it is prompted, first the task's."""
    if bundle.winner.weights.own or bundle.base is None:
        return [bundle.winner.engine_model]
    prompted = [bundle.winner.engine_model] if bundle.winner.weights is Weights.BASE else []
    return [*prompted, bundle.base.name]


def vllm_yaml(arguments: dict[str, Any], *, note: str) -> str:
    """Write the arguments as vLLM's YAML file, `note` as its comment."""
    lines = "".join(f"# {line}\n" for line in note.splitlines())
    return lines + yaml.safe_dump(arguments, sort_keys=False, allow_unicode=True, width=1000)


def _model(base: BaseModel, root: PurePath) -> dict[str, Any]:
    """Return where weights and tokenizer come from; formats are said, so that no other file is looked for."""
    formats = {"tokenizer-mode": "hf", "config-format": "hf", "load-format": "safetensors"}
    if not base.hub:
        return {"model": str(root / base.source), **formats}
    pinned = {"revision": base.revision} if base.revision else {}
    return {"model": base.source, **pinned, "tokenizer": str(root / TOKENIZER_FOLDER), **formats}


def _lora(bundle: Bundle, root: PurePath) -> dict[str, Any]:
    """Return the arguments that load the adapter, if the bundle has one."""
    adapted = dict.fromkeys(each.engine_model for each in bundle.strategies if each.weights is Weights.ADAPTER)
    if not adapted:
        return {}
    rank = lora_room(bundle.lora_rank)
    if rank is None:
        raise BundleError(
            f"The adapter's rank of {bundle.lora_rank} is above vLLM's largest, {LORA_RANKS[-1]}; export with --merge."
        )
    path = str(root / ADAPTER_FOLDER)
    return {
        "enable-lora": True,
        "max-lora-rank": rank,
        "max-loras": 1,
        # as JSON: in the short form, name=path, a path may hold no comma
        "lora-modules": [json.dumps({"name": name, "path": path}) for name in adapted],
    }
