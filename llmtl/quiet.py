"""Keep third-party libraries quiet, and the caller's random state as it was.

Training and loading report only through `llmtl.progress`. Of the three ways, `quiet` is for a piece of work,
`quiet_logs` for whole functions of the Python API, and `silence_libraries` for a command, which owns its process. Not
covered: warnings in the Python API, which stay visible to who wants to filter them.
"""

import logging
import os
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_CHATTY = (
    "accelerate",
    "bitsandbytes",
    "datasets",
    "huggingface_hub",
    "kernels",
    "peft",
    "sentence_transformers",
    "trl",
)
_IN_CHILDREN = {
    "TORCH_CPP_LOG_LEVEL": "ERROR",  # before torch is loaded: it warns of what vLLM does
    "TRANSFORMERS_VERBOSITY": "error",
    "DATASETS_VERBOSITY": "error",
    "HF_HUB_VERBOSITY": "error",
    "PYTHONWARNINGS": "ignore",
}
"""What libraries read when they are imported, here and in the processes that a command starts."""


def silence_libraries() -> None:
    """Let nothing but llmtl's own lines reach the terminal: no warnings, and no logs of libraries below an error.

    Whoever wants to see the warnings runs `python -W default -m llmtl`. A handler on the root logger takes what has no
    handler of its own, which Python would otherwise print.
    """
    if sys.warnoptions:
        return
    for name, value in _IN_CHILDREN.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Let the libraries log errors only while the context is open; imports none of them."""
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def few_per_label() -> Iterator[None]:
    """Let scikit-learn not warn of classes with few examples, of which llmtl's own checks tell."""
    with warnings.catch_warnings():
        for message in ("The number of unique classes", "The least populated class", "y_pred contains classes"):
            warnings.filterwarnings("ignore", message, UserWarning)
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Let the training libraries log errors only and draw no bars while the context is open; put all back after it."""
    from transformers.utils import logging as transformers_logging

    voice: Any = transformers_logging
    verbosity = voice.get_verbosity()
    bars = voice.is_progress_bar_enabled()
    voice.set_verbosity_error()
    voice.disable_progress_bar()
    try:
        with quiet_logs():
            yield
    finally:
        voice.set_verbosity(verbosity)
        if bars:
            voice.enable_progress_bar()


@contextmanager
def own_randomness() -> Iterator[None]:
    """Leave the random states of Python, NumPy and torch as they were before the context (trainers seed them)."""
    import numpy as np
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
