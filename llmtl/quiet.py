"""Keep third-party libraries quiet, and the caller's random state as it was.

Training and loading report only through `llmtl.progress`. Not covered: warnings, which stay visible.
"""

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_CHATTY = ("accelerate", "bitsandbytes", "peft", "sentence_transformers", "trl")


@contextmanager
def quiet() -> Iterator[None]:
    """Let the training libraries log errors only and draw no bars while the context is open; put all back after it."""
    from transformers.utils import logging as transformers_logging

    voice: Any = transformers_logging
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    verbosity = voice.get_verbosity()
    bars = voice.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    voice.set_verbosity_error()
    voice.disable_progress_bar()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
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
