"""Score only the tokens of answers while training on a CPU.

Where Triton is missing, TRL 1.16 puts every position of a batch through the output head, prompts included, and drops
their losses afterwards (`trl.trainer.utils.add_fused_lm_head`): with short answers and a small model that takes more
than half of a step. Not covered: GPUs, on which TRL leaves the prompts out itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from trl.trainer import utils

_SWITCH = "_use_triton"
"""Asked by TRL's head whether to leave prompts out; the kernels ask their own copy, which stays as it is."""


@contextmanager
def answers_only() -> Iterator[None]:
    """Let TRL leave prompts out on every device while the context is open; a TRL without the switch stays as it is."""
    before = getattr(utils, _SWITCH, None)
    if before is not None:
        setattr(utils, _SWITCH, lambda device: True)
    try:
        yield
    finally:
        if before is not None:
            setattr(utils, _SWITCH, before)
