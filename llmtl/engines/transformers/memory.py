"""Going on with fewer prompts at once after running out of memory: in scoring, writing, and reading states or vectors.

Not covered: training, which starts again with smaller batches (`llmtl.tuning.training`).
"""

import logging

import torch
from accelerate.utils.memory import should_reduce_batch_size

from llmtl.errors import ModelError

_logger = logging.getLogger(__name__)


def fewer_at_once(error: RuntimeError, count: int, *, tokens: int) -> int:
    """Halve the number of prompts after memory ran out with `count` of them, the longest of `tokens` tokens.

    Raises any other error again, and `ModelError` where a single prompt was too much.
    """
    if not should_reduce_batch_size(error):
        raise error
    if count == 1:
        raise ModelError(
            f"A prompt of {tokens} tokens exhausts the memory; use fewer demonstrations or a smaller model."
        ) from error
    _logger.warning("Out of memory with %d prompts at once; going on with %d.", count, count // 2)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return count // 2
