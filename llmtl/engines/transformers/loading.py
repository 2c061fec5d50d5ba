"""Load a checkpoint's weights and tokenizer with transformers and PEFT; every failure in one line.

Weights come from safetensors only and code that a checkpoint brings along is never run. Not covered: quantised weights,
several devices.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging as transformers_logging

from llmtl.checkpoints.broken_files import ReadByLibraries
from llmtl.engines.checkpoint import fetch_checkpoint, inspect_checkpoint
from llmtl.engines.protocol import ModelSource
from llmtl.errors import ModelError
from llmtl.foreign_files import adapter_fault
from llmtl.packages import require


def load_tokenizer(source: ModelSource) -> Any:
    """Load the checkpoint's tokenizer; raise `ModelError` if there is none that works, or that of another model."""
    folder = fetch_checkpoint(source.name, source.revision)
    with ReadByLibraries(
        lambda why: ModelError(
            f"The tokenizer of the model '{source.name}' cannot be loaded ({why}); give a checkpoint with a "
            "tokenizer.json."
        )
    ):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    known = inspect_checkpoint(source.name, source.revision).vocabulary
    if tokenizer.vocab_size > known:  # tokens added later may have no vector: a padding that is masked, as a rule
        raise ModelError(
            f"The tokenizer of the model '{source.name}' has {tokenizer.vocab_size:,} tokens and its config.json "
            f"{known:,}: one of them is of another model; download both again."
        )
    return tokenizer


def load_model(source: ModelSource, device: str) -> PreTrainedModel:
    """Load the model in evaluation mode on `device` (`cpu` or `cuda`), with the source's LoRA adapter if it has one.

    In float32 the adapter is merged into the weights, which changes nothing but speed; in bfloat16 merging would round,
    so it stays beside them. Raises `ModelError` for weights that are broken, incomplete or do not fit the memory.
    """
    folder = fetch_checkpoint(source.name, source.revision)
    config = _config(folder, source.name)
    dtype = torch.float32 if source.precision(device) == "float32" else torch.bfloat16
    try:
        with _without_bars():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                attn_implementation="sdpa",
                ignore_mismatched_sizes=True,  # the report says which, and an error would not
                output_loading_info=True,
            )
        model, report = loaded[0].to(device), loaded[1]
    except torch.OutOfMemoryError as error:
        raise ModelError(f"The model '{source.name}' does not fit the GPU's memory; take a smaller one.") from error
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(
            f"The weights of the model '{source.name}' cannot be loaded ({_first_line(error)}); download them again."
        ) from error
    if report["mismatched_keys"]:
        first = min(str(each[0]) for each in report["mismatched_keys"])
        raise ModelError(
            f"The weights of the model '{source.name}' are not of the sizes that its config.json gives, such as "
            f"'{first}'; download the checkpoint again."
        )
    if report["missing_keys"]:
        first = sorted(report["missing_keys"])[0]
        raise ModelError(f"The model '{source.name}' lacks weights, such as '{first}'; download the checkpoint again.")
    if source.adapter is not None:
        model = _with_adapter(model, source.adapter, merge=dtype == torch.float32)
    return cast("PreTrainedModel", model.eval())


def _config(folder: Path, name: str) -> Any:
    """Read the configuration; raise `ModelError` where its values do not fit each other."""
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StrictDataclassError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"The config.json of the model '{name}' is not that of a model ({lines[-1].strip().rstrip('.')}); download "
            "the checkpoint again."
        ) from error


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
    except (RuntimeError, ValueError, OSError, SafetensorError, TypeError, AttributeError, LookupError) as error:
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
