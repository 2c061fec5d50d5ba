"""What fine-tuning made a language model forget, in words.

Not covered: measuring it (`llmtl.pipeline.forgetting_steps`), the chart (`llmtl.report.charts.forgetting_bars`).
"""

from collections.abc import Mapping

from llmtl.decision.forgotten import HarderEnglish
from llmtl.measured.forgetting import Forgetting, HarderText, TaskShift
from llmtl.metrics.intervals import Interval
from llmtl.numerals import with_minus
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
    return written if written == "0%" else with_minus(f"{'-' if share < 0 else '+'}{written}")


def gist(forgetting: Mapping[str, Forgetting]) -> str:
    """Say in a few words what the section holds: the worst of the tuned models."""
    worst = max(item.text.rise.value for item in forgetting.values())
    if percent(abs(worst)) == "0%":
        return "general English is as easy to predict as before"
    return f"general English {percent(abs(worst))} {'harder' if worst > 0 else 'easier'} to predict"


def sentences(forgetting: Mapping[str, Forgetting]) -> list[str]:
    """Say of every tuned model what it forgot: of general English, and of tasks that it could do before."""
    lines = []
    for name, item in forgetting.items():
        lines.append(f"{name}: {in_short(item.text)}; perplexity {_times(item.text.perplexity_ratio)}.")
        lines += [f"{name}: {_task(each)}." for each in item.tasks if each.able]
    tasks = next(iter(forgetting.values())).tasks  # before tuning it is the same model for all
    unable = [_TASKS.get(each.name, each.name) for each in tasks if not each.able]
    if unable:
        lines.append(
            f"Before tuning, the model did no better than chance at {listed(unable)}: there was nothing to forget."
        )
    return lines


def caption(forgetting: Mapping[str, Forgetting]) -> str:
    """Say what the bars are, and how much of the sample was measured."""
    text = next(iter(forgetting.values())).text
    some = (
        ""
        if text.passages == text.available
        else f", the first of {text.available:,} as many as a model of this size and the budget allow"
    )
    return (
        f"Mean cross-entropy in nats per token on {text.passages:,} short passages of general English that come with "
        f"llmtl{some}; longer bars are harder to predict. Nothing is ever trained on them."
    )


_TASKS = {"topic": "telling the topic of a text", "feeling": "telling pleased texts from others"}


def _task(item: TaskShift) -> str:
    found = item.difference
    what = _TASKS.get(item.name, item.name)
    points = f"{_points(found.value)} points, 95% interval {_points(found.low)} to {_points(found.high)}"
    told = "unchanged as far as shown" if found.low <= 0 <= found.high else "worse" if found.high < 0 else "better"
    return f"{what} without examples went from {item.before:.0%} to {item.after:.0%} of {item.items} ({told}: {points})"


def _points(share: float) -> str:
    return with_minus(f"{100 * share:+.0f}") if round(100 * share) else "0"


def _times(ratio: Interval) -> str:
    return f"{ratio.value:.2f} times that before ({ratio.low:.2f} to {ratio.high:.2f})"
