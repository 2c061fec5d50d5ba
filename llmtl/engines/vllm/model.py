"""Start a model with vLLM in this process, and free it again without leaving a process or a setting behind.

vLLM's CPU worker replaces `torch.set_num_threads`, and both builds change environment variables such as LD_PRELOAD;
both are put back after the start. Not covered: several GPUs, scoring (`engine.py`), serving (`llmtl.serving`).
"""

import logging
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch

from llmtl.engines.checkpoint import fetch_checkpoint
from llmtl.engines.protocol import ModelSource, Precision
from llmtl.engines.vllm.room import LONG_CONTEXT_TOKENS, LORA_RANKS, lora_room, token_bytes
from llmtl.errors import ModelError
from llmtl.foreign_files import adapter_fault
from llmtl.json_and_yaml import parse_json
from llmtl.packages import missing

_CACHED_CONTEXTS = 16  # full contexts in a CPU's key-value cache: more than one batch of prompts needs
_GPU_SHARE = 0.9  # of the free memory: vLLM's default is meant for an empty GPU
_GIB = 2**30

_IN_PROCESS = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # threads of this process stay where they are
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


def load_llm(source: ModelSource, *, dtype: Precision) -> Any:
    """Load a checkpoint as a `vllm.LLM`, with room for the source's LoRA adapter if it names one.

    Raises `MissingPackageError` without vLLM and `ModelError` if vLLM refuses the checkpoint.
    """
    folder = fetch_checkpoint(source.name, source.revision)
    with _as_before(), unwarned():
        logging.getLogger("vllm").setLevel(logging.ERROR)  # until vLLM, being imported, sets its own level
        try:
            from vllm import LLM
        except ImportError as error:
            raise missing("The engine 'vllm'", "vllm") from error
        try:
            return LLM(**_arguments(folder, dtype), **_lora(source.adapter))
        except (ValueError, RuntimeError, OSError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise ModelError(
                f"vLLM cannot load the model '{source.name}' ({reason}); set model.engine=transformers."
            ) from error


def free_llm(llm: Any) -> None:
    """Free the memory of a model; the caller must not keep a reference to it."""
    from vllm.distributed import cleanup_dist_env_and_memory

    llm.llm_engine.engine_core.shutdown()
    del llm
    cleanup_dist_env_and_memory()


def _arguments(folder: Path, dtype: str) -> dict[str, Any]:
    """Build vLLM's arguments for a checkpoint: those that serving uses too, and the memory to take."""
    config = parse_json((folder / "config.json").read_bytes())
    context = int(config["max_position_embeddings"])
    arguments = {
        "model": str(folder),
        "tokenizer_mode": "hf",
        "config_format": "hf",
        "load_format": "safetensors",
        "dtype": dtype,
        "max_model_len": context if context <= LONG_CONTEXT_TOKENS else -1,
        "generation_config": "vllm",
        "logprobs_mode": "processed_logprobs",
        "max_logprobs": -1,
        "structured_outputs_config": {"backend": "xgrammar"},
        "enable_prefix_caching": True,
        "enforce_eager": dtype == "float32",
        "use_tqdm_on_load": False,
        "disable_log_stats": True,
    }
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return arguments | {"gpu_memory_utilization": _GPU_SHARE * free / total}
    # 32 is the smallest block that vLLM's CPU kernels are made for; a smaller one caches more of a prompt's end
    return arguments | {"kv_cache_memory_bytes": _cache_bytes(config, context, dtype), "block_size": 32}


def _cache_bytes(config: dict[str, Any], context: int, dtype: str) -> int:
    """Compute the bytes for keys and values on a CPU: some full contexts, at most a quarter of the free memory."""
    wanted = _CACHED_CONTEXTS * context * token_bytes(config, dtype)
    return math.ceil(min(wanted, psutil.virtual_memory().available / 4))


def _lora(adapter: Path | None) -> dict[str, Any]:
    """Build the arguments that make room for an adapter; raise `ModelError` if vLLM cannot."""
    if adapter is None:
        return {}
    file = adapter / "adapter_config.json"
    if not file.is_file():
        raise ModelError(f"The adapter folder '{adapter}' has no adapter_config.json; give a folder that PEFT saved.")
    fault = adapter_fault(adapter)
    if fault is not None:
        raise ModelError(f"The adapter '{adapter}' asks for more than to be read: {fault}; tune it again.")
    rank = int(parse_json(file.read_bytes())["r"])
    room = lora_room(rank)
    if room is None:
        raise ModelError(f"The adapter's rank of {rank} is above vLLM's largest, {LORA_RANKS[-1]}; take a smaller one.")
    return {"enable_lora": True, "max_lora_rank": room, "max_loras": 1}


@contextmanager
def _as_before() -> Iterator[None]:
    """Start vLLM inside this context; afterwards the environment and torch are as they were."""
    environment, set_num_threads = dict(os.environ), torch.set_num_threads
    os.environ.update(_IN_PROCESS)
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    try:
        yield
    finally:
        torch.set_num_threads = set_num_threads
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)


@contextmanager
def unwarned() -> Iterator[None]:
    """Silence warnings: those that vLLM and its libraries cause are not for the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
