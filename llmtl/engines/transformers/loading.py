"""Load a checkpoint's weights and tokenizer with transformers and PEFT; every failure in one line.

Weights come from safetensors only and code that a checkpoint brings along is never run. Not covered: quantised weights,
several devices.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging as transformers_logging

from llmtl.engines.checkpoint import fetch_checkpoint
from llmtl.engines.protocol import ModelSource
from llmtl.errors import ModelError
from llmtl.foreign_files import adapter_fault
from llmtl.packages import require


def load_tokenizer(source: ModelSource) -> Any:
    """Load the checkpoint's tokenizer; raise `ModelError` if there is none that works."""
    folder = fetch_checkpoint(source.name, source.revision)
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ModelError(
            f"The tokenizer of the model '{source.name}' cannot be loaded ({_first_line(error)}); "
            "give a checkpoint with a tokenizer.json."
        ) from error


def load_model(source: ModelSource, device: str) -> PreTrainedModel:
    """Load the model in evaluation mode on `device` (`cpu` or `cuda`), with the source's LoRA adapter if it has one.

    In float32 the adapter is merged into the weights, which changes nothing but speed; in bfloat16 merging would round,
    so it stays beside them. Raises `ModelError` for weights that are broken, incomplete or do not fit the memory.
    """
    folder = fetch_checkpoint(source.name, source.revision)
    dtype = torch.float32 if source.precision(device) == "float32" else torch.bfloat16
    try:
        with _without_bars():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                attn_implementation="sdpa",
                output_loading_info=True,
            )
        model, report = loaded[0].to(device), loaded[1]
    except torch.OutOfMemoryError as error:
        raise ModelError(f"The model '{source.name}' does not fit the GPU's memory; take a smaller one.") from error
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(
            f"The weights of the model '{source.name}' cannot be loaded ({_first_line(error)}); download them again."
        ) from error
    if report["missing_keys"]:
        first = sorted(report["missing_keys"])[0]
        raise ModelError(f"The model '{source.name}' lacks weights, such as '{first}'; download the checkpoint again.")
    if source.adapter is not None:
        model = _with_adapter(model, source.adapter, merge=dtype == torch.float32)
    return cast("PreTrainedModel", model.eval())


def _with_adapter(model: PreTrainedModel, adapter: Path, *, merge: bool) -> PreTrainedModel:
    """Add the LoRA adapter in `adapter` to `model`; raise `ModelError` if it does not fit."""
    require("An adapter", "peft")
    from peft import PeftModel

    if not (adapter / "adapter_config.json").is_file():
        raise ModelError(f"The adapter folder '{adapter}' has no adapter_config.json; give a folder that PEFT saved.")
    fault = adapter_fault(adapter)
    if fault is not None:
        raise ModelError(f"The adapter '{adapter}' asks for more than to be read: {fault}; tune it again.")
    try:
        adapted = PeftModel.from_pretrained(model, str(adapter))
    except (RuntimeError, ValueError, OSError, SafetensorError) as error:
        raise ModelError(
            f"The adapter '{adapter}' does not fit this model ({_first_line(error)}); train it on the same base model."
        ) from error
    if merge:
        return cast("PreTrainedModel", adapted.merge_and_unload())
    return cast("PreTrainedModel", adapted.get_base_model())


@contextmanager
def _without_bars() -> Iterator[None]:
    """Let transformers draw no progress bars inside the context; llmtl has its own."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _first_line(error: BaseException) -> str:
    """Take the first line of an error's text, without its full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
