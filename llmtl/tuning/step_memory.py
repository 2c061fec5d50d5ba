"""How many examples of a step are computed at once so that the memory does: forecast, not tried out.

A GPU says when its memory is used up, and training starts again with fewer; a CPU's system ends the process instead, so
what will not fit has to be known before. Not covered: the forecast itself (`llmtl.tuning.needed_memory`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmtl.errors import TrainingError
from llmtl.hardware import free_gib
from llmtl.tuning.needed_memory import FORECAST_ERROR, MemoryForecast, StepLoad
from llmtl.tuning.tokenized import IGNORED, TokenizedExample

Collator = Callable[[Sequence[Mapping[str, Sequence[int]]]], Mapping[str, Any]]


def load_of(examples: Sequence[TokenizedExample], batch: int, collator: Collator, *, recomputed: bool) -> StepLoad:
    """Say what is computed at once in the heaviest batch: that of the longest examples."""
    longest = sorted(examples, key=lambda example: -len(example.input_ids))[:batch]
    made = collator([{"input_ids": each.input_ids, "labels": each.labels} for each in longest])
    rows, width = made["input_ids"].shape
    mask = made.get("attention_mask")
    return StepLoad(
        rows=rows,
        width=width,
        scored=int((made["labels"][:, 1:] != IGNORED).sum()),
        masked=mask is not None and not (mask.ndim == 2 and bool(mask.all())),
        recomputed=recomputed,
    )


def fitting_batch(
    needed: Callable[[int], MemoryForecast], batch: int, *, device: str, less: str, say: Callable[[str], None]
) -> int:
    """Find the largest batch, `batch` or a part of it, that `needed` forecasts to fit the free memory, and say so.

    Raises `TrainingError` where a single example surely does not; `less` says what to do, in the imperative.
    """
    free, whole = free_gib(device), batch
    first = found = needed(batch).peak_gib
    while found > free and batch > 1:
        batch //= 2
        found = needed(batch).peak_gib
    if found * (1 - FORECAST_ERROR) > free:
        raise TrainingError(
            f"Training would need about {found:,.1f} GiB with a single example at a time, and {free:,.1f} GiB are "
            f"free; {less}, use a smaller model, or a machine with more memory."
        )
    if batch < whole:
        say(
            f"A step of {whole} examples would need about {first:,.1f} GiB, and {free:,.1f} GiB are free: {batch} are "
            "computed at a time, and a step still takes them all."
        )
    elif found > free:
        say(
            f"Warning: training may need {found:,.1f} GiB, a little more than the {free:,.1f} GiB that are free; if "
            f"the process is ended for want of memory, {less}."
        )
    return batch
