"""What fine-tuning made a language model forget, in words.

Not covered: measuring it (`llmtl.pipeline.forgetting_steps`), the chart (`llmtl.report.charts.forgetting`).
"""

from llmtl.decision.forgotten import HarderEnglish
from llmtl.measured.forgetting import HarderText
from llmtl.report.metric_words import listed


def in_short(text: HarderText) -> str:
    """Say how much harder or easier general English became to predict, with the interval."""
    rise = text.rise
    ends = f"95% interval {_signed(rise.low)} to {_signed(rise.high)}"
    if rise.low > 0:
        return f"general English became {percent(rise.value)} harder to predict ({ends})"
    if rise.high < 0:
        return f"general English became {percent(-rise.value)} easier to predict ({ends})"
    return f"general English is about as easy to predict as before ({_signed(rise.value)}, {ends})"


def harder_english(item: HarderEnglish) -> str:
    """Warn that tuned models lost much of general English."""
    worse = [f"{percent(rise)} by {name}" for name, rise in zip(item.strategies, item.rises, strict=True)]
    return (
        f"Fine-tuning made general English harder to predict for the model: {listed(worse)}. Where it is to do "
        "more than this task, lower its learning rate or rehearse general text; decision.max_forgetting sets a limit."
    )


def percent(share: float) -> str:
    """Write a share as a percentage: `3%`, of small ones `0.4%`."""
    return f"{share:.1%}" if 0 < abs(share) < 0.0095 else f"{share:.0%}"


def _signed(share: float) -> str:
    written = percent(abs(share))
    return written if written == "0%" else f"{'-' if share < 0 else '+'}{written}"
