"""How long a step of tuning a sentence encoder takes, from a few of them. Not covered: how many there will be."""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from llmtl.encoders.reach import SAMPLED, Lengths, seconds_of
from llmtl.encoders.sentence import SentenceEncoder
from llmtl.encoders.trainer import TrainingPlan, train

PROBED_STEPS = 4
"""Steps to time: the first one warms up, and counts only where it stays alone."""


def seconds_per_step(
    encoder: SentenceEncoder, rows: Mapping[str, Sequence[Any]], loss: Callable[[Any], Any], plan: TrainingPlan
) -> float:
    """Train the encoder in place on a few rows, and time its steps."""
    moments = [perf_counter()]
    train(encoder, rows, loss, plan, advance=lambda _: moments.append(perf_counter()))
    timed = moments[1:] if len(moments) > 2 else moments
    return (timed[-1] - timed[0]) / max(1, len(timed) - 1)


def seconds_per_text(encoder: SentenceEncoder, texts: Sequence[str]) -> float:
    """Time the first windows of a few texts, and tell from that how long whole texts take."""
    stretch = Lengths.of(texts, encoder).stretch
    return stretch * seconds_of(encoder, texts) / max(1, min(len(texts), SAMPLED))
